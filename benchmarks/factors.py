"""The mutual information gap of codes on scenes of one object: vae, beta-vae, beta-tcvae, floors.

    python benchmarks/factors.py FOLDER [SEED ...]

Trains what is not in FOLDER yet, measures what is there, and writes results/factors.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import ptheta
from ptheta.extractors.table import load_extractor
from ptheta.metrics.context import Context
from ptheta.metrics.factors import OF_FACTORS
from ptheta.metrics.likelihood import bound_terms

OUT = Path(__file__).parent / "results" / "factors.json"
COMMON: dict[str, Any] = {
    "where": ("objects=1",),
    "size": 16,
    "net": "conv",
    "features": 16,
    "latent": 10,
    "batch_size": 128,
    "likelihood": "gaussian",
    "sigma": "fixed",
    "scale": 0.2,
    "lr": 1e-3,
    "schedule": "cosine",
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "untrained": ("vae", {"steps": 1}),
    "vae": ("vae", {"steps": 3000}),
    "betavae": ("vae", {"steps": 3000, "beta": 6.0}),
    "tcvae": ("beta-tcvae", {"steps": 3000, "tc": 6.0}),
}


def measured(run: ptheta.Run) -> dict[str, Any]:
    """The gaps with their standard errors, and the terms of the bound, on test scenes."""
    model, test = run.model(), run.data("test")
    gaps = OF_FACTORS[0].results(Context(test, load_extractor("pixels"), model=model))
    terms = bound_terms(model, test)
    return {
        **{gap.metric: [gap.value, gap.error] for gap in gaps},
        **{name: terms[name][0] for name in ("reconstruction", "kl")},
        "scenes": len(test),
    }


def main(folder: Path, seeds: list[int]) -> None:
    found = {}
    for seed in seeds:
        for name, (model, options) in MODELS.items():
            place = folder / f"{name}-{seed}"
            if not (place / "model.safetensors").exists():
                ptheta.train(model, "shapes", place, seed=seed, **(COMMON | options))
            found[f"{name}, seed {seed}"] = measured(ptheta.Run.open(place))
            print(name, seed, found[f"{name}, seed {seed}"], flush=True)
            OUT.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(seed) for seed in sys.argv[2:]] or [0, 1])
