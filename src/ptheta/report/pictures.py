"""What can be shown of a model, by what it can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.capabilities import (
    Decodes,
    Encodes,
    HasBound,
    HasPrior,
    conditional,
    varied,
)
from ptheta.compute.streams import seeded
from ptheta.data.columns.scatter import LogDensity, Scatter
from ptheta.data.dataset import Dataset
from ptheta.data.vector_data import vectors_of
from ptheta.files.html import png_uri
from ptheta.metrics.copies import NEIGHBOURS
from ptheta.report.plots import picture
from ptheta.specs import DataSpec, VectorSpec
from ptheta.tasks.needs import Autoencodes, DecodesPrior
from ptheta.tasks.neighbours import nearest_pairs
from ptheta.tasks.shown import shown
from ptheta.training.pictures import POINTS, density_of, in_picture
from ptheta.training.translations import can_ask, conditions_shown

SHOWN = 64  # samples in a grid
PAIRS = 10  # samples shown with their nearest real image
REBUILT = 30  # images shown with their reconstruction
ROWS, STEPS = 4, 10  # interpolations
INPUTS, STYLES = 8, 3  # inputs of a model of images, and answers to each where they differ


class Picture(NamedTuple):
    """uri: the image as data"""

    title: str
    uri: str
    caption: str


@dataclass(frozen=True)
class Subject:
    """What is shown.

    model: None where there are samples alone; samples: image batch, None where it cannot sample
    train: what the model was trained on; None where that is not known
    """

    model: nn.Module | None
    samples: Tensor | None
    test: Dataset
    train: Dataset | None
    seed: int


def drawn_of(spec: DataSpec) -> int:
    """How many samples pictures are made of."""
    return POINTS if isinstance(spec, VectorSpec) else NEIGHBOURS


@torch.no_grad()
def pictures(
    model: nn.Module | None,
    samples: Tensor | None,
    test: Dataset,
    train: Dataset | None,
    seed: int,
) -> list[Picture]:
    """What can be shown of a model, by what it can do; of samples alone where it is None. The
    arguments are those of `Subject`."""
    subject = Subject(model, samples, test, train, seed)
    kinds = OF_VECTORS if isinstance(test.spec, VectorSpec) else KINDS
    return [shown for show in kinds if (shown := show(subject)) is not None]


def _samples(subject: Subject) -> Picture | None:
    """Samples; of a conditional model others than those measured: of all its labels in turn."""
    model, samples, seed = subject.model, subject.samples, subject.seed
    if samples is None or (model is not None and can_ask(model, subject.test)):
        return None
    if model is None or not conditional(model):
        return Picture(
            "Samples", picture(samples[:SHOWN], 8), f"The first {SHOWN} of seed {seed}, uncurated."
        )
    shown, columns, captions = in_picture(model, tasks.sample(model, SHOWN, seed=seed))
    caption = f"A row for each condition, of seed {seed}, uncurated."
    if not captions:
        caption = f"All conditions in turn, of seed {seed}, uncurated."
    return Picture("Samples", picture(shown, columns or 8, captions=captions), caption)


def _of_inputs(subject: Subject) -> Picture | None:
    """What is made of test inputs."""
    model, seed = subject.model, subject.seed
    if model is None or not can_ask(model, subject.test):
        return None
    styles = STYLES if varied(model) else 1
    made = shown(model, subject.test, subject.train, INPUTS, styles=styles, seed=seed)
    caption = f"The first {len(made.inputs)} test inputs of an order of seed {seed}, uncurated."
    columns = len(made.headings)
    return Picture("Made of inputs", picture(made.rows, columns, headings=made.headings), caption)


def _means(subject: Subject) -> Picture | None:
    model = subject.model
    if not (isinstance(model, DecodesPrior) and isinstance(model, HasBound)):
        return None
    y = conditions_shown(model, SHOWN, lambda: subject.test, subject.seed)
    with seeded(subject.seed):
        means = model.decode(model.sample_latent(SHOWN, y), y)
    return Picture(
        "Mean images",
        picture(means, 8),
        "E[x | z] for codes z of the prior: the decoder before its pixels are drawn.",
    )


def _reconstructions(subject: Subject) -> Picture | None:
    model, test = subject.model, subject.test
    if not isinstance(model, Autoencodes):
        return None
    batch = test.batch(range(min(REBUILT, len(test) // 10 * 10 or len(test))))
    x = batch.x
    back = tasks.reconstruct(model, x, batch.condition if conditional(model) else None)
    rows = [part for i in range(0, len(x), 10) for part in (x[i : i + 10], back[i : i + 10])]
    return Picture(
        "Reconstructions",
        picture(torch.cat(rows), min(10, len(x))),
        "Test images, and below each what its code gives back.",
    )


def _interpolation(subject: Subject) -> Picture | None:
    model, test = subject.model, subject.test
    if not (isinstance(model, Decodes) and isinstance(model, HasPrior | Encodes)):
        return None
    ends, caption = None, "Between codes drawn from the prior, along great circles."
    if isinstance(model, Encodes) and not conditional(model):
        x = test.batch([(REBUILT + i) % len(test) for i in range(2 * ROWS)]).x
        ends, caption = (x[:ROWS], x[ROWS:]), "Between the codes of pairs of test images."
    y = conditions_shown(model, ROWS, lambda: subject.test, subject.seed)
    walk = tasks.interpolate(model, ROWS, STEPS, ends=ends, condition=y, seed=subject.seed)
    return Picture("Latent interpolation", picture(walk, STEPS), caption)


def _closest_in_training(subject: Subject) -> Picture | None:
    if subject.samples is None or subject.train is None:
        return None
    return _closest(subject.samples, subject.train, "training")


def _closest_in_test(subject: Subject) -> Picture | None:
    if subject.samples is None or subject.train is None:
        return None
    return _closest(subject.samples, subject.test, "test")


def _closest(samples: Tensor, real: Dataset, called: str) -> Picture:
    some = samples[:NEIGHBOURS]
    pairs = nearest_pairs(some, real, PAIRS)
    return Picture(
        f"Closest to the {called} images",
        picture(torch.cat(pairs.unbind(1)), len(pairs)),
        f"Of {len(some)} samples those nearest to a {called} image, and below each that image.",
    )


def _beside_training(subject: Subject) -> Picture | None:
    if subject.samples is None or subject.train is None:
        return None
    pairs = nearest_pairs(subject.samples[:PAIRS], subject.train)
    return Picture(
        "Samples and their nearest training images",
        picture(torch.cat(pairs.unbind(1)), len(pairs)),
        f"The first {len(pairs)} samples, uncurated, and below each the training image that is "
        "nearest in pixels.",
    )


# each gives its picture, or None where the subject cannot be shown in this way
KINDS: tuple[Callable[[Subject], Picture | None], ...] = (
    _samples,
    _of_inputs,
    _means,
    _reconstructions,
    _interpolation,
    _beside_training,
    _closest_in_training,
    _closest_in_test,
)


def _points(subject: Subject) -> Picture | None:
    """Samples over the test rows, with the model's density where it has one."""
    if subject.samples is None:
        return None
    density = None if subject.model is None else density_of(subject.model)
    caption = f"The first {POINTS:,} of seed {subject.seed} over as many test rows."
    if density is not None:
        caption += " The lines hold 95, 75, 50 and 25 % of the model's mass."
    drawn = scattered(subject.test, subject.samples[:POINTS], density)
    return Picture("Samples", drawn, caption)


def scattered(test: Dataset, x: Tensor, density: LogDensity | None = None) -> str:
    """Rows over those of a data set, as data."""
    real = test.batch(slice(0, POINTS)).x
    return png_uri(Scatter(vectors_of(test).spec, x, real, density).png())


OF_VECTORS: tuple[Callable[[Subject], Picture | None], ...] = (_points,)


def real_examples(test: Dataset) -> str:
    """What real examples look like, as data."""
    if isinstance(test.spec, VectorSpec):
        x = test.batch(slice(0, POINTS)).x
        return png_uri(Scatter(test.spec, x, names=("", "real")).png())
    return picture(test.batch(range(min(SHOWN, len(test)))).x, 8)
