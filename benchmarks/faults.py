"""All that can go wrong, tried and counted: `benchmarks/results/faults.json`.

    python -m benchmarks.faults [PART ...] [--random 200]

Parts: malformed (malformed input of every kind), points (a kill before every file operation of
every command that writes), random (kills of a training at random moments), full (disks of 28 sizes;
needs the right to mount one), machines (two agents of torchrun, of which processes, agents and the
network fail: hours). What was counted before stays where a part is not named, so the command may be
stopped and called again.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

import torch

import ptheta
from benchmarks import kills, machines, malformed

RESULTS = Path(__file__).parent / "results" / "faults.json"
PARTS = ("malformed", "points", "random", "full", "machines")


def main() -> None:
    parser = argparse.ArgumentParser(description="Counts faults.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--random", type=int, default=200, help="kills at random moments")
    parser.add_argument("--machines", type=int, default=20, help="trials of each fault of machines")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    if strange := set(args.parts) - set(PARTS):
        parser.error(f"no such part: {strange.pop()}; known: {', '.join(PARTS)}")
    torch.set_num_threads(1)
    kills.warm()
    found = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
    found["command"] = "python -m benchmarks.faults"
    found["versions"] = {
        "ptheta": ptheta.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    for part in args.parts or PARTS:
        for name, counts in _counted(part, args.random, args.machines):
            found.setdefault(part, {})[name] = counts
            print(f"{part}, {name}: {counts}", flush=True)
            args.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    sys.exit(any(counts["faults"] for part in PARTS for counts in found.get(part, {}).values()))


def _counted(part: str, times: int, trials: int) -> Any:
    """(what was tried, how often and with how many faults), one after another."""
    if part == "malformed":
        told = malformed.run(tell=True)
        for name, counts in told["by_surface"].items():
            tried = sum(counts.values())
            first = [f for f in told["failures"] if f["surface"] == name][:5]
            yield name, {"tried": tried, "faults": tried - counts.get("right", 0), "first": first}
    elif part == "points":
        for command in kills.COMMANDS:
            yield command.name, kills.points(command).to_json()
    elif part == "random":
        yield "train", kills.at_random(times).to_json()
    elif part == "machines":
        yield from machines.counted((), trials)
    else:
        yield "train", kills.full_disk(kills.SIZES).to_json()


if __name__ == "__main__":
    main()
