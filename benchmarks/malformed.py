"""Malformed input of every kind, each in a process of its own: how often the answer is one line.

    python -m benchmarks.malformed [--seed 0] [--only SURFACE] [--out FILE.json]

A case damages a copy of a small world (runs, a sweep, arrays, pictures) and calls a verb of the
command line. It is right where the status is not 0 and stderr holds exactly one line that is no
warning, without a traceback, in time and within memory. Damage that does no harm, such as a broken
line of metrics.jsonl, may also end with status 0. Cases are forked from a process that has torch
imported: 800 of them take some minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.forked import fork, send_to, wait
from benchmarks.malformed_cases import Case, every_case, make_world
from ptheta.cli import main as command
from ptheta.errors import PthetaError

SECONDS = 60.0  # in which a case must end
MEMORY = 4 * 2**30  # bytes that a case may take beyond what it starts with
# the lines of a training: a title (model on data), two spaces, and what there is to tell
# and how far a longer work is
TOLD = re.compile(r"ptheta: warning: |\S+ on .*?  |\d+ of \d+: |[\w ]+, \d+ %$")


@dataclass(frozen=True)
class Verdict:
    """fault: why the answer is not right; empty where it is. said: the end of stderr"""

    case: Case
    fault: str
    said: str
    seconds: float


def judge(case: Case, world: Path, place: Path) -> Verdict:
    """Damages a copy of `world` in the empty folder `place` and runs the case there."""
    shutil.copytree(world, place, dirs_exist_ok=True, symlinks=True)
    case.damage(place)
    started = time.monotonic()
    status = _run(case, place)
    seconds = time.monotonic() - started
    said = (place / ".stderr").read_text(encoding="utf-8", errors="replace")
    return Verdict(case, _fault(case, status, said), said[-400:].strip(), round(seconds, 2))


def run(seed: int = 0, only: str = "", tell: bool = False) -> dict[str, Any]:
    """Runs every case. {"cases", "right", "by_surface", "failures", "seed"}.

    only: the surfaces in whose name this pattern is found; tell: print each failure as it is found
    """
    torch.set_num_threads(1)
    counts: dict[str, Counter[str]] = {}
    failures = []
    with tempfile.TemporaryDirectory(prefix="ptheta-malformed-") as folder:
        root = Path(folder)
        world = root / "world"
        make_world(world)
        for number, case in enumerate(_chosen(every_case(seed), only)):
            place = root / str(number)
            place.mkdir()
            found = judge(case, world, place)
            shutil.rmtree(place, ignore_errors=True)
            kind = found.fault.partition(":")[0] or "right"
            counts.setdefault(case.surface, Counter())[kind] += 1
            if found.fault:
                failures.append(_record(found))
                if tell:
                    print(json.dumps(failures[-1]), flush=True)
    total = Counter[str]()
    for some in counts.values():
        total += some
    return {
        "cases": total.total(),
        "right": total["right"],
        "seed": seed,
        "by_surface": {name: dict(sorted(some.items())) for name, some in sorted(counts.items())},
        "failures": failures,
    }


def _chosen(cases: Iterable[Case], only: str) -> list[Case]:
    return [case for case in cases if re.search(only, case.surface)]


def _record(found: Verdict) -> dict[str, Any]:
    about = {"surface": found.case.surface, "case": found.case.name, "fault": found.fault}
    return about | {"said": found.said, "seconds": found.seconds}


def _run(case: Case, place: Path) -> int | None:
    """The status of the case's command in a process of its own; None where it did not end."""
    return wait(fork(partial(_call, case, place)), SECONDS)


def _call(case: Case, place: Path) -> int:
    """Runs the command of a case, in a process of its own."""
    os.chdir(place)
    os.environ |= {"PTHETA_CACHE": str(place / "cache"), "HF_HUB_OFFLINE": "1"}
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    send_to(1, ".stdout")
    send_to(2, ".stderr")
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="replace", closefd=False)
    if case.call is None:
        command(list(case.argv))
    else:
        try:
            case.call()
        except PthetaError as error:  # of what is called from Python
            print(f"ptheta: {error}", file=sys.stderr)
            return 2
    return 0


def _fault(case: Case, status: int | None, said: str) -> str:
    """Why this is not the right answer; empty where it is."""
    lines = [line for line in said.splitlines() if line.strip() and not TOLD.match(line)]
    if status is None:
        return "no end"
    if "Traceback (most recent call last)" in said:
        return f"traceback: {lines[-1][:200]}"
    if status < 0:
        return f"killed: by signal {-status}"
    if status == 0:
        return "" if case.may_pass else "accepted"
    return "" if len(lines) == 1 else f"lines: {len(lines)}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="surfaces in whose name this pattern is found")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = run(options.seed, options.only, tell=True)
    for surface, counts in found["by_surface"].items():
        print(f"{surface}: {counts}")
    print(f"{found['right']} of {found['cases']} right")
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    sys.exit(found["right"] != found["cases"])


if __name__ == "__main__":
    main()
