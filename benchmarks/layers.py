"""KL by layer and depth: plain hierarchical VAEs and ladders on digits of 2 levels.

    python benchmarks/layers.py FOLDER [SEED ...]

Trains what is not in FOLDER yet, measures all, and writes results/layers.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import ptheta
from ptheta.metrics.likelihood import likelihood

OUT = Path(__file__).parent / "results" / "layers.json"
DEPTHS = {2: (32, 16), 3: (32, 16, 8), 5: (32, 16, 8, 8, 4)}
COMMON: dict[str, Any] = {
    "levels": 2,
    "steps": 1500,
    "batch_size": 128,
    "lr": 1e-3,
    "schedule": "cosine",
    "hidden": (256,),
    "units": (256, 128, 64),
    "evaluate_every": 0,
}
WARM = {"batch_norm": True, "beta_warmup": 750}
WAYS: dict[str, dict[str, Any]] = {
    "plain": {"bottom_up": True},
    "ladder": {},
    "plainbn": {"bottom_up": True, **WARM},
    "ladderbn": WARM,
}


def measured(run: ptheta.Run) -> dict[str, Any]:
    """KL by layer, and -log p by 50 importance samples, on the test digits."""
    (found,) = ptheta.layers(run, 1000).runs
    nll = likelihood(run.model(), run.data("test"), is_k=50)
    assert nll is not None
    return {**found.to_json(), "nll": [nll.nats, nll.error]}


def main(folder: Path, seeds: list[int]) -> None:
    found = {}
    for seed in seeds:
        for depth, layers in DEPTHS.items():
            for way, options in WAYS.items():
                place = folder / f"{way}-{depth}-{seed}"
                if not (place / "model.safetensors").exists():
                    every = COMMON | options | {"layers": layers, "seed": seed}
                    ptheta.train("ladder-vae", "digits", place, **every)
                found[place.name] = measured(ptheta.Run.open(place))
                print(json.dumps(found[place.name]), flush=True)
                OUT.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(seed) for seed in sys.argv[2:]] or [0])
