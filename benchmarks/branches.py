"""Models of every branch of the tree, some seeds of each, the same time for each, measured alike.

    python -m benchmarks.branches --runs FOLDER --data MNIST [--minutes 8] [--seeds 0 1 2]

Every model trains for the same minutes of one processor (a step of each is timed first), on images
of 2 levels (one fixed binarisation of training and test images), which all can do. Runs that are
there are gone on with, and what was measured of them is kept beside them, so that seeds may be
worked at side by side. Writes benchmarks/results/branches.json: of every number the mean over
seeds, the half of Student's 95 % interval, and each run's own; beside these what needs no
learning.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ptheta
from benchmarks.families import FAMILIES
from benchmarks.seeds import PASSES, PROBES, over_seeds, steps_within, summary
from ptheta.capabilities import Samples
from ptheta.measures.results import Evaluation
from ptheta.metrics.baselines import BASELINES
from ptheta.metrics.evaluate import evaluate_images, real_baseline
from ptheta.models import registry
from ptheta.models.base import Fits
from ptheta.models.taxonomy import place
from ptheta.runs.folder import Run

# model -> its recipe, and options
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "mixture": ("bernoulli", {}),
    "made": FAMILIES["made"][1:],
    "glow": ("ten-minutes", {"clip": 200.0, "warmup": 100}),
    "maf": ("default", {}),
    "vae": FAMILIES["vae"][1:],
    "rbm": ("default", {}),
    "gsn": ("walkback", {}),
    "gan": FAMILIES["gan"][1:],
    "gmmn": ("eight-minutes", {}),
    "wae-mmd": ("default", {}),
    "ae": FAMILIES["ae"][1:],
}
SAMPLES_OF_NOISE = {"glow": 1, "maf": 1}  # importance samples of the bound, where not 50
NUMBERS = (
    "bits_per_dim",
    "nll",
    "kd_digits",
    "fd_digits",
    "score_digits",
    "precision_digits",
    "recall_digits",
    "coverage_digits",
    "copying_z",
    "copying_z_digits",
    "sampling_speed",
    "parameters",
)
SIGNS = {"<=": " (bound)", "~": " (estimate)"}


def trained(name: str, data: str, folder: Path, steps: int, seed: int) -> Run:
    recipe, options = MODELS[name]
    usual = {"levels": 2, "dynamic": False, "sample_every": 0, "evaluate_every": 0}
    length = {"steps": steps, "epochs": None, "minutes": None}
    return ptheta.train(
        name,
        data,
        folder,
        recipe=recipe,
        resume=folder.exists(),
        seed=seed,
        threads=1,
        **{**usual, **length, **options},
    )


def steps_of(name: str, options: argparse.Namespace) -> int:
    """Timed once for all seeds."""
    known = options.runs / f"{name}.steps"
    if not known.exists():
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(str(timed(name, options.data, 60 * options.minutes)))
    return int(known.read_text())


def timed(name: str, data: str, seconds: float) -> int:
    probes = PASSES if issubclass(registry.entry(name).load_model(), Fits) else PROBES
    return steps_within(
        seconds, lambda folder, steps: trained(name, data, folder, steps, 0), probes
    )


def numbers(evaluation: Evaluation) -> dict[str, float]:
    """Those of `NUMBERS` that are defined; what a likelihood is, by its relation."""
    return {
        r.metric + SIGNS.get(r.relation, ""): float(r.value)
        for r in evaluation.results
        if r.metric in NUMBERS and r.value is not None
    }


def one_run(name: str, options: argparse.Namespace, seed: int) -> None:
    folder = options.runs / f"{name}-{seed}"
    row = folder / "row.json"
    if row.exists():
        return
    steps, start = steps_of(name, options), time.process_time()
    run = trained(name, options.data, folder, steps, seed)
    if not isinstance(run.model(prior="own"), Samples):
        ptheta.fit(folder)
    seconds = time.process_time() - start
    found = numbers(ptheta.evaluate(run, n=options.number, is_k=SAMPLES_OF_NOISE.get(name, 50)))
    done = max(line["step"] for line in run.metrics())
    row.write_text(json.dumps({**found, "seconds": seconds, "steps": done}))


def floors(run: Run, n: int) -> Iterator[tuple[str, Evaluation]]:
    """What samples that nothing was learned for get."""
    train, test = run.data("train"), run.data("test")
    for name, baseline in BASELINES.items():
        if name != "test set, copied":
            yield name, evaluate_images(baseline(train, test, n, 0), test, train, n=n)
    yield "real images", real_baseline(test, train, n=n)


def write(options: argparse.Namespace) -> None:
    """What is known so far, beside floors."""
    found: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for name in options.only:
        rows = [json.loads(p.read_text()) for p in sorted(options.runs.glob(f"{name}-?/row.json"))]
        entry = registry.entry(name)
        where = {"family": entry.family, "place": list(place(entry.load_model()))}
        if rows:
            found[name] = {**where, "minutes": options.minutes, **over_seeds(rows)}
    first = Run.open(options.runs / f"{options.only[0]}-{options.seeds[0]}")
    for name, evaluation in floors(first, options.number):
        found[name] = {k: summary([v]) for k, v in numbers(evaluation).items()}
    options.out.write_text(json.dumps(found, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("-n", "--number", type=int, default=5000)
    there = [name for name in MODELS if registry.known(name)]
    parser.add_argument("--only", nargs="+", default=there, choices=there)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/branches.json"))
    options = parser.parse_args()
    for seed in options.seeds:  # so that what is stopped has whole seeds
        for name in options.only:
            print(name, seed, flush=True)
            one_run(name, options, seed)
        write(options)


if __name__ == "__main__":
    main()
