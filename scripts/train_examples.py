"""Train the three small runs that ship with the package: `example:vae` and so on.

    python -m scripts.train_examples [NAME ...]

Each takes about two minutes on one core and is bit-identical on the same machine. Writes
src/ptheta/examples/NAME: config.json, model.safetensors (float16), data.safetensors (hashes of the
training images) and metrics.jsonl. There is no training state, so the runs cannot be resumed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ptheta
from ptheta.files.tensors import load_metadata, load_tensors, save_tensors
from ptheta.runs.examples import PLACE
from ptheta.runs.folder import RECORD

# name -> model and options
TRAINED: dict[str, tuple[str, dict[str, Any]]] = {
    "vae": (
        "vae",
        {"hidden": (160, 80), "latent": 8, "batch_size": 64, "steps": 10_000, "lr": 2e-3},
    ),
    "pixelcnn": (
        "pixelcnn",
        {
            "features": 48,
            "blocks": 4,
            "first_kernel": 15,
            "kernel": 7,
            "head": 48,
            "position": True,
            "lr": 3e-3,
            "batch_size": 16,
            "steps": 1500,
            "ema": 0.99,
        },
    ),
    "gan": (
        "dcgan",
        {
            "latent": 64,
            "features": 16,
            "dense": 128,
            "lr": 1e-3,
            "d_lr": 2e-4,
            "batch_size": 64,
            "steps": 3000,
            "ema": 0.995,
            "schedule": "constant",
        },
    ),
}
COMMON: dict[str, Any] = {
    "levels": 4,
    "seed": 0,
    "schedule": "cosine",
    "evaluate_every": 0,
    "sample_every": 0,
    "checkpoint_every": 100_000,
}
LINES = 30  # lines kept of metrics.jsonl
KEPT = ("config.json", "metrics.jsonl", RECORD)


def main(names: list[str]) -> None:
    for name in names:
        model, options = TRAINED[name]
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            asked = {**COMMON, "log_every": options["steps"] // LINES, **options}
            run = ptheta.train(model, "digits", Path(folder) / name, **asked)
            keep(run.path, PLACE / name)
        size = sum(file.stat().st_size for file in (PLACE / name).iterdir())
        print(f"{name}: {time.process_time() - began:.0f} s, {size / 1e6:.2f} MB", flush=True)


def keep(run: Path, place: Path) -> None:
    """Copy the files needed to use a run, with float16 weights."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name in KEPT:
        shutil.copyfile(run / name, place / name)
    weights = run / "model.safetensors"
    halved = {
        key: value.half() if value.is_floating_point() else value
        for key, value in load_tensors(weights).items()
    }
    save_tensors(place / weights.name, halved, load_metadata(weights))


if __name__ == "__main__":
    odd = set(sys.argv[1:]) - TRAINED.keys()
    if odd:
        raise SystemExit(__doc__)
    main(sys.argv[1:] or list(TRAINED))
