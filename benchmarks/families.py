"""The comparison of all families: the same training time for each model, measured alike.

    python -m benchmarks.families grey --data MNIST --runs FOLDER [--minutes 0.5] [--jobs 1]
    python -m benchmarks.families colour --data CIFAR --runs FOLDER [--minutes 2] [--device cuda]

grey: every model that samples images, on images of 2 levels (one fixed binarisation of training and
test images), which all of them can learn, with one thread each. colour: one model of each branch,
256 levels. A run that is measured is not trained again, so the command may be stopped and called
again. Give `--jobs` no more than there are processors: the time is that of a clock. With `--repeat`
later seeds make the steps of seed 0, so that they may run on another or a busy machine. Writes
benchmarks/results/families_NAME.json: of every number the mean over seeds, the half of Student's
95 % interval, and each run's own; beside these what needs no learning.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import ptheta
from benchmarks.seeds import over_seeds, summary
from ptheta.capabilities import Samples
from ptheta.data.dataset import Dataset
from ptheta.files.images import grid, write_png
from ptheta.measures.results import Evaluation
from ptheta.metrics.baselines import BASELINES
from ptheta.metrics.conditions import draw
from ptheta.metrics.evaluate import context, evaluate_images, measured, real_baseline
from ptheta.metrics.metric import Section
from ptheta.metrics.table import METRICS
from ptheta.models import registry
from ptheta.models.taxonomy import place
from ptheta.runs.folder import Run
from ptheta.training.checkpoint import latest, step_of
from ptheta.training.processes import chosen_device

Recipes = dict[str, tuple[str, dict[str, Any]]]  # model -> its recipe, and options
OF_CODES = {"batch_size": 128, "schedule": "cosine"}
GREY: Recipes = {
    "gaussian": ("default", {}),
    "mixture": ("bernoulli", {}),
    "kde": ("bernoulli", {}),
    "nice": ("default", {}),
    "realnvp": ("default", {}),
    "glow": ("ten-minutes", {"clip": 200.0, "warmup": 100}),
    "maf": ("default", {}),
    "fvsbn": ("default", {}),
    "nade": ("relu", {}),
    "made": ("direct", {}),
    "pixelcnn": ("demo", {}),
    "multiscale-pixelcnn": ("default", {}),
    "gated-pixelcnn": ("five-minutes", {}),
    "pixelcnn++": ("default", {}),
    "row-lstm": ("default", {}),
    "diagonal-bilstm": ("default", {}),
    "image-transformer": ("default", {}),
    "vae": ("default", OF_CODES),
    "iwae": ("default", {**OF_CODES, "samples": 5}),
    "cvae": ("default", OF_CODES),
    "beta-tcvae": ("default", {}),
    "ladder-vae": ("digits", {}),
    "avb": ("default", {}),
    "vq-vae": ("digits", {}),
    "ddpm": ("ten-minutes", {}),
    "flow-matching": ("ten-minutes", {}),
    "rbm": ("default", {}),
    "dae": ("default", {}),
    "gsn": ("walkback", {}),
    "gan": ("five-minutes", {}),
    "dcgan": ("default", {}),
    "lsgan": ("default", {}),
    "wgan": ("default", {}),
    "wgan-gp": ("five-minutes", {}),
    "dragan": ("default", {}),
    "began": ("default", {}),
    "sngan": ("default", {}),
    "r3gan": ("default", {}),
    "cgan": ("default", {}),
    "acgan": ("default", {}),
    "projection-gan": ("default", {}),
    "progressive-gan": ("default", {}),
    "infogan": ("digits", {}),
    "aae": ("default", {}),
    "vae-gan": ("default", {"latent": 16, "beta": 20.0}),
    "alpha-gan": ("default", {}),
    "gmmn": ("eight-minutes", {}),
    "wae-mmd": ("default", {}),
    "ae": ("default", {**OF_CODES, "latent": 16}),
}
FLOWS = ("nice", "realnvp", "glow", "maf")
WITHOUT_LIKELIHOOD = ("flow-matching",)  # the steps of its ODE take hours of one processor
COLOUR: Recipes = {
    "sngan": ("default", {}),
    "vae": ("default", {}),
    "pixelcnn++": ("default", {}),
    "glow": ("default", {}),
    "ddpm": ("default", {}),
    "wae-mmd": ("default", {}),
}
NUMBERS = (
    "bits_per_dim",
    "nll",
    "kd",
    "fd",
    "score",
    "precision",
    "recall",
    "coverage",
    "copying_z",
    "sampling_speed",
    "parameters",
)
SIGNS = {"<=": " (bound)", "~": " (estimate)"}
FEW = 5  # importance samples of a likelihood bound: measuring must not outlast training
OF_FLOWS = 1  # the same for a flow, whose bound over the noise of its data is already tight
FIRST = 40  # samples that are drawn, ten in a row


@dataclass(frozen=True)
class Comparison:
    """models: with their recipes; levels: of the images; searched: training images among which
    copies are looked for; extractor: its name, None for that of the data"""

    models: Recipes
    levels: int
    searched: int
    extractor: str | None = None


COMPARISONS = {
    "grey": Comparison(GREY, 2, 60_000),
    "colour": Comparison(COLOUR, 256, 10_000, "efficientnet-lite0"),
}


def trained(name: str, options: argparse.Namespace, seed: int) -> Run:
    chosen: Comparison = options.comparison
    recipe, own = chosen.models[name]
    quiet = {"dynamic": False, "sample_every": 0, "evaluate_every": 0, "checkpoint_every": 0}
    folder = options.runs / f"{name}-{seed}"
    length = {"steps": None, "epochs": None, "minutes": None, **length_of(name, options)}
    how = {"threads": 1, "device": options.device}
    return ptheta.train(
        name,
        options.data,
        folder,
        recipe=recipe,
        resume=folder.exists(),
        seed=seed,
        levels=chosen.levels,
        **{**quiet, **length, **how, **own},
    )


def length_of(name: str, options: argparse.Namespace) -> dict[str, float | int]:
    """The time; with `--repeat`, as many steps as were made with seed 0 in this time."""
    first = options.runs / f"{name}-0" / "row.json"
    if options.repeat and first.exists():
        return {"steps": json.loads(first.read_text())["steps"]}
    return {"minutes": options.minutes / stages(name)}


def stages(name: str) -> int:
    """Trainings that share the time: a model of discrete codes needs one of their prior."""
    return 2 if name == "vq-vae" else 1


def fitted(run: Run, options: argparse.Namespace) -> None:
    """Fits a prior if a model does not sample without."""
    if stages(run.plan.model) == 2:
        ptheta.fit(
            run.path,
            model="pixelcnn",
            minutes=options.minutes / 2,
            evaluate_every=0,
            sample_every=0,
            threads=1,
            device=options.device,
        )
    elif not isinstance(run.model(prior="own"), Samples):
        ptheta.fit(run.path)


def one_run(name: str, options: argparse.Namespace, seed: int) -> None:
    """Trains and measures a model; its numbers and first samples are kept in its folder."""
    torch.set_num_threads(1)
    start = time.perf_counter()
    run = trained(name, options, seed)
    done = steps_of(run)
    fitted(run, options)
    seconds, start = time.perf_counter() - start, time.perf_counter()
    model = Run.open(run, device=options.device).model()
    train, test = of_run(run, options)
    samples = draw(model, test, options.number, seed)
    ctx = context(
        model,
        test,
        train,
        n=options.number,
        seed=seed,
        is_k=OF_FLOWS if run.plan.model in FLOWS else FEW,
        ais_images=0,
        samples=samples,
        extractor=options.comparison.extractor,
    )
    left_out = Section.LIKELIHOOD if name in WITHOUT_LIKELIHOOD else None
    found = measured(ctx, metrics=(m for m in METRICS.values() if m.section is not left_out))
    took = {"seconds": seconds, "evaluation_seconds": time.perf_counter() - start, "steps": done}
    write_png(run.path / "first.png", grid(samples[:FIRST], 10), 1)
    (run.path / "row.json").write_text(json.dumps({**numbers(found), **took}))


def steps_of(run: Run) -> int:
    last = latest(run.path / "state")
    assert last is not None, f"{run.path} has no checkpoint"
    return step_of(last)


def of_run(run: Run, options: argparse.Namespace) -> tuple[Dataset, Dataset]:
    """Training images, and as many test images as samples."""
    train, test = (run.data(split, options.data) for split in ("train", "test"))
    searched = min(len(train), options.comparison.searched)
    return train.subset(slice(0, searched)), test.subset(slice(0, options.number))


def numbers(evaluation: Evaluation) -> dict[str, float]:
    """Those of `NUMBERS` that are defined, without the name of their extractor; what a likelihood
    is, by its relation."""
    extractor = f"_{evaluation.protocol['extractor']}"
    found = {}
    for r in evaluation.results:
        name = r.metric.removesuffix(extractor) if r.metric != "copying_z" else "copying_z_pixels"
        if name in NUMBERS and r.value is not None:
            found[name + SIGNS.get(r.relation, "")] = float(r.value)
    return found


def floors(options: argparse.Namespace) -> Iterator[tuple[str, Evaluation]]:
    """What samples that nothing was learned for get."""
    found = next(options.runs.glob("*/row.json")).parent
    train, test = of_run(Run.open(found), options)
    n, by = options.number, options.comparison.extractor
    device = chosen_device(options.device)
    for name, baseline in BASELINES.items():
        if name != "test set, copied":
            samples = baseline(train, test, n, 0)
            yield name, evaluate_images(samples, test, train, n=n, extractor=by, device=device)
    yield "real images", real_baseline(test, train, n=n, extractor=by, device=device)


def write(options: argparse.Namespace) -> None:
    """What is known so far, beside floors."""
    models: dict[str, Any] = {}
    for name in options.comparison.models:
        rows = [json.loads(p.read_text()) for p in sorted(options.runs.glob(f"{name}-?/row.json"))]
        entry = registry.entry(name)
        where = {"family": entry.family, "place": list(place(entry.load_model()))}
        if rows:
            models[name] = {**where, **over_seeds(rows)}
    known = {
        name: {k: summary([v]) for k, v in numbers(evaluation).items()}
        for name, evaluation in floors(options)
    }
    about = {"minutes": options.minutes, "samples": options.number, "hardware": options.hardware}
    table = {"about": about, "models": models, "floors": known}
    options.out.write_text(json.dumps(table, indent=1) + "\n")


def rows(options: argparse.Namespace) -> None:
    """Every run that is not measured yet, each in a process of its own; all models of a seed before
    the next seed, so that what is stopped has whole seeds."""
    wanted = itertools.product(options.seeds, options.only)
    left = [
        (name, seed)
        for seed, name in wanted
        if not (options.runs / f"{name}-{seed}" / "row.json").exists()
    ]

    def run(one: tuple[str, int]) -> None:
        name, seed = one
        command = [sys.executable, "-m", "benchmarks.families", *options.asked]
        command += ["--only", name, "--seeds", str(seed), "--one"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(name, seed, done.stderr[-2000:] if done.returncode else "done", flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(run, left))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("comparison", choices=COMPARISONS)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("-n", "--number", type=int, default=2000)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument(
        "--repeat", action="store_true", help="as many steps as seed 0 made, instead of the time"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--hardware", default="", help="what it runs on, for the record")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    name, options.asked = options.comparison, sys.argv[1:]
    options.out = options.out or Path(f"benchmarks/results/families_{name}.json")
    options.comparison = COMPARISONS[name]
    options.only = options.only or list(options.comparison.models)
    if options.one:
        one_run(options.only[0], options, options.seeds[0])
        return
    rows(options)
    write(options)


if __name__ == "__main__":
    main()
