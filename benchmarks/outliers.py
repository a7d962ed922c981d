"""How well outliers are found: every score beside the floors.

    python -m benchmarks.outliers --data FOLDER --runs FOLDER [--only CASE ...] [--steps N]

FOLDER of --data holds `fashion-mnist` and `mnist` (IDX). The cases:

- `left out`: each class of Fashion-MNIST in turn is no part of the bank, and its test images are
  the outliers among all test images; scores that need no trained model, mean of the ten classes
- `models`: class 6 (shirt) left out of the training of several models, all scores of each
- `digits`: several models trained on Fashion-MNIST, the digits of MNIST are the outliers; with a
  background model, trained on perturbed images
- `calibration`: the share of 5,000 test images that is flagged where 5 % were asked, by the
  threshold of the other 5,000
- `speed`: seconds for 20,000 images by a VAE

Each number is written to benchmarks/results/outliers.json when it is there, with its 95 % interval,
so that the command may be stopped and called again. One thread. --images takes fewer test images,
--bank fewer training images, --steps shorter trainings, --models fewer models, to try it out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import ptheta
from ptheta.capabilities import HasBound, HasLogProb
from ptheta.data.dataset import Dataset
from ptheta.files.atomic import write_json
from ptheta.measures.detection import MEASURES, interval
from ptheta.runs.folder import Run
from ptheta.tasks.outliers import DEFAULT, SCORES, Known, Outliers, defined, outliers, perturbed

Keep = Callable[[str, Mapping[str, Any]], None]
Table = dict[str, dict[str, list[float]]]
RESULTS = Path(__file__).parent / "results" / "outliers.json"
FLOORS = tuple(name for name, score in SCORES.items() if score.floor)
WITHOUT_TRAINING = (DEFAULT, "relative-neighbours", "neighbours", *FLOORS)
MODELS: Mapping[str, Mapping[str, Any]] = {
    "vae": {"steps": 8000},
    "ae": {"steps": 8000},
    "made": {"steps": 4000},
    "pixelcnn": {"steps": 2500},
    "gan": {"steps": 8000},
}
SHIRT = 6
PERTURBED = 0.2  # of the pixels, for the background model
SPEED = 20_000  # images
FALSE_ALARMS = 0.05


@dataclass(frozen=True)
class World:
    """data, runs: folders; images, bank: how many test and training images are used, None for all;
    steps: of each training, None for its own number; models: those that are trained"""

    data: Path
    runs: Path
    images: int | None
    bank: int | None
    steps: int | None
    models: tuple[str, ...]

    def open(self, name: str, split: str) -> Dataset:
        found = ptheta.open_data(self.data / name, split)
        n = self.bank if split == "train" else self.images
        return found if n is None else found.shuffled(0).subset(slice(0, n))

    def trained(self, name: str, model: str, data: Dataset) -> Run:
        """A run that goes on where it was stopped."""
        how = {**MODELS[model], "threads": 1, "sample_every": 0}
        how |= {} if self.steps is None else {"steps": self.steps}
        return ptheta.train(model, data, self.runs / name, resume=True, **how)


def labels_of(data: Dataset) -> np.ndarray:
    """int64 (N,)"""
    assert data.labels is not None
    found: np.ndarray = data.labels[data.rows(slice(None))]
    return found


def without(data: Dataset, label: int) -> Dataset:
    return data.subset(labels_of(data) != label)


def table(found: Outliers, outlier: Tensor | None = None) -> Table:
    """score -> measure -> value and interval."""
    return {
        score: {
            measure: [round(number, 4) for number in (value.value or 0.0, *interval(value))]
            for measure, value in by_measure.items()
        }
        for score, by_measure in found.detection(outlier).items()
    }


def of_run(run: Run, bank: Dataset, **more: Any) -> tuple[nn.Module, list[str]]:
    """The model of a run, and the scores that it can give; a GAN has no more than its own."""
    model = run.model()
    return model, defined(Known(model, bank, **more))


def left_out(world: World, keep: Keep) -> None:
    train, test = world.open("fashion-mnist", "train"), world.open("fashion-mnist", "test")
    labels = torch.from_numpy(labels_of(test))
    done = stored().get("left out", {})
    for label, name in enumerate(train.classes or map(str, range(10))):
        if name in done:
            continue
        bank = without(train, label)
        found = outliers(nn.Identity(), test, bank, scores=WITHOUT_TRAINING)
        done[name] = table(found, labels == label)
        keep("left out", done)
    each = [done[name] for name in done if name != "mean"]
    done["mean"] = {
        score: {m: round(float(np.mean([of[score][m][0] for of in each])), 4) for m in MEASURES}
        for score in WITHOUT_TRAINING
    }
    keep("left out", done)


def of_models(world: World, keep: Keep) -> None:
    train, test = world.open("fashion-mnist", "train"), world.open("fashion-mnist", "test")
    bank, outlier = without(train, SHIRT), torch.from_numpy(labels_of(test)) == SHIRT
    done = stored().get("models", {})
    for name in world.models:
        if name not in done:
            model, scores = of_run(world.trained(f"shirt-{name}", name, bank), bank)
            done[name] = table(outliers(model, test, bank, scores=scores), outlier)
            keep("models", done)


def digits(world: World, keep: Keep) -> None:
    train, normal = world.open("fashion-mnist", "train"), world.open("fashion-mnist", "test")
    odd = world.open("mnist", "test")
    done = stored().get("digits", {})
    for name in world.models:
        if name in done:
            continue
        run = world.trained(f"fashion-{name}", name, train)
        background = None
        if isinstance(run.model(), HasLogProb | HasBound):
            other = world.trained(f"background-{name}", name, perturbed(train, PERTURBED))
            background = other.model()
        model, scores = of_run(run, train, background=background)
        found = outliers(model, odd, train, normal=normal, scores=scores, background=background)
        done[name] = table(found)
        keep("digits", done)


def calibration(world: World, keep: Keep) -> None:
    train, test = world.open("fashion-mnist", "train"), world.open("fashion-mnist", "test")
    half = len(test) // 2
    held_out, new = test.subset(slice(0, half)), test.subset(slice(half, None))
    done: dict[str, Any] = {}
    for score in (DEFAULT, "nearest"):
        found = outliers(nn.Identity(), new, train, held_out, scores=[score])
        done[score] = {"asked": FALSE_ALARMS, "flagged": found.flagged.double().mean().item()}
        keep("calibration", done)


def speed(world: World, keep: Keep) -> None:
    train = world.open("fashion-mnist", "train")
    run = world.trained("fashion-vae", "vae", train)
    model, some = run.model(), train.subset([i % len(train) for i in range(SPEED)])
    done = {}
    for score in ("elbo", "reconstruction", "latent"):
        start = time.perf_counter()
        outliers(model, some, train, scores=[score])
        done[score] = round(time.perf_counter() - start, 1)
    keep("speed", done)


CASES: Mapping[str, Callable[[World, Keep], None]] = {
    "left out": left_out,
    "models": of_models,
    "digits": digits,
    "calibration": calibration,
    "speed": speed,
}


def stored(path: Path = RESULTS) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def kept(case: str, numbers: Mapping[str, Any]) -> None:
    write_json(RESULTS, {**stored(), case: numbers})
    print(f"{case}: {len(numbers)} entries", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--images", type=int, help="test images")
    parser.add_argument("--bank", type=int, help="training images")
    parser.add_argument("--steps", type=int, help="of each training")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    world = World(
        *(options.data, options.runs, options.images, options.bank, options.steps),
        models=tuple(options.models),
    )
    for case in options.only:
        CASES[case](world, kept)


if __name__ == "__main__":
    main()
