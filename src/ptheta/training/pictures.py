"""The picture that a training draws: samples as a grid of images or a scatter of vectors; or images
with holes, completed, by a model that draws no samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from ptheta.capabilities import (
    HasLogProb,
    Samples,
    condition_of,
    some_conditions,
)
from ptheta.data.columns.scatter import LogDensity, Scatter
from ptheta.data.dataset import Dataset
from ptheta.files.atomic import write_atomic
from ptheta.files.captions import in_rows, rows_in_turn
from ptheta.files.images import grid, write_png
from ptheta.specs import VectorSpec
from ptheta.training.holes import holes_of

IMAGES = 64  # in a grid
COMPLETED = 4  # images of a mask
POINTS = 2000  # in a scatter, and as many of the data behind them


class Picture(Protocol):
    def write(self, path: Path, model: nn.Module) -> None:
        """Shows what a model can do."""
        ...


def picture_of(model: nn.Module, data: Dataset) -> Picture | None:
    """What shows such a model of such examples; None where nothing does."""
    if isinstance(model, Samples):
        return _of_samples(data)
    return holes_of(model, data)


def _of_samples(data: Dataset) -> Picture:
    if not isinstance(data.spec, VectorSpec):
        return ImageGrid()
    return PointScatter(data.spec, data.batch(slice(0, POINTS)).x)


def drawn(model: nn.Module, n: int) -> Tensor:
    """n samples of a model, of its conditions in turn."""
    assert isinstance(model, Samples)
    return model.sample(n, some_conditions(model, n))


@dataclass(frozen=True)
class ImageGrid:
    """Of images: with a row for each condition where these are few."""

    n: int = IMAGES

    def write(self, path: Path, model: nn.Module) -> None:
        rows, columns, captions = in_picture(model, drawn(model, self.n))
        write_png(path, grid(rows, columns), scale=2, captions=captions)


@dataclass(frozen=True)
class PointScatter:
    """Of vectors: those of the training data stand behind them, and the model's density over them
    where it has one. real: float32 (M, D)"""

    spec: VectorSpec
    real: Tensor
    n: int = POINTS

    def write(self, path: Path, model: nn.Module) -> None:
        x = drawn(model, self.n).cpu()
        shown = Scatter(self.spec, x, self.real, density_of(model)).png()
        write_atomic(path, lambda beside: beside.write_bytes(shown))


def density_of(model: nn.Module) -> LogDensity | None:
    """log p(x) of an unconditional model that knows it; float32 (N, D) -> (N,) nats, on the CPU."""
    if not isinstance(model, HasLogProb) or condition_of(model) is not None:
        return None
    first = next(model.parameters(), None)
    device = torch.device("cpu") if first is None else first.device
    return lambda x: model.log_prob(x.to(device)).cpu()


def in_picture(model: nn.Module, x: Tensor) -> tuple[Tensor, int | None, list[str]]:
    """Samples of a model's conditions in turn as a picture has them: with a row for each condition
    where these are few, how many are in a row, and a text for each row."""
    spec = condition_of(model)
    if spec is None or not in_rows(spec.count, len(x)):
        return x, None, []
    return *rows_in_turn(x, spec.count), spec.describe(spec.examples(spec.count))
