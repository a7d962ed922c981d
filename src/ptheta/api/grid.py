"""Shared by functions that return images: example images, the output location, and the grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ptheta.api.export import Images, check_out, check_size, composed, export
from ptheta.api.limits import check_numbers
from ptheta.batch import Batch, Condition
from ptheta.conditions import word
from ptheta.data.memory import Source
from ptheta.data.turns import in_turn
from ptheta.errors import PthetaError
from ptheta.files import html
from ptheta.files.images import PICTURES
from ptheta.runs.folder import Run
from ptheta.specs import DataSpec, images_only

PREVIEW = 400  # maximum number of images shown in a notebook


class Block(NamedTuple):
    """A block of printed output: a title, a table with column heads, and lines below it."""

    title: str = ""
    rows: Sequence[Sequence[str]] = ()
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Grid:
    """An image grid, filled row by row.

    columns: images in a row; None for as many as there are rows
    about: one-line description
    path: the written file or folder; None if not written
    """

    images: Images
    columns: int | None
    about: str
    path: Path | None = None

    def __repr__(self) -> str:
        where = "" if self.path is None else f", in {str(self.path)!r}"
        return f"Grid({self.images.n:,} images of {self.images.shape}: {self.about}{where})"

    def _repr_html_(self) -> str:
        """Notebook display: the grid, of at most `PREVIEW` images."""
        shown = self.images.first(PREVIEW)
        columns = shown.columns if self.columns is None else self.columns
        canvas = composed(shown, columns)
        seen = html.picture(canvas, self.about, shown.captions, shown.headings, shown.title)
        return html.card(self, seen)

    def blocks(self) -> list[Block]:
        """The printed output; empty for plain images."""
        return []

    def to_json(self) -> dict[str, object]:
        path = None if self.path is None else str(self.path)
        return {"images": self.images.n, "path": path}

    @property
    def x(self) -> Tensor:
        """The image batch, uint8 (N, C, H, W). Samples are drawn on access."""
        return torch.cat([part.x for part in self.images.parts(0)])


@dataclass(frozen=True)
class Output:
    """Destination of images, validated before they are generated.

    path: None if they are not written; scale: enlargement factor of an image grid; None for a
    factor that makes small images visible
    """

    path: Path | None
    scale: int | None

    @classmethod
    def at(cls, out: str | Path | None, scale: int | None) -> Output:
        """Raises PthetaError for a location that cannot be written, and for a scale unless it is an
        image grid."""
        path = None if out is None else check_out(out)
        if scale is not None and (path is None or path.suffix.lower() not in PICTURES):
            where = "no file is named" if path is None else f"{path} is not an image file"
            raise PthetaError(
                f"--scale {scale} applies only to image files, and {where}: leave it out, or "
                "write a .png"
            )
        if scale is not None and scale < 1:
            raise PthetaError(f"--scale {scale}: want 1 or more")
        return cls(path, scale)

    def check(self, n: int, spec: DataSpec, columns: int | None = None) -> None:
        """Raises PthetaError for too many images, and for data that are not images."""
        shape = images_only(spec, "this use").shape
        if self.path is not None:
            check_size(self.path, n, shape, columns, self.scale)

    def write(self, images: Images, about: str, columns: int | None = None) -> Grid:
        """Writes the images if an output is given."""
        if self.path is not None:
            export(images, self.path, columns, self.scale)
        return Grid(images, columns, about, self.path)


class Examples(NamedTuple):
    """A trained model, example images, and their conditions (y) if it is conditional."""

    model: nn.Module
    x: Tensor
    y: Condition | None


def examples(run: Run, n: int, data: Source | None, output: Output, columns: int = 0) -> Examples:
    """The model of a run, and n test images of all classes.

    columns: number of images written for each; 0 if not known yet

    Raises PthetaError if there are none, if they are too many to write (before the model is
    loaded), or if the model is conditional and the images have no conditions.
    """
    check_numbers(n=n)
    images_only(run.spec, "this use")
    batch = in_turn(run.data("test", data)).batch(slice(0, n))
    if columns:
        output.check(columns * len(batch.x), run.spec)
    model = run.model()
    return Examples(model, batch.x, conditions_with(run, batch))


def conditions_with(run: Run, batch: Batch) -> Condition | None:
    """The conditions of images for a run's model; None for an unconditional model.

    Raises PthetaError if the images have no conditions.
    """
    if run.condition is None:
        return None
    if batch.condition is None:
        kind = word(run.condition)
        raise PthetaError(f"this model is conditional and the images have no {kind}: give --data")
    return batch.condition


def side_by_side(*columns: Tensor) -> Images:
    """Image batches (N, C, H, W) side by side: each row has the corresponding images."""
    return Images.of(torch.stack(columns, 1).flatten(0, 1))


def squarish(n: int, width: int) -> int:
    """Number of columns for about a square of n groups of `width` images, without splitting
    groups."""
    return width * max(1, round(math.sqrt(n) / 2))
