"""Normalising flows: bits/dim of MNIST over training, NaN by seed and rate, speed of sampling.

    python -m benchmarks.flows bits RUN | nan | speed

Each part writes its key of `benchmarks/results/flows.json`.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import torch

import ptheta
from ptheta.batch import Batch
from ptheta.metrics.likelihood import likelihood
from ptheta.runs.folder import Run
from ptheta.specs import ImageSpec

RESULTS = Path(__file__).parent / "results" / "flows.json"
FLOWS = ("nice", "realnvp", "glow", "maf")
SEEDS, RATES, STEPS = 20, (1e-4, 1e-3, 1e-2), 30
SMALL: dict[str, dict[str, Any]] = {
    "nice": {"hidden": (64, 64)},
    "realnvp": {"scales": 2, "depth": 2, "features": (8,)},
    "glow": {"scales": 2, "depth": 4, "features": (8,)},
    "maf": {"hidden": (64,), "transforms": 3},
}
BATCH, CLIP = 16, 50.0
IMAGES, DIMS, TRANSFORMS, HIDDEN, ROUNDS = 64, 784, 5, (512, 512), 2


def write(part: str, found: object) -> None:
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**known, part: found}, indent=1) + "\n")


def bits(folder: str) -> None:
    """Of a run of the recipe `ten-minutes` of glow: the curve, and the bound on the test images."""
    run = Run.open(folder)
    found = likelihood(run.model(), run.data("test"), is_k=1, batch_size=250)
    assert found is not None
    value, error = found.bits(DIMS)
    write("bits", {"value": value, "error": error, "images": found.images, "curve": run.metrics()})
    print(value, error)


def nan() -> None:
    """How many of the short runs have a loss or a weight that is not finite, by model and rate."""
    torch.set_num_threads(1)
    data = ptheta.open_data("digits")
    x = data.batch(slice(0, len(data))).x
    table: dict[str, dict[str, int]] = {name: {} for name in FLOWS}
    for name, rate in product(FLOWS, RATES):
        lost = sum(not _ends(name, x, rate, seed) for seed in range(SEEDS))
        table[name][f"{rate:g}"] = lost
        print(name, rate, lost, flush=True)
    write("nan", {"runs": SEEDS, "steps": STEPS, "batch": BATCH, "lost": table})


def _ends(name: str, x: torch.Tensor, rate: float, seed: int) -> bool:
    """Whether the loss of every step and all weights after the last one are finite."""
    torch.manual_seed(seed)
    spec = ImageSpec(1, *x.shape[2:])
    model: Any = ptheta.create(name, spec, lr=rate, **SMALL[name])
    weights = list(model.parameters())
    adam = torch.optim.Adam(weights, lr=rate)
    model.start(Batch(x[:IMAGES]))
    for _ in range(STEPS):
        loss = -model.elbo(x[torch.randint(len(x), (BATCH,))]).mean()
        if not bool(loss.isfinite()):
            return False
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        adam.step()
    return all(bool(p.isfinite().all()) for p in weights)


def speed() -> None:
    """64 images of 784 numbers drawn by five masked networks, here and by zuko, in turn."""
    from zuko.flows import MAF

    torch.set_num_threads(1)
    spec = ImageSpec(1, 28, 28)
    ours: Any = ptheta.create("maf", spec, transforms=TRANSFORMS, hidden=HIDDEN).eval()
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
    if sys.argv[1] == "bits":
        bits(sys.argv[2])
    else:
        {"nan": nan, "speed": speed}[sys.argv[1]]()
