"""Two checkouts of ptheta in turn: what a change of the code costs in training and sampling.

    python -m benchmarks.revisions OTHER_CHECKOUT [--rounds 20] [--only NAME] [--out FILE.json]

Each contender has one process per checkout, which stays; the two take turns, and which of them goes
first alternates. The ratio is taken pair by pair (seconds of this checkout over those of the
other), so that a drift of the machine's speed leaves it alone; its interval is that of the median
by order statistics.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parents[1]
STEPS = {"vae": 250, "dcgan": 20, "wgan-gp": 15, "pixelcnn": 8, "made": 160}
SAMPLED = {"pixelcnn": 64, "made": 512, "diagonal-bilstm": 16}  # images per round
JOBS = (*(f"train {name}" for name in STEPS), *(f"sample {name}" for name in SAMPLED))

WORKER = """
import sys, time, torch
torch.set_num_threads(1)
import ptheta
from benchmarks.training import by_trainer
from ptheta.data import open_data
verb, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
data = open_data("digits", levels=256 if "gan" in name else 2)
torch.manual_seed(0)
model = ptheta.create(name, data.spec)
train = by_trainer(model, data, 64, count) if verb == "train" else None
for line in sys.stdin:
    torch.manual_seed(1)
    if train is not None:
        seconds = count * 64 / train()
    else:
        model.eval()
        start = time.perf_counter()
        with torch.no_grad():
            model.sample(count)
        seconds = time.perf_counter() - start
    print("took", seconds, flush=True)
"""


class Checkout:
    """A process that does one job with the code of one checkout, once per request."""

    def __init__(self, root: Path, job: str) -> None:
        verb, name = job.split()
        count = (STEPS if verb == "train" else SAMPLED)[name]
        paths = os.pathsep.join((str(root / "src"), str(root)))
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, verb, name, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=root,
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            text=True,
        )

    def seconds(self) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print("go", file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            if line.startswith("took "):
                return float(line.split()[1])
        raise SystemExit(f"a process of the benchmark ended: {self.process.wait()}")

    def close(self) -> None:
        self.process.communicate()


def paired(job: str, other: Path, rounds: int) -> dict[str, float | int]:
    """Medians of both and the ratio here / there with its interval (about 95 %)."""
    contenders = [Checkout(HERE, job), Checkout(other, job)]
    times: list[list[float]] = [[], []]
    for k in range(-1, rounds):
        for i in (0, 1) if k % 2 else (1, 0):
            taken = contenders[i].seconds()
            if k >= 0:  # the first round warms up
                times[i].append(taken)
    for contender in contenders:
        contender.close()
    ratios = sorted(a / b for a, b in zip(*times, strict=True))
    reach = int(0.98 * rounds**0.5)  # of the binomial's normal form
    low, high = max(0, (rounds - 1) // 2 - reach), min(rounds - 1, rounds // 2 + reach)
    return {
        "here_s": round(statistics.median(times[0]), 3),
        "other_s": round(statistics.median(times[1]), 3),
        "ratio": round(statistics.median(ratios), 3),
        "low": round(ratios[low], 3),
        "high": round(ratios[high], 3),
        "pairs": rounds,
    }


def revision(root: Path) -> str:
    asked = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("other", type=Path, help="the other checkout of this repository")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="", help="jobs whose name contains this")
    parser.add_argument("--out", type=Path, help="also write the figures here, as JSON")
    args = parser.parse_args()
    result: dict[str, object] = {
        "command": "python -m benchmarks.revisions OTHER_CHECKOUT",
        "here": revision(HERE),
        "other": revision(args.other),
        "torch": torch.__version__,
        "cpu": platform.processor() or platform.machine(),
        "threads": 1,
    }
    for job in JOBS:
        if args.only in job:
            result[job] = row = paired(job, args.other.resolve(), args.rounds)
            print(f"{job:16}", *(f"{key} {value}" for key, value in row.items()), flush=True)
            if args.out:
                args.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
