"""Kills a command before every one of its file operations, and at random moments; fills the disk.

    python -m benchmarks.kills --points [COMMAND ...] --random 200 --full

A command runs in a child that was forked from a process in which torch is loaded, so that several
hundred take minutes. Each operation that changes a file (open for writing, rename, remove, mkdir,
chmod, a flush to disk) in the folder of the experiment is counted by an audit hook; the child of
point k is killed by SIGKILL just before operation k. The same command is then given again, and what
it leaves must be what an uninterrupted one left: weights to the bit, metrics.jsonl and
warnings.jsonl but for times, no temporary file.

A full disk is a tmpfs of a given size (needs the right to mount one): the command must end with one
line and status 2, and go on to the same end once there is space.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

import ptheta
from benchmarks.forked import fork, send_to, wait
from ptheta.cli import main
from ptheta.files.atomic import LOCK, TEMPORARY

LIMIT = 120.0  # seconds that a command may take
CHANGES = frozenset(
    ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "os.link")
)
TIMED = ("progress.json", "files.json", "evaluation.json")  # hold times, or digests of such
TIMES = ("seconds", "images_per_s")
TINY = "--threads 1 --hidden 8 --latent 2 --batch-size 8"


@dataclass(frozen=True)
class Command:
    """What is killed. before: commands that make what it needs; again: what goes on after a kill

    Paths are relative to the folder of the experiment.
    """

    name: str
    words: str
    before: tuple[str, ...] = ()
    again: str = ""
    cold: bool = False  # without what others have left in the cache


@dataclass
class Told:
    """What came of one surface."""

    points: int = 0
    faults: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {"tried": self.points, "faults": len(self.faults), "first": self.faults[:5]}


def train(steps: int) -> str:
    """A training that reaches every kind of file: weights of two kinds, checkpoints, samples."""
    return (
        f"train vae --data data.npy --out run --steps {steps} {TINY} --log-every 2 "
        "--checkpoint-every 4 --sample-every 6 --evaluate-every 3 --held-out 24 --ema 0.9"
    )


RUN = train(12)
COMMANDS = (
    Command("train", RUN, again=f"{RUN} --resume"),
    Command("resume", f"{train(20)} --resume", (RUN,)),
    Command("fit", "fit run --components 2", (RUN,)),
    Command("evaluate", "evaluate run -n 20 --extractor pixels", (RUN,), cold=True),
    Command("sample", "sample run -n 12 --out drawn", (RUN,)),
    Command("sample array", "sample run -n 12 --out drawn.npy", (RUN,)),
    Command("compare", "compare run -n 20 --out report", (RUN,)),
    Command(
        "sweep",
        f"sweep vae --data data.npy --out sweep --seeds 2 --steps 2 {TINY} "
        "--evaluate-every 0 --sample-every 0",
    ),
    Command("cache", "data pictures", cold=True),
)


# -- one command in a child


def warm() -> None:
    """Imports what a command imports when it needs it, once for all children."""
    for module in pkgutil.walk_packages(ptheta.__path__, "ptheta."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in ("scipy.stats", "sklearn.mixture", "matplotlib.figure"):
        importlib.import_module(name)


def child(folder: Path, words: str, act: Callable[[], None] = lambda: None) -> int:
    """Runs a command in a fork and returns its process. act: called in the child, first"""

    def call() -> int:
        os.chdir(folder)
        send_to(1, folder.with_name("stdout.txt"))
        send_to(2, folder.with_name("stderr.txt"))
        os.environ["PTHETA_CACHE"] = str(folder / "cache")
        torch.manual_seed(os.getpid())  # nothing may depend on it
        act()
        main(words.split())
        return 0

    return fork(call)


def ran(folder: Path, words: str, act: Callable[[], None] = lambda: None) -> str:
    """Why a command did not end well; empty where it did."""
    status = wait(child(folder, words, act), LIMIT)
    text = folder.with_name("stderr.txt").read_text(errors="replace")
    return "" if status == 0 else f"status {status}: {text[-300:]!r}"


def at_operation(folder: Path, act: Callable[[int], None]) -> Callable[[], None]:
    """What installs, in a child, a hook that calls act(k) before the k-th change of a file."""

    def install() -> None:
        count, inside = 0, str(folder) + os.sep

        def changed() -> None:
            nonlocal count
            count += 1
            act(count)

        def hook(event: str, args: tuple[Any, ...]) -> None:
            if event == "open":
                path, _, flags = args
                if not (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
                    return
            elif event in CHANGES:
                path = args[0]
            else:
                return
            if isinstance(path, str | bytes | os.PathLike):
                full = os.path.abspath(os.fsdecode(path))
                if full.startswith(inside):
                    changed()

        flush = os.fsync

        def counted(handle: int) -> None:
            changed()
            flush(handle)

        os.fsync = counted  # type: ignore[assignment]  # no event tells of it
        sys.addaudithook(hook)

    return install


# -- what is left


def found(folder: Path) -> dict[str, Any]:
    """Everything under a folder but for the cache, times, and what has random names."""
    left: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or name.startswith("cache"):
            continue
        left[name] = _content(path)
    return left


def _content(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return {k: v.numpy().tobytes() for k, v in load_file(path).items()}
    if path.suffix == ".jsonl":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]
    if (
        path.name in ("progress.json", "files.json", "evaluation.json")
        or path.parent.name == "report"
    ):
        return None  # times, speeds, digests of files with times in them
    return path.read_bytes()


def litter(folder: Path) -> list[str]:
    """Names of temporary files."""
    names = [str(path.relative_to(folder)) for path in folder.rglob(".*")]
    return [n for n in names if Path(n).name.startswith((TEMPORARY, LOCK, ".step-"))]


def difference(wanted: dict[str, Any], folder: Path) -> str:
    """What is not as after an uninterrupted command; empty where all is."""
    left = found(folder)
    if dirt := litter(folder):
        return f"temporary: {dirt[0]}"
    kept = {name for name in left if "/state/" not in name}
    if missing := sorted({n for n in wanted if "/state/" not in n} - kept):
        return f"missing: {missing[0]}"
    if more := sorted(kept - wanted.keys()):
        return f"more: {more[0]}"
    wrong = [name for name in left if name in wanted and left[name] != wanted[name]]
    return f"other: {wrong[0]}" if wrong else ""


# -- the experiments


@contextmanager
def place(command: Command) -> Iterator[Path]:
    """A folder with what a command needs."""
    root = Path(tempfile.mkdtemp(prefix="kills-"))
    try:
        folder = root / "base"
        folder.mkdir()
        noise = np.random.default_rng(0)
        np.save(folder / "data.npy", noise.integers(0, 256, (300, 8, 8), dtype=np.uint8))
        _pictures(folder / "pictures", noise)
        for words in command.before:
            if why := ran(folder, words):
                raise SystemExit(f"{command.name}: {words}: {why}")
        if command.cold:
            shutil.rmtree(folder / "cache", ignore_errors=True)
        yield folder
    finally:
        shutil.rmtree(root)


def _pictures(folder: Path, noise: np.random.Generator) -> None:
    from PIL import Image

    folder.mkdir()
    for i in range(12):
        picture = noise.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{i}.png")


def points(command: Command, every: int = 1) -> Told:
    """Kills a command before each `every`-th of its operations."""
    told = Told()
    with place(command) as base:
        work = base.with_name("work")
        shutil.copytree(base, work)
        log = base.with_name("count")
        count = at_operation(work, lambda k: _note(log, k))
        if why := ran(work, command.words, count):
            raise SystemExit(f"{command.name}: {why}")
        wanted, total = found(work), len(log.read_bytes())
        for k in range(1, total + 1, every):
            shutil.rmtree(work)
            shutil.copytree(base, work)
            status = wait(child(work, command.words, at_operation(work, partial(_die, k))), LIMIT)
            told.points += 1
            if status != -signal.SIGKILL:
                told.faults.append(f"{command.name} {k}: not killed but ended with {status}")
                continue
            why = ran(work, command.again or command.words) or difference(wanted, work)
            if why:
                told.faults.append(f"{command.name} {k} of {total}: {why}")
    return told


def _note(log: Path, k: int) -> None:
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(handle, b".")
    os.close(handle)


def _die(k: int, now: int) -> None:
    if now == k:
        os.kill(os.getpid(), signal.SIGKILL)


def at_random(times: int, seed: int = 0) -> Told:
    """Kills a training again and again at random moments until it has come to its end, and so on
    until there were `times` kills."""
    told, chance = Told(), random.Random(seed)
    words = train(40)
    with place(Command("random", words)) as base:
        work = base.with_name("work")
        shutil.copytree(base, work)
        started = time.monotonic()
        if why := ran(work, words):
            raise SystemExit(why)
        wanted, takes = found(work), time.monotonic() - started
        shutil.rmtree(work)
        while told.points < times:
            shutil.copytree(base, work)
            for _ in range(8):
                pid = child(work, f"{words} --resume")
                time.sleep(chance.uniform(0, takes))
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                if wait(pid, LIMIT) == -signal.SIGKILL:
                    told.points += 1
            why = ran(work, f"{words} --resume") or difference(wanted, work)
            if why:
                told.faults.append(f"after {told.points} kills: {why}")
            shutil.rmtree(work)
    return told


def full_disk(sizes: Sequence[int]) -> Told:
    """Trains on disks of these sizes (kB), where they fill up; then goes on with space."""
    told = Told()
    words = RUN
    with place(Command("full", words)) as base:
        work = base.with_name("work")
        shutil.copytree(base, work)
        if why := ran(work, words):
            raise SystemExit(why)
        wanted = found(work)
        for size in sizes:
            shutil.rmtree(work)
            shutil.copytree(base, work)
            (work / "run").mkdir()
            with small_disk(work / "run", size):
                told.points += 1
                status = wait(child(work, words), LIMIT)
                text = work.with_name("stderr.txt").read_text()
                last = text.splitlines()[-1] if text else ""
                if status == 0:
                    continue  # it was large enough
                if status != 2 or "Traceback" in text or "No space left" not in last:
                    told.faults.append(f"{size} kB: status {status}: {text[-300:]!r}")
                    continue
                subprocess.run(["mount", "-o", "remount,size=64m", str(work / "run")], check=True)
                why = ran(work, f"{words} --resume") or difference(wanted, work)
                if why:
                    told.faults.append(f"{size} kB, with space again: {why}")
    return told


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A file system of `size` kB at `folder`."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def main_() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--points", nargs="*", metavar="COMMAND", help="kill each operation")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="random kills")
    parser.add_argument("--full", action="store_true", help="disks of 28 sizes")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warm()
    if args.points is not None:
        for command in COMMANDS:
            if not args.points or command.name in args.points:
                _say(command.name, points(command))
    if args.random:
        _say("random", at_random(args.random))
    if args.full:
        _say("full disk", full_disk(SIZES))


SIZES = tuple(range(8, 8 + 28 * 8, 8))


def _say(name: str, told: Told) -> None:
    print(f"{name}: {told.points} tried, {len(told.faults)} faults", flush=True)
    for fault in told.faults[:20]:
        print(f"  {fault}", flush=True)


if __name__ == "__main__":
    main_()
