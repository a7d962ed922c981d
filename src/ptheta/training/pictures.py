"""Pictures during training: a grid of samples, outputs for inputs, a scatter plot of vectors, or
completed images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from ptheta.capabilities import (
    Samples,
    Translates,
    condition_of,
    exact_log_prob,
    some_conditions,
    stage_of,
    varied,
)
from ptheta.compute.streams import seeded
from ptheta.data.columns.scatter import LogDensity, Scatter
from ptheta.data.dataset import Dataset
from ptheta.files.atomic import write_atomic
from ptheta.files.captions import in_rows, rows_in_turn
from ptheta.files.images import grid, write_png
from ptheta.specs import VectorSpec
from ptheta.training.holes import holes_of
from ptheta.training.translations import (
    Asked,
    answers,
    asked,
    headings,
    makes_of_images,
    rows_of,
)

IMAGES = 64  # in a grid
POINTS = 2000  # points in a scatter plot, and as many data points
INPUTS, OUTPUTS = 8, 3  # rows of a grid, and outputs in each if they vary
CELL = 64  # approximate minimum width of an image below a heading


class Picture(Protocol):
    """Draws a model in training, always with the same examples and noise."""

    def write(self, path: Path, model: nn.Module) -> None:
        """Draws the model's current output, from torch's current random stream."""
        ...


@dataclass(frozen=True)
class ImageGrid:
    """Samples, with a row for each condition if these are few, and the training stage, if any, as a
    title."""

    def write(self, path: Path, model: nn.Module) -> None:
        rows, columns, captions = in_picture(model, _sampled(model, IMAGES))
        title = stage_of(model)
        write_png(path, grid(rows, columns), scale=2, captions=captions, title=title)


@dataclass(frozen=True)
class InputGrid:
    """Outputs for inputs, a row for each: input, outputs, and the target if known. outputs: number
    per input"""

    inputs: Asked
    outputs: int

    def write(self, path: Path, model: nn.Module) -> None:
        columns = [self.inputs.x, *(answers(model, self.inputs) for _ in range(self.outputs))]
        known = bool(self.inputs.known.any())
        columns += [self.inputs.targets] * known
        texts = headings(self.outputs, *["target"] * known)
        scale = max(2, CELL // columns[0].shape[3])
        shown = grid(rows_of(columns), len(columns))
        write_png(path, shown, scale, captions=self._domains(model), headings=texts)

    def _domains(self, model: nn.Module) -> list[str]:
        """The target domain of each input; empty for pairs."""
        if self.inputs.to is None or not isinstance(model, Translates):
            return []
        names = model.domains()
        return [f"to {names[k]}" for k in self.inputs.to.tolist()]


@dataclass(frozen=True)
class PointScatter:
    """Scatter plot of sampled vectors over training data, with the model's density if it has one.
    real: float32 (M, D)"""

    spec: VectorSpec
    real: Tensor

    def write(self, path: Path, model: nn.Module) -> None:
        x = _sampled(model, POINTS)
        drawn = Scatter(self.spec, x.cpu(), self.real, density_of(model)).png()
        write_atomic(path, lambda temporary: temporary.write_bytes(drawn))


def _sampled(model: nn.Module, n: int) -> Tensor:
    """n samples of a model, with its conditions in turn."""
    assert isinstance(model, Samples)
    return model.sample(n, some_conditions(model, n))


def picture_of(model: nn.Module, data: Dataset, aside: Dataset | None = None) -> Picture | None:
    """The picture for a model on such data; None if it has no output to show.

    aside: validation examples to show the model with; None if there are none
    """
    return next((made for make in KINDS if (made := make(model, data, aside or data))), None)


def _of_inputs(model: nn.Module, data: Dataset, aside: Dataset) -> Picture | None:
    if not makes_of_images(model):
        return None
    with seeded(0):  # some data sets draw their pixels
        inputs = asked(model, aside, INPUTS)
    return InputGrid(inputs, OUTPUTS if varied(model) else 1)


def _of_vectors(model: nn.Module, data: Dataset, aside: Dataset) -> Picture | None:
    if not isinstance(model, Samples) or not isinstance(data.spec, VectorSpec):
        return None
    return PointScatter(data.spec, data.batch(slice(0, POINTS)).x)


def _of_images(model: nn.Module, data: Dataset, aside: Dataset) -> Picture | None:
    return ImageGrid() if isinstance(model, Samples) else None


def _of_holes(model: nn.Module, data: Dataset, aside: Dataset) -> Picture | None:
    return holes_of(model, aside)


# each returns a picture for a model, or None if it does not apply; the first one is used
KINDS: tuple[Callable[[nn.Module, Dataset, Dataset], Picture | None], ...] = (
    _of_inputs,
    _of_vectors,
    _of_images,
    _of_holes,
)


def density_of(model: nn.Module) -> LogDensity | None:
    """log p(x) of an unconditional model that computes it; float32 (N, D) -> (N,) nats, on the
    CPU."""
    log_prob = exact_log_prob(model)
    if log_prob is None or condition_of(model) is not None:
        return None
    first = next(model.parameters(), None)
    device = torch.device("cpu") if first is None else first.device
    return lambda x: log_prob(x.to(device), None).cpu()


def in_picture(model: nn.Module, x: Tensor) -> tuple[Tensor, int | None, list[str]]:
    """Arranges samples of the conditions in turn: with a row for each condition if these are few;
    returns the number of columns, and the row captions."""
    spec = condition_of(model)
    if spec is None or not in_rows(spec.count, len(x)):
        return x, None, []
    return *rows_in_turn(x, spec.count), spec.describe(spec.examples(spec.count))
