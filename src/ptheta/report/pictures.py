"""What can be shown of a model, by what it can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from ptheta.data.turns import in_turn
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
FIRST, FIRST_WIDTH = 16, 220  # samples seen beside those of other models, and how wide they are
MOST_CLASSES, IN_CLASS = 20, 10  # rows of a grid of classes, and samples in each
PAIRS, PAIR_ROWS = 4, 5  # pairs of sample and training image side by side, and their rows
OF_SAMPLES = ("Samples", "Samples by class", "Made of inputs")  # titles
NEAREST = "Samples and their nearest training images"
CLOSEST = "Closest to the"  # what titles of the closest pairs begin with
PAIRS = 10  # samples shown with their nearest real image
REBUILT = 30  # images shown with their reconstruction
ROWS, STEPS = 4, 10  # interpolations
INPUTS, STYLES = 8, 3  # inputs of a model of images, and answers to each where they differ


class Picture(NamedTuple):
    """uri: the image as data"""

    title: str
    uri: str
    caption: str


class Read(NamedTuple):
    """What a classifier reads in samples. classes: int64 (N,); network: whose classes they are"""

    classes: Tensor
    names: Sequence[str]
    network: str


@dataclass(frozen=True)
class Subject:
    """What is shown.

    model: None where there are samples alone; samples: image batch, None where it cannot sample
    train: what the model was trained on; None where that is not known
    read: the class of each sample; None where nothing reads them
    """

    model: nn.Module | None
    samples: Tensor | None
    test: Dataset
    train: Dataset | None
    seed: int
    read: Read | None = None


def drawn_of(spec: DataSpec) -> int:
    """How many samples pictures are made of."""
    return POINTS if isinstance(spec, VectorSpec) else NEIGHBOURS


@torch.no_grad()
def pictures(subject: Subject) -> list[Picture]:
    """What can be shown of a model, by what it can do; of samples alone where there is no model."""
    kinds = OF_VECTORS if isinstance(subject.test.spec, VectorSpec) else KINDS
    return [shown for show in kinds if (shown := show(subject)) is not None]


@torch.no_grad()
def first(subject: Subject) -> Picture | None:
    """The first samples of a model, to be seen beside those of others; None where it has none."""
    model, samples, test = subject.model, subject.samples, subject.test
    if isinstance(test.spec, VectorSpec):
        return _points(subject)
    if model is not None and can_ask(model, test):
        return _of_inputs(subject)
    if samples is None:
        return None
    caption = f"The first {FIRST} samples of seed {subject.seed}."
    return Picture("First samples", picture(samples[:FIRST], 4, FIRST_WIDTH), caption)


def first_real(test: Dataset) -> Picture:
    """Real examples in the size in which the first samples are shown."""
    if isinstance(test.spec, VectorSpec):
        return real_examples(test)
    x = in_turn(test).batch(range(min(FIRST, len(test)))).x
    caption = f"The first {len(x)} test {test.examples}."
    return Picture(f"Real {test.examples}", picture(x, 4, FIRST_WIDTH), caption)


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


def _by_class(subject: Subject) -> Picture | None:
    """A row for each class that is read in the samples."""
    samples, read = subject.samples, subject.read
    if samples is None or read is None or len(read.names) > MOST_CLASSES:
        return None
    rows = torch.full((len(read.names), IN_CLASS, *samples.shape[1:]), 128, dtype=samples.dtype)
    for row, k in enumerate(range(len(read.names))):
        own = samples[read.classes == k][:IN_CLASS]
        rows[row, : len(own)] = own
    return Picture(
        "Samples by class",
        picture(rows.flatten(0, 1), IN_CLASS, captions=read.names),
        f"A row for each class that the network {read.network} reads in the samples: the first "
        f"{IN_CLASS} of {len(samples)}. A row that ends early has no more samples.",
    )


def _neighbours(subject: Subject) -> Picture | None:
    """Samples as they come, and beside each the training image that is nearest to it."""
    if subject.samples is None or subject.train is None:
        return None
    some = subject.samples[: PAIRS * PAIR_ROWS]
    both = nearest_pairs(some, subject.train).flatten(0, 1)
    return Picture(
        NEAREST,
        picture(both, 2 * PAIRS, headings=["sample", "nearest"] * PAIRS),
        f"The first {len(some)} samples, uncurated, and to the right of each the training image "
        "that is nearest to it in pixels. A model that has learned by heart draws both alike.",
    )


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
        f"{CLOSEST} {called} images",
        picture(torch.cat(pairs.unbind(1)), len(pairs)),
        f"Of {len(some)} samples those nearest to a {called} image, and below each that image.",
    )


# each gives its picture, or None where the subject cannot be shown in this way
KINDS: tuple[Callable[[Subject], Picture | None], ...] = (
    _samples,
    _by_class,
    _of_inputs,
    _means,
    _reconstructions,
    _interpolation,
    _neighbours,
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


def real_examples(test: Dataset) -> Picture:
    """What real examples look like."""
    title, caption = f"Real {test.examples}", f"Test {test.examples}, as the models see them."
    if isinstance(test.spec, VectorSpec):
        x = test.batch(slice(0, POINTS)).x
        return Picture(title, png_uri(Scatter(test.spec, x, names=("", "real")).png()), caption)
    return Picture(title, picture(in_turn(test).batch(range(min(SHOWN, len(test)))).x, 8), caption)
