"""Generators that are matched to the data by a kernel, beside the GAN: the same time for each.

    python -m benchmarks.matching --runs FOLDER [--data mnist] [--minutes 8] [--seeds 3] [-n 5000]

Every model trains for the same minutes on one thread, on images of 2 levels (one fixed binarisation
of training and test images), as in `benchmarks.families`. Runs that are there are gone on with.
Writes what the metrics of distance say of each, with the seconds of the processor that its training
took, to benchmarks/results/matching.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from ptheta import api
from ptheta.runs.folder import Run

# name of the run -> the model, its recipe, and options
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gan": ("gan", "five-minutes", {}),
    "gmmn": ("gmmn", "eight-minutes", {}),
    "gmmn-mmd": ("gmmn", "eight-minutes", {"matching": "mmd"}),
    "gmmn-pixels": ("gmmn", "pixels", {}),
    "wae-mmd": ("wae-mmd", "default", {}),
}
SHOWN = ("kd_digits", "fd_digits", "precision_digits", "recall_digits", "score_digits")


def trained(name: str, options: argparse.Namespace, seed: int) -> Run:
    """The run of a model, and beside it how much of a processor it had."""
    model, recipe, own = MODELS[name]
    folder = options.runs / f"{name}-{seed}"
    started = time.process_time()
    run = api.train(
        model,
        options.data,
        folder,
        recipe=recipe,
        resume=True,
        seed=seed,
        minutes=options.minutes,
        threads=1,
        **{"levels": 2, "dynamic": False, "sample_every": 0, "checkpoint_every": 2000, **own},
    )
    spent = folder / "processor-seconds"
    if not spent.exists():
        spent.write_text(f"{time.process_time() - started:.0f}\n")
    return run


def measured(run: Run, options: argparse.Namespace) -> dict[str, Any]:
    """Value and error of each metric that is shown."""
    found = api.evaluate(run, data=options.data, n=options.number)
    rows: dict[str, Any] = {
        r.metric: {"value": r.value, "error": r.error}
        for r in found.results
        if r.metric in SHOWN and r.value is not None
    }
    rows["processor_seconds"] = int((run.path / "processor-seconds").read_text())
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("-n", "--number", type=int, default=5000)
    parser.add_argument("--only", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/matching.json"))
    options = parser.parse_args()
    found: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for seed in range(options.seeds):
        for name in options.only:
            run = trained(name, options, seed)
            found.setdefault(name, {})[str(seed)] = measured(run, options)
            print(name, seed, found[name][str(seed)], flush=True)
            options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
