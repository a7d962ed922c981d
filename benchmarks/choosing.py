"""What a calibrated discriminator is worth: ratios, and samples chosen by them.

    python -m benchmarks.choosing --runs FOLDER [--seeds 0 1 2] [--steps N]

A `gan` of the recipe `points` on `points-grid25`, without the statistic of the minibatch, which no
ratio is read off with, is trained with each seed on one thread. Then: the slope of its log-ratio
before and after calibration, with intervals; and of 10,000 samples as they are, by rejection and by
Metropolis-Hastings the share that lies within three deviations of a mode, and the modes that are
found. The floor of chosen samples are the plain ones; that of ratios are small classifiers.

Every seed is written to benchmarks/results/choosing.json when it is there; seconds are of the
process.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import ptheta
from ptheta.data.vector_data import vectors_of
from ptheta.files.atomic import write_json
from ptheta.measures.modes import Mixture, reached
from ptheta.runs.folder import Run

RESULTS = Path(__file__).parent / "results" / "choosing.json"
DATA = "points-grid25"
SAMPLES = 10_000
CONFIG: dict[str, Any] = {
    "minibatch": "none",
    "d_hidden": (160, 160, 160),
    "critic_steps": 2,
    "lr": 5e-4,
    "d_lr": 1e-3,
    "instance_noise_steps": 26_000,
    "schedule": "constant",
    "steps": 32_000,
}


def trained(place: Path, seed: int, settings: dict[str, Any]) -> float:
    """Seconds of the training; 0 where it is there."""
    if (place / "model.safetensors").exists():
        return 0.0
    start = time.process_time()
    ptheta.train("gan", DATA, place, recipe="points", seed=seed, **settings)
    return time.process_time() - start


def modes(run: Run) -> Mixture:
    truth = vectors_of(run.data("test")).truth
    assert truth is not None
    assert truth.modes is not None
    assert truth.deviations is not None
    parts = (truth.modes, truth.deviations, np.asarray(truth.weights))
    return Mixture(*(torch.from_numpy(part) for part in parts))


def judged(x: Tensor, mixture: Mixture) -> dict[str, float]:
    found = reached(x, mixture)
    return {"good": found.good.double().mean().item(), "modes": float(found.found)}


def measured(place: Path) -> dict[str, Any]:
    """The ratio, and samples by each way."""
    run = Run.open(place)
    mixture, found = modes(run), ptheta.ratio(run).to_json()
    names = ("slope_before", "slope_after", "mean_ratio_of_samples", "kl_nats", "rated")
    result: dict[str, Any] = {name: found[name] for name in names}
    for way in (None, "drs", "mh"):
        start = time.process_time()
        drawn = ptheta.sample(run, SAMPLES, reject=way, seed=1)
        told = {**judged(drawn.x, mixture), "seconds": time.process_time() - start}
        result[way or "plain"] = {**told, "about": drawn.about}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    settings = {**CONFIG, **({} if asked.steps is None else {"steps": asked.steps})}
    found = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    for seed in asked.seeds:
        place = asked.runs / f"grid25-{seed}"
        seconds = trained(place, seed, settings)
        before = found.get(str(seed), {}).get("train_seconds", 0.0)
        found[str(seed)] = {"train_seconds": seconds or before, **measured(place)}
        write_json(RESULTS, found)
        print(seed, json.dumps(found[str(seed)], indent=1))


if __name__ == "__main__":
    main()
