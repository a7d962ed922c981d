"""The launchers that start one command several times, recognised by their environment variables.

The commands that torchrun and srun start are the ranks of one run (`Place`). Of other launchers,
each command is a run of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from ptheta.errors import PthetaError

TORCHRUN, SRUN = "torchrun", "srun"
OF_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
TIMEOUT = "PTHETA_TIMEOUT"
USUAL_TIMEOUT = 60.0  # seconds
PORTS = range(20_000, 30_000)  # of the meetings of SLURM jobs, by the job's number
VALID = range(1, 2**16)  # ports
MOST = 1_000_000  # processes
SLOW = 10.0  # seconds that scontrol may take


@dataclass(frozen=True)
class Place:
    """The place of this process among those that a launcher started for one run.

    rank: 0, 1, ..., of `size`; local: the same on this machine, of `local_size`
    address, port: where they meet; hosted: whether the launcher listens there, or rank 0 has to
    attempt: how many times the launcher has started this process again
    """

    launcher: str
    rank: int
    size: int
    local: int
    local_size: int
    address: str
    port: int
    hosted: bool = False
    attempt: int = 0

    @property
    def first(self) -> bool:
        return self.rank == 0


@dataclass(frozen=True)
class Launcher:
    """A program whose processes are separate runs.

    command: how to start the command once; tasks, rank: its variables; mark: a variable that is
        only set in processes it started, if `tasks` may be inherited
    """

    name: str
    command: str
    tasks: str
    rank: str
    mark: str


LAUNCHERS = (
    Launcher(
        "mpirun",
        "mpirun -n 1",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
    ),
    Launcher("mpirun", "mpirun -n 1", "PMI_SIZE", "PMI_RANK", "PMI_SIZE"),
    Launcher(
        "jsrun", "jsrun -n 1", "JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE"
    ),
)


def started_by(environment: Mapping[str, str]) -> tuple[Launcher, int] | None:
    """(the launcher that started this command several times, as separate runs, and the number of
    times), or None."""
    if place_in(environment) is not None:
        return None
    for launcher in LAUNCHERS:
        tasks = environment.get(launcher.tasks, "")
        if launcher.mark in environment and tasks.isdecimal() and int(tasks) > 1:
            return launcher, int(tasks)
    return None


def place_in(environment: Mapping[str, str]) -> Place | None:
    """The place of this process in a run of several, or None for a run of its own.

    Raises PthetaError if the variables of a launcher contradict each other.
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        place = _of_torchrun(environment)
    elif "SLURM_STEP_ID" in environment and _tasks_of_slurm(environment) > 1:
        place = _of_slurm(environment)
    else:
        return None
    if place is None or place.size == 1:
        return None
    _check(place)
    return place


def _check(place: Place) -> None:
    """Raises PthetaError for a place that cannot be."""
    if not 0 <= place.rank < place.size <= MOST:
        raise PthetaError(
            f"{place.launcher} says rank {place.rank} of {place.size} processes: start the command "
            "again"
        )
    if not place.address.strip() or not place.address.isprintable() or place.port not in VALID:
        raise PthetaError(
            f"{place.address!r}, port {place.port}, is no address where processes can meet: set "
            "MASTER_ADDR, and MASTER_PORT from 1 to 65535"
        )


def attempts(environment: Mapping[str, str]) -> int:
    """How many times torchrun has started this process again."""
    if "TORCHELASTIC_RUN_ID" not in environment:
        return 0
    return _number(environment, "TORCHELASTIC_RESTART_COUNT", 0)


def speaks(environment: Mapping[str, str]) -> bool:
    """Whether this process prints results: the first one of a run, or the only one."""
    place = place_in(environment)
    return place is None or place.first


def timeout(environment: Mapping[str, str]) -> float:
    """Seconds that a process waits for another one that gives no sign. Raises PthetaError for an
    invalid value."""
    text = environment.get(TIMEOUT, "").strip()
    try:
        seconds = float(text or USUAL_TIMEOUT)
    except ValueError:
        seconds = -1.0
    if not 1 <= seconds <= 86_400:
        raise PthetaError(f"{TIMEOUT}={text}: want seconds, from 1 to 86400")
    return seconds


def _of_torchrun(environment: Mapping[str, str]) -> Place | None:
    missing = [name for name in OF_TORCHRUN if name not in environment]
    if missing:
        raise PthetaError(
            f"torchrun has started this command, but {', '.join(missing)} is not set: pass on its "
            "variables"
        )
    return Place(
        TORCHRUN,
        rank=_number(environment, "RANK"),
        size=_number(environment, "WORLD_SIZE"),
        local=_number(environment, "LOCAL_RANK"),
        local_size=_number(environment, "LOCAL_WORLD_SIZE", 1),
        address=environment["MASTER_ADDR"],
        port=_number(environment, "MASTER_PORT"),
        hosted=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        attempt=attempts(environment),
    )


def _of_slurm(environment: Mapping[str, str]) -> Place:
    nodes = next(
        (
            environment[name]
            for name in ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST")
            if environment.get(name)
        ),
        "",
    )
    job, step = (_number(environment, f"SLURM_{name}", 0) for name in ("JOB_ID", "STEP_ID"))
    rank = _number(environment, "SLURM_PROCID")
    given = "MASTER_ADDR" in environment and "MASTER_PORT" in environment
    local = environment.get("SLURM_STEP_TASKS_PER_NODE") or environment.get("SLURM_TASKS_PER_NODE")
    return Place(
        SRUN,
        rank=rank,
        size=_tasks_of_slurm(environment),
        local=_number(environment, "SLURM_LOCALID"),
        local_size=_tasks_here(local or "1", _number(environment, "SLURM_NODEID", 0)),
        address=environment["MASTER_ADDR"] if given else first_host(nodes),
        port=_number(environment, "MASTER_PORT") if given else PORTS[(job + step) % len(PORTS)],
    )


def _tasks_of_slurm(environment: Mapping[str, str]) -> int:
    inherited = _number(environment, "SLURM_NTASKS", 1)
    return _number(environment, "SLURM_STEP_NUM_TASKS", inherited)


def first_host(nodes: str) -> str:
    """The first machine of a SLURM node list, such as `gpu[07-09,12],cpu1`. Raises PthetaError."""
    if shutil.which("scontrol"):
        try:
            found = subprocess.run(
                ["scontrol", "show", "hostnames", nodes],
                capture_output=True,
                text=True,
                timeout=SLOW,
                check=True,
            )
            if names := found.stdout.split():
                return names[0]
        except (OSError, subprocess.SubprocessError):
            pass  # parsed below
    name = re.match(r"(?:[^,\[\]]|\[[^\[\]]*\])+", nodes)
    host = re.sub(r"\[([^\],-]*)[^\]]*\]", r"\1", name[0]) if name else ""
    if not re.fullmatch(r"[\w.-]+", host):
        raise PthetaError(
            f"the node list {nodes!r} of this SLURM job has no machine: set MASTER_ADDR and "
            "MASTER_PORT"
        )
    return host


def _tasks_here(text: str, node: int) -> int:
    """Tasks of a node, from a list such as `4(x2),3`; 1 if it is not known."""
    counts: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d{1,6})(?:\(x(\d{1,6})\))?", part.strip())
        if found is None:
            return 1
        counts += [int(found[1])] * int(found[2] or 1)
    return counts[node] if node < len(counts) else 1


def _number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    """A variable as a number. Raises PthetaError if it is none, or missing without a default."""
    text = environment.get(name, "").strip()
    if text.isdecimal():
        return int(text)
    if default is not None:
        return default
    raise PthetaError(f"{name}={text!r} of the launcher is not a number: start the command again")


def here() -> Place | None:
    """The place of this process, from its environment."""
    return place_in(os.environ)
