"""Diffusion, flow matching and a GAN on digits: the same processor time for each.

    python -m benchmarks.diffusion --runs FOLDER [--data digits] [--minutes 20] [-n 3000]
        [--only ddpm dcgan] [--seeds 0 1 2]

A step of each model is timed first, so that its training takes about these minutes of one
processor, whatever else the machine does. Runs that are there are not trained again, and a run
that was stopped goes on. Writes the numbers of distance of each model and seed to
benchmarks/results/diffusion.json, and prints their means with half of Student's interval.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import ptheta
from benchmarks.seeds import over_seeds, steps_within
from ptheta.metrics.conditions import draw
from ptheta.metrics.evaluate import evaluate_images
from ptheta.runs.folder import Run

# model -> its recipe, and options
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddpm": ("ten-minutes", {}),
    "flow-matching": ("ten-minutes", {}),
    "dcgan": ("default", {"batch_size": 64, "features": 16, "latent": 64, "dense": 512}),
}
SHOWN = ("kd_digits", "fd_digits", "precision_digits", "recall_digits", "coverage_digits")
PROBES = (2, 2, 12)


def train(name: str, folder: Path, steps: int, seed: int, options: argparse.Namespace) -> Run:
    recipe, own = MODELS[name]
    length = {"steps": steps, "minutes": None, "epochs": None}
    quiet = {"sample_every": 0, "evaluate_every": 0, "threads": 1}
    return ptheta.train(
        name,
        options.data,
        folder,
        recipe=recipe,
        resume=folder.exists(),
        seed=seed,
        **{**quiet, **length, **own},
    )


def trained(name: str, seed: int, options: argparse.Namespace) -> Run:
    """The run of a model; one that was stopped goes on to the number of steps that was found."""
    folder = options.runs / f"{name}-{seed}"
    found = options.runs / f"{name}.steps"
    if not found.exists():
        options.runs.mkdir(parents=True, exist_ok=True)
        steps = steps_within(
            60 * options.minutes, lambda place, n: train(name, place, n, 0, options), PROBES
        )
        found.write_text(str(steps))
    return train(name, folder, int(found.read_text()), seed, options)


def measured(run: Run, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Value and error of each metric that is shown, and what they cost."""
    started = time.process_time()
    test = run.data("test", options.data)
    samples = draw(run.model(), test, options.number, seed)
    found = evaluate_images(samples, test, run.data("train", options.data))
    row: dict[str, Any] = {
        r.metric: {"value": r.value, "error": r.error}
        for r in found.results
        if r.metric in SHOWN and r.value is not None
    }
    row["evaluation_seconds"] = round(time.process_time() - started)
    return {"seed": seed, **row, "minutes": options.minutes, "steps": run.plan.train.steps}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("-n", "--number", type=int, default=3000)
    parser.add_argument("--only", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/diffusion.json"))
    options = parser.parse_args()
    table = json.loads(options.out.read_text()) if options.out.exists() else {}
    for name in options.only:
        rows = {row["seed"]: row for row in table.get(name, [])}
        for seed in options.seeds:
            rows[seed] = measured(trained(name, seed, options), seed, options)
            table[name] = [rows[seed] for seed in sorted(rows)]
            options.out.write_text(json.dumps(table, indent=1) + "\n")
            print(name, rows[seed], flush=True)
        values = [{key: row[key]["value"] for key in SHOWN} for row in table[name]]
        for key, (mean, half, _) in over_seeds(values).items():
            print(name, key, mean, "+-", half, flush=True)


if __name__ == "__main__":
    main()
