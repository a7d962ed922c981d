"""All families on the same points in the plane, of known density: one time for each, some seeds.

    python -m benchmarks.toys --runs FOLDER [--seconds 30] [--seeds 3] [--only gan vae ...]

A model that has a density, and no bound of one, is held against the true one on a grid: KL(data ||
model) is exact. All are held against it by samples: modes, two-sample tests, and the maximum mean
discrepancy, beside samples of floors and of the truth itself. The time is that of one processor: a
step of each model is timed first, so that what else the machine does changes nothing. Runs that are
there are gone on with. Writes benchmarks/results/toys.json: of every number the mean over seeds and
the half of Student's 95 % interval, and each run's own.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ptheta
from benchmarks.seeds import over_seeds, steps_within, summary
from ptheta.capabilities import Samples
from ptheta.measures.results import Evaluation
from ptheta.metrics.baselines import OF_VECTORS
from ptheta.metrics.evaluate import evaluate_images, real_baseline
from ptheta.models import registry
from ptheta.models.base import Fits
from ptheta.runs.folder import Run

TOYS = ("points-ring", "points-moons", "points-checkerboard")
SAMPLES = 5000
MLP = {"net": "mlp", "hidden": (128, 128), "latent": 2, "lr": 2e-3}
# model -> its recipe, and options where it has no recipe for points
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "gaussian": ("default", {}),
    "mixture": ("points", {}),
    "kde": ("points", {}),
    "nice": ("points", {}),
    "realnvp": ("points", {}),
    "glow": ("points", {}),
    "maf": ("points", {}),
    "made": ("points", {}),
    "vae": ("points", {}),
    "iwae": ("default", {**MLP, "samples": 5, "components": 5, "batch_size": 256}),
    "ddpm": ("points", {}),
    "flow-matching": ("points", {}),
    "rbm": ("points", {}),
    "gsn": ("points", {}),
    "gan": ("points", {}),
    "gmmn": ("points", {}),
    "wae-mmd": ("points", {}),
    "aae": ("default", {**MLP, "batch_size": 256}),
    "ae": ("default", {**MLP, "batch_size": 256}),
}
NUMBERS = (
    "kl",
    "reverse_kl",
    "total_variation",
    "nll",
    "modes_found",
    "good_samples",
    "mode_balance",
    "mmd",
    "two_sample_auc",
    "sampling_speed",
    "parameters",
)


def trained(name: str, toy: str, folder: Path, steps: int | None, seed: int) -> Run:
    """steps: None for a model that is fitted, and ends by itself"""
    recipe, options = MODELS[name]
    length = {} if steps is None else {"steps": steps, "epochs": None, "minutes": None}
    return ptheta.train(
        name,
        toy,
        folder,
        recipe=recipe,
        resume=folder.exists(),
        seed=seed,
        threads=1,
        **{"sample_every": 0, "evaluate_every": 0, **length, **options},
    )


def steps_of(name: str, toy: str, seconds: float) -> int | None:
    if issubclass(registry.entry(name).load_model(), Fits):
        return None
    return steps_within(seconds, lambda folder, steps: trained(name, toy, folder, steps, 0))


def numbers(evaluation: Evaluation) -> dict[str, float]:
    """Those of `NUMBERS` that are defined; what a likelihood is, by its relation."""
    found = {}
    for result in evaluation.results:
        if result.metric in NUMBERS and result.value is not None:
            bound = {"<=": " (bound)", "~": " (estimate)"}.get(result.relation, "")
            found[result.metric + bound] = float(result.value)
    return found


def one_run(name: str, toy: str, folder: Path, steps: int | None, seed: int) -> dict[str, float]:
    start = time.process_time()
    run = trained(name, toy, folder, steps, seed)
    if not isinstance(run.model(prior="own"), Samples):
        ptheta.fit(folder)
    seconds = time.process_time() - start
    found = numbers(ptheta.evaluate(run, n=SAMPLES))
    done = max((line["step"] for line in run.metrics()), default=0.0)
    return {**found, "seconds": seconds, "steps": done}


def floors(run: Run) -> Iterator[tuple[str, Evaluation]]:
    """What samples that nothing was learned for get."""
    train, test = run.data("train"), run.data("test")
    for name, baseline in OF_VECTORS.items():
        if name != "test set, copied":
            x = baseline(train, test, SAMPLES, 0)
            yield name, evaluate_images(x, test, train, n=SAMPLES)
    yield "real rows", real_baseline(test, train, n=SAMPLES)


def of_toy(toy: str, options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in options.only:
        rows = []
        steps = steps_of(name, toy, options.seconds)
        for seed in range(options.seeds):
            print(toy, name, seed, flush=True)
            folder = options.runs / toy / f"{name}-{seed}"
            rows.append(one_run(name, toy, folder, steps, seed))
        yield name, over_seeds(rows)
    run = Run.open(options.runs / toy / f"{options.only[0]}-0")
    for name, evaluation in floors(run):
        yield name, {k: summary([v]) for k, v in numbers(evaluation).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=30.0, help="of processor time")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--toys", nargs="+", default=list(TOYS), choices=TOYS)
    there = [name for name in MODELS if registry.known(name)]
    parser.add_argument("--only", nargs="+", default=there, choices=there)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/toys.json"))
    options = parser.parse_args()
    found = json.loads(options.out.read_text()) if options.out.exists() else {}
    for toy in options.toys:
        for name, row in of_toy(toy, options):
            found.setdefault(toy, {})[name] = row
            options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
