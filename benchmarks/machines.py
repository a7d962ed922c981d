"""Faults of a training on several machines, played on this one: see `benchmarks.faults`.

    python -m benchmarks.machines [KIND ...] [--times 20]

Two agents of torchrun, with two processes each, train a small model. They are two hosts in network
namespaces joined by a virtual cable where that is allowed (root, `ip`), else both on the loopback.
At a random moment after a checkpoint a fault happens; counted are the faults of ptheta: a process
that has not ended in time, more or less than one line from a process, or a last checkpoint that is
damaged.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptheta.errors import PthetaError
from ptheta.training import checkpoint

SMALL = "--hidden 8 --latent 2 --batch-size 8 --log-every 20 --checkpoint-every 20"
SMALL += " --evaluate-every 0 --sample-every 0 --threads 1 --device cpu --held-out 0"
ENDLESS = f"{SMALL} --steps 1000000"
PATIENCE = 15.0  # PTHETA_TIMEOUT of the trainings with faults
WITHIN = 30.0  # seconds in which all have to end after a kill
BEGINS = 240.0  # seconds until the first checkpoint, on a busy machine
NOISE = ("traceback : ", "error_file: ")


@dataclass
class Host:
    """A machine. inside: the command that runs another one on it; address: its own"""

    name: str
    address: str
    inside: tuple[str, ...] = ()


LOOPBACK = (Host("a", "127.0.0.1"), Host("b", "127.0.0.1"))


def may_have_hosts() -> bool:
    """Whether network namespaces can be made here."""
    if os.geteuid() or shutil.which("ip") is None:
        return False
    name = f"ptheta-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return made.returncode == 0


class Cable:
    """Two hosts in namespaces, and the cable between them."""

    def __init__(self) -> None:
        tag = os.getpid() % 10_000
        self.spaces = [f"pt{tag}a", f"pt{tag}b"]
        self.hosts = [
            Host(space, f"10.213.7.{i + 1}", ("ip", "netns", "exec", space))
            for i, space in enumerate(self.spaces)
        ]

    def __enter__(self) -> Cable:
        a, b = self.spaces
        for space in self.spaces:
            _ip("netns", "add", space)
        _ip("link", "add", "cable", "netns", a, "type", "veth", "peer", "name", "cable", "netns", b)
        for host in self.hosts:
            _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "cable")
            for device in ("lo", "cable"):
                _ip("-n", host.name, "link", "set", device, "up")
        return self

    def cut(self) -> None:
        _ip("-n", self.spaces[1], "link", "set", "cable", "down")

    def __exit__(self, *_: object) -> None:
        for space in self.spaces:
            _ip("netns", "del", space)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass
class Agent:
    """One torchrun. log: its output and that of its ranks"""

    host: Host
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def lines(self) -> list[str]:
        """What ptheta said, without what torchrun reports."""
        return [line for line in self.said.splitlines() if line.startswith("ptheta: ")]


@dataclass
class World:
    """The agents of one training. out: the run folder of the first"""

    out: Path
    agents: list[Agent] = field(default_factory=list)

    def ranks(self, agent: int | None = None) -> list[int]:
        """The process ids of the ranks, of one agent or of all, by rank."""
        which = self.agents if agent is None else [self.agents[agent]]
        return [pid for one in which for pid in children(one.process.pid)]

    def wait(self, seconds: float) -> float | None:
        """Seconds until all agents have ended, or None."""
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            if all(agent.process.poll() is not None for agent in self.agents):
                return time.monotonic() - start
            time.sleep(0.05)
        return None

    @property
    def statuses(self) -> list[int | None]:
        return [agent.process.poll() for agent in self.agents]

    @property
    def said(self) -> str:
        return "\n".join(f"-- {a.host.name}\n{a.said}" for a in self.agents)

    @property
    def lines(self) -> list[str]:
        return [line for agent in self.agents for line in agent.lines]


@contextmanager
def world(
    words: Sequence[str],
    out: Sequence[Path],
    logs: Path,
    hosts: Sequence[Host] = LOOPBACK,
    each: int = 2,
    more: Sequence[str] = (),
    variables: Sequence[dict[str, str]] | None = None,
    static: bool = False,
    own: Sequence[Sequence[str]] = ((), ()),
    program: Sequence[str] = ("-m", "ptheta"),
) -> Iterator[World]:
    """Agents that train `words` into out[i], on each host; they are ended at the end.

    more: options of torchrun; variables: of the environment of each; static: without rendezvous
    own: further words of each; program: what torchrun starts
    """
    port, found = free_port(), World(out[0])
    try:
        for i, (host, folder) in enumerate(zip(hosts, out, strict=True)):
            where = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{hosts[0].address}:{port}"]
            where += ["--rdzv-id", "r", "--local-addr", host.address]
            where += ["--rdzv-conf", f"is_host={int(not i)}"]  # they have one name here
            if static:
                where = ["--node-rank", str(i), "--master-addr", hosts[0].address]
                where += ["--master-port", str(port)]
            if len(hosts) > 1:
                where = ["--nnodes", str(len(hosts)), *where]
            log = logs / f"agent-{i}.log"
            told = variables[i] if variables else {}
            command = [*host.inside, sys.executable, "-m", "torch.distributed.run", *where]
            command += ["--nproc-per-node", str(each), *more, *program, *words, *own[i]]
            with log.open("wb") as stream:
                process = subprocess.Popen(
                    [*command, "--out", str(folder)],
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "OMP_NUM_THREADS": "1", **told},
                    start_new_session=True,
                )
            found.agents.append(Agent(host, process, log))
        yield found
    finally:
        left = [pid for agent in found.agents for pid in descendants(agent.process.pid)]
        for agent in found.agents:
            agent.process.kill()
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        for agent in found.agents:
            agent.process.wait()


def children(parent: int) -> list[int]:
    """The processes that a process has started, in order."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            about = stat.read_text().rsplit(")", 1)[1].split()
            if int(about[1]) == parent and about[0] != "Z":
                found.append(int(stat.parent.name))
    return sorted(found)


def descendants(parent: int) -> list[int]:
    below = children(parent)
    return [*below, *(pid for child in below for pid in descendants(child))]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until_a_checkpoint(out: Path, running: World, seconds: float = BEGINS) -> None:
    """Raises TimeoutError, with what was said, if there is none."""
    deadline = time.monotonic() + seconds
    while checkpoint.latest(out / "state") is None:
        if time.monotonic() > deadline or any(s is not None for s in running.statuses):
            raise TimeoutError(f"no checkpoint: {running.said[-3000:]}")
        time.sleep(0.05)


# -- the faults


def kill_rank(which: int) -> Callable[[World, Cable | None], list[int]]:
    def kill(running: World, _: Cable | None) -> list[int]:
        pid = running.ranks()[which]
        os.kill(pid, signal.SIGKILL)
        return [pid]

    return kill


def kill_agent(which: int) -> Callable[[World, Cable | None], list[int]]:
    def kill(running: World, _: Cable | None) -> list[int]:
        running.agents[which].process.kill()
        return []

    return kill


def kill_machine(which: int) -> Callable[[World, Cable | None], list[int]]:
    """The agent and its ranks at once."""

    def kill(running: World, _: Cable | None) -> list[int]:
        pids = running.ranks(which)
        running.agents[which].process.kill()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return pids

    return kill


def cut(running: World, cable: Cable | None) -> list[int]:
    assert cable is not None
    cable.cut()
    return []


def fill(running: World, _: Cable | None) -> list[int]:
    """The disk of the run folder, which is small."""
    with suppress(OSError), (running.out / "ballast").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return []


@contextmanager
def small_disk(folder: Path, size: str = "8m") -> Iterator[None]:
    """A file system of that size at `folder`; needs the right to mount one."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


Fault = Callable[[World, "Cable | None"], list[int]]
# name -> (fault, seconds in which all have to end)
FAULTS: dict[str, tuple[Fault, float]] = {
    "kill of rank 0": (kill_rank(0), WITHIN),
    "kill of rank 1": (kill_rank(1), WITHIN),
    "kill of rank 3": (kill_rank(3), WITHIN),
    "kill of the first agent": (kill_agent(0), WITHIN),
    "kill of the second agent": (kill_agent(1), WITHIN),
    "kill of the first machine": (kill_machine(0), WITHIN),
    "kill of the second machine": (kill_machine(1), WITHIN),
    "the cable is cut": (cut, PATIENCE + WITHIN),
    "the disk of rank 0 is full": (fill, WITHIN),
}


@dataclass
class Outcome:
    """What came of one fault. faults: what ptheta did wrong; seconds: until the last rank ended"""

    faults: list[str]
    seconds: float
    lines: list[str]


def once(name: str, hosts: Sequence[Host], cable: Cable | None, place: Path) -> Outcome:
    """One training with one fault."""
    act, limit = FAULTS[name]
    out = place / "disk" / "r"
    words = ["train", "vae", "--data", "digits", *ENDLESS.split()]
    told = {"PTHETA_TIMEOUT": str(PATIENCE)}
    with (
        small_disk(out.parent) if act is fill else nullcontext(),
        world(words, [out] * 2, place, hosts, variables=[told, told]) as running,
    ):
        until_a_checkpoint(out, running)
        pids = running.ranks()
        time.sleep(random.random())
        gone = act(running, cable)
        start, deadline = time.monotonic(), time.monotonic() + limit
        while any(map(alive, pids)) and time.monotonic() < deadline:
            time.sleep(0.05)
        took = time.monotonic() - start
        left = [pid for pid in pids if alive(pid)]
        faults = [f"{len(left)} ranks have not ended after {limit:g} s"] if left else []
        running.wait(limit)
        lines = running.lines
        if len(lines) != len(pids) - len(gone):
            faults.append(f"{len(lines)} lines of {len(pids) - len(gone)} ranks: {running.said}")
        if "Traceback (most recent call last)" in _of_ranks(running):
            faults.append(f"a traceback: {running.said}")
        last = checkpoint.latest(out / "state")
        try:
            assert last is not None
            checkpoint.verify(last)
        except (AssertionError, PthetaError) as error:
            faults.append(f"the last checkpoint: {error}")
    return Outcome(faults, took, lines)


def _of_ranks(running: World) -> str:
    """What was said, without the report of torchrun on its own failure."""
    return "\n".join(
        re.split(r"(?m)^Traceback|^\[?[EW]\d{4}|^={20}", a.said)[0] for a in running.agents
    )


def counted(names: Sequence[str], times: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """(what was tried, how often and with how many faults), one after another."""
    namespaces = may_have_hosts()
    for name in names or FAULTS:
        found: list[Outcome] = []
        if FAULTS[name][0] in (cut, fill) and not namespaces:  # the same right
            continue
        for _ in range(times):
            with tempfile.TemporaryDirectory() as place:
                if namespaces:
                    with Cable() as cable:
                        found.append(once(name, cable.hosts, cable, Path(place)))
                else:
                    found.append(once(name, LOOPBACK, None, Path(place)))
        faults = [fault for outcome in found for fault in outcome.faults]
        yield (
            name,
            {
                "tried": len(found),
                "faults": sum(bool(outcome.faults) for outcome in found),
                "seconds": [
                    round(min(o.seconds for o in found), 1),
                    round(max(o.seconds for o in found), 1),
                ],
                "hosts": "network namespaces" if namespaces else "loopback",
                "lines": found[-1].lines,
                "first": [fault[:2000] for fault in faults[:3]],
            },
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Plays faults of several machines.")
    parser.add_argument("names", nargs="*", metavar="KIND", help=", ".join(FAULTS))
    parser.add_argument("--times", type=int, default=20)
    args = parser.parse_args()
    for name, counts in counted(args.names, args.times):
        print(name, json.dumps(counts, indent=1), flush=True)


if __name__ == "__main__":
    main()
