"""What the verbs that give images share: the images that they take, and the grid that they give."""

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
from ptheta.tasks.sample import Place

PREVIEW = 400  # images that a notebook shows


class Block(NamedTuple):
    """What is printed together: a title, a table with its heads, and lines below it."""

    title: str = ""
    rows: Sequence[Sequence[str]] = ()
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Grid:
    """What a verb gives: images, row by row.

    columns: images in a row; None for as many as there are rows
    about: what they show, in a line
    path: where they were written; None where no place was named
    """

    images: Images
    columns: int | None
    about: str
    path: Path | None = None

    def __repr__(self) -> str:
        where = "" if self.path is None else f", in {str(self.path)!r}"
        return f"Grid({self.images.n:,} images of {self.images.shape}: {self.about}{where})"

    def _repr_html_(self) -> str:
        """For notebooks: the picture, of the first `PREVIEW` of many images."""
        shown = self.images.first(PREVIEW)
        columns = shown.columns if self.columns is None else self.columns
        canvas = composed(shown, columns)
        seen = html.picture(canvas, self.about, shown.captions, shown.headings, shown.title)
        return html.card(self, seen)

    def blocks(self) -> list[Block]:
        """What is printed of it; nothing of images alone."""
        return []

    def to_json(self) -> dict[str, object]:
        path = None if self.path is None else str(self.path)
        return {"images": self.images.n, "path": path}

    @property
    def x(self) -> Tensor:
        """The image batch, uint8 (N, C, H, W). Samples are drawn when they are asked for."""
        return torch.cat([part.x for part in self.images.parts(Place())])


@dataclass(frozen=True)
class Output:
    """Where a verb writes its images, judged before the work that gives them.

    path: None where they are not written; scale: pixels of a picture, across and down, for one of
    an image; None for as many as make an image large enough to be seen
    """

    path: Path | None
    scale: int | None

    @classmethod
    def at(cls, out: str | Path | None, scale: int | None) -> Output:
        """Raises PthetaError for a place that cannot be written, and for a scale of anything but a
        picture."""
        path = None if out is None else check_out(out)
        if scale is not None and (path is None or path.suffix.lower() not in PICTURES):
            where = "no file is named" if path is None else f"{path} is none"
            raise PthetaError(
                f"--scale {scale}: a picture alone has a scale, and {where}: leave it out, or "
                "write a .png"
            )
        if scale is not None and scale < 1:
            raise PthetaError(f"--scale {scale}: want 1 or more")
        return cls(path, scale)

    def check(self, n: int, spec: DataSpec, columns: int | None = None) -> None:
        """Raises PthetaError where n images are too many to write, and for what are no images."""
        shape = images_only(spec, "this use").shape
        if self.path is not None:
            check_size(self.path, n, shape, columns, self.scale)

    def write(self, images: Images, about: str, columns: int | None = None) -> Grid:
        """Writes the images, where a place was named."""
        if self.path is not None:
            export(images, self.path, columns, self.scale)
        return Grid(images, columns, about, self.path)


class Examples(NamedTuple):
    """A trained model, images to show it with, and their conditions (y) where it wants them."""

    model: nn.Module
    x: Tensor
    y: Condition | None


def examples(run: Run, n: int, data: Source | None, output: Output, columns: int = 0) -> Examples:
    """The model of a run, and its first n test images, of all classes.

    columns: how many images are written for each; 0 where that is not known yet

    Raises PthetaError for none, where they are too many to write, before the model is read, and
    where the model is conditional and the images have no conditions.
    """
    check_numbers(n=n)
    images_only(run.spec, "this use")
    batch = in_turn(run.data("test", data)).batch(slice(0, n))
    if columns:
        output.check(columns * len(batch.x), run.spec)
    model = run.model()
    return Examples(model, batch.x, conditions_with(run, batch))


def conditions_with(run: Run, batch: Batch) -> Condition | None:
    """What a run's model is asked for with some of its images; None for an unconditional one.

    Raises PthetaError where the images have no conditions.
    """
    if run.condition is None:
        return None
    if batch.condition is None:
        kind = word(run.condition)
        raise PthetaError(f"this model is conditional and the images have no {kind}: give --data")
    return batch.condition


def side_by_side(*columns: Tensor) -> Images:
    """Image batches (N, C, H, W) side by side: an image and what belongs to it in a row."""
    return Images.of(torch.stack(columns, 1).flatten(0, 1))


def squarish(n: int, width: int) -> int:
    """Columns of about a square of n groups of `width` images each, no group torn apart."""
    return width * max(1, round(math.sqrt(n) / 2))
