"""Normalising flows: bits/dim of MNIST over training, NaN by seed and rate, speed of sampling.

    python -m benchmarks.flows bits MNIST | nan | speed

Each part writes its key of `benchmarks/results/flows.json`.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

import ptheta
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec

RESULTS = Path(__file__).parent / "results" / "flows.json"
FLOWS = ("nice", "realnvp", "glow", "maf")
SEEDS, RATES, STEPS = 20, (1e-4, 1e-3, 1e-2), 40
SMALL = {
    "nice": {"hidden": (64, 64)},
    "realnvp": {"scales": 2, "depth": 2, "features": (8,)},
    "glow": {"scales": 2, "depth": 4, "features": (8,)},
    "maf": {"hidden": (64,), "transforms": 3},
}
IMAGES, DIMS, TRANSFORMS, HIDDEN, ROUNDS = 64, 784, 5, (512, 512), 3


def write(part: str, found: object) -> None:
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**known, part: found}, indent=1) + "\n")


def bits(data: str) -> None:
    """The recipe `ten-minutes` of glow, and its bound on the test images."""
    began, cpu = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = ptheta.train("glow", data, Path(folder) / "run", recipe="ten-minutes")
        lines = (run.path / "metrics.jsonl").read_text().splitlines()
        minutes = [(time.monotonic() - began) / 60, (time.process_time() - cpu) / 60]
        found = ptheta.evaluate(run, metrics=["bits_per_dim"])
    write("bits", {"minutes": minutes[0], "cpu_minutes": minutes[1], "found": str(found)})
    write("curve", [json.loads(line) for line in lines])


def nan() -> None:
    """How many of the short runs end with a loss that is not finite, by model and learning rate."""
    torch.set_num_threads(1)
    table: dict[str, dict[str, int]] = {name: {} for name in FLOWS}
    for name in FLOWS:
        for rate in RATES:
            lost = 0
            for seed in range(SEEDS):
                with tempfile.TemporaryDirectory() as folder:
                    lost += not _ends(name, rate, seed, Path(folder) / "run")
            table[name][f"{rate:g}"] = lost
            print(name, rate, lost, flush=True)
            write("nan", {"runs": SEEDS, "steps": STEPS, "lost": table})


def _ends(name: str, rate: float, seed: int, folder: Path) -> bool:
    train = {"steps": STEPS, "batch_size": 32, "evaluate_every": 0, "sample_every": 0, "clip": 50.0}
    try:
        run = ptheta.train(name, "digits", folder, seed=seed, lr=rate, **train, **SMALL[name])
    except PthetaError:
        return False
    return all(bool(p.isfinite().all()) for p in run.model.parameters())


def speed() -> None:
    """64 images of 784 numbers drawn by five masked networks, here and by zuko, in turn."""
    from zuko.flows import MAF

    torch.set_num_threads(1)
    spec = ImageSpec(1, 28, 28)
    ours = ptheta.create("maf", spec, transforms=TRANSFORMS, hidden=HIDDEN).eval()
    theirs = MAF(DIMS, transforms=TRANSFORMS, hidden_features=HIDDEN).eval()
    rivals: dict[str, Callable[[], object]] = {
        "ptheta": lambda: ours.sample(IMAGES),
        "zuko": lambda: theirs().sample((IMAGES,)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    with torch.no_grad():
        for _ in range(ROUNDS):
            for name, draw in rivals.items():
                began = time.process_time()
                draw()
                seconds[name].append(time.process_time() - began)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    ratio = medians["zuko"] / medians["ptheta"]
    write("speed", {"seconds": seconds, "medians": medians, "ratio": ratio})
    print(medians, ratio)


if __name__ == "__main__":
    {"bits": bits, "nan": nan, "speed": speed}[sys.argv[1]](*sys.argv[2:])  # type: ignore[operator]
