"""The pictures of a model in the report, depending on its capabilities."""

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
FIRST, FIRST_WIDTH = (
    16,
    220,
)  # first samples, shown next to those of other models, and their width in pixels
MOST_CLASSES, IN_CLASS = 20, 10  # rows of a grid of classes, and samples in each
PAIR_COLUMNS, PAIR_ROWS = 4, 5  # pairs of sample and training image side by side, and their rows
OF_SAMPLES = ("Samples", "Samples by class", "Made of inputs")  # titles
NEAREST = "Samples and their nearest training images"
CLOSEST = "Closest to the"  # prefix of the titles of closest pairs
PAIRS = 10  # number of samples shown with their nearest real image
REBUILT = 30  # number of images shown with their reconstruction
ROWS, STEPS = 4, 10  # interpolations
INPUTS, STYLES = 8, 3  # inputs of an image-conditional model, and outputs of each if they vary


class Picture(NamedTuple):
    """uri: the image as data"""

    title: str
    uri: str
    caption: str


class Read(NamedTuple):
    """Predicted classes of samples. classes: int64 (N,); network: the classifier."""

    classes: Tensor
    names: Sequence[str]
    network: str


@dataclass(frozen=True)
class Subject:
    """The subject of the pictures.

    model: None if there are only samples; samples: image batch, None if the model cannot sample
    train: the training data, None if unknown
    read: the predicted class of each sample, None if there is no classifier
    """

    model: nn.Module | None
    samples: Tensor | None
    test: Dataset
    train: Dataset | None
    seed: int
    read: Read | None = None


def drawn_of(spec: DataSpec) -> int:
    """Number of samples used for the pictures."""
    return POINTS if isinstance(spec, VectorSpec) else NEIGHBOURS


@torch.no_grad()
def pictures(subject: Subject) -> list[Picture]:
    """All pictures that the model supports; only those of samples if there is no model."""
    kinds = OF_VECTORS if isinstance(subject.test.spec, VectorSpec) else KINDS
    return [shown for show in kinds if (shown := show(subject)) is not None]


@torch.no_grad()
def first(subject: Subject) -> Picture | None:
    """The first samples of a model, shown next to those of others; None if it has none."""
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
    """Real examples, in the size of the first samples."""
    if isinstance(test.spec, VectorSpec):
        return real_examples(test)
    x = in_turn(test).batch(range(min(FIRST, len(test)))).x
    caption = f"The first {len(x)} test {test.examples}."
    return Picture(f"Real {test.examples}", picture(x, 4, FIRST_WIDTH), caption)


def _samples(subject: Subject) -> Picture | None:
    """Samples; for a conditional model not the evaluated ones, but samples of all labels in
    turn."""
    model, samples, seed = subject.model, subject.samples, subject.seed
    if samples is None or (model is not None and can_ask(model, subject.test)):
        return None
    if model is None or not conditional(model):
        return Picture(
            "Samples", picture(samples[:SHOWN], 8), f"The first {SHOWN} of seed {seed}, uncurated."
        )
    shown, columns, captions = in_picture(model, tasks.sample(model, SHOWN, seed=seed))
    caption = f"One row per condition, seed {seed}, uncurated."
    if not captions:
        caption = f"All conditions in turn, seed {seed}, uncurated."
    return Picture("Samples", picture(shown, columns or 8, captions=captions), caption)


def _of_inputs(subject: Subject) -> Picture | None:
    """Outputs for test inputs."""
    model, seed = subject.model, subject.seed
    if model is None or not can_ask(model, subject.test):
        return None
    styles = STYLES if varied(model) else 1
    made = shown(model, subject.test, subject.train, INPUTS, styles=styles, seed=seed)
    caption = (
        f"The first {len(made.inputs)} test inputs in a random order (seed {seed}), uncurated."
    )
    columns = len(made.headings)
    return Picture("Made of inputs", picture(made.rows, columns, headings=made.headings), caption)


def _means(subject: Subject) -> Picture | None:
    model = subject.model
    if not (isinstance(model, DecodesPrior) and isinstance(model, HasBound)):
        return None
    y = conditions_shown(model, SHOWN, lambda: subject.test, subject.seed)
    with seeded(subject.seed):
        means = model.decode(model.sample_latent(SHOWN, y), y).cpu()
    return Picture(
        "Mean images",
        picture(means, 8),
        "E[x | z] for codes z drawn from the prior: the decoder's mean, before pixels are sampled.",
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
        "Test images, with the reconstruction below each.",
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
    """One row for each predicted class of the samples."""
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
        f"One row for each class predicted by the network {read.network}: its first {IN_CLASS} "
        f"of {len(samples)} samples. A shorter row has fewer samples.",
    )


def _neighbours(subject: Subject) -> Picture | None:
    """Uncurated samples, each next to its nearest training image."""
    if subject.samples is None or subject.train is None:
        return None
    some = subject.samples[: PAIR_COLUMNS * PAIR_ROWS]
    both = nearest_pairs(some, subject.train).flatten(0, 1)
    return Picture(
        NEAREST,
        picture(both, 2 * PAIR_COLUMNS, headings=["sample", "nearest"] * PAIR_COLUMNS),
        f"The first {len(some)} samples, uncurated, and to the right of each its nearest "
        "training image in pixel distance. For a model that memorises its training data the two "
        "are nearly equal.",
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
        f"Of {len(some)} samples, those nearest to a {called} image, with that image below each.",
    )


# each returns a picture, or None if it does not apply to the subject
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
    """Samples over the test rows, with the model's density if it has one."""
    if subject.samples is None:
        return None
    density = None if subject.model is None else density_of(subject.model)
    caption = f"The first {POINTS:,} samples (seed {subject.seed}) over as many test rows."
    if density is not None:
        caption += " The contours contain 95, 75, 50 and 25 % of the model's probability mass."
    drawn = scattered(subject.test, subject.samples[:POINTS], density)
    return Picture("Samples", drawn, caption)


def scattered(test: Dataset, x: Tensor, density: LogDensity | None = None) -> str:
    """Rows over those of a data set, as a data URI."""
    real = test.batch(slice(0, POINTS)).x
    return png_uri(Scatter(vectors_of(test).spec, x, real, density).png())


OF_VECTORS: tuple[Callable[[Subject], Picture | None], ...] = (_points,)


def real_examples(test: Dataset) -> Picture:
    """A picture of real examples."""
    title, caption = (
        f"Real {test.examples}",
        f"Test {test.examples}, preprocessed as for the models.",
    )
    if isinstance(test.spec, VectorSpec):
        x = test.batch(slice(0, POINTS)).x
        return Picture(title, png_uri(Scatter(test.spec, x, names=("", "real")).png()), caption)
    return Picture(title, picture(in_turn(test).batch(range(min(SHOWN, len(test)))).x, 8), caption)
