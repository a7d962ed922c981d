"""Image-to-image processing of given images: read at their own size, written under their names, in
batches."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ptheta.api.draw import DIGITS, identity, named
from ptheta.api.export import SUFFIXES, Images
from ptheta.api.given import names_of_results, pictures_at, read_picture
from ptheta.api.grid import Grid, Output, side_by_side
from ptheta.api.record import Identity
from ptheta.batch import Condition
from ptheta.capabilities import condition_of, takes_any_size
from ptheta.conditions import word
from ptheta.errors import PthetaError
from ptheta.runs.folder import Run
from ptheta.specs import ImageSpec
from ptheta.tasks.conditions import rows_asked
from ptheta.tasks.sample import Part

IMAGE = "--image"
TOGETHER = 16  # batch size for images of one size
Shape = tuple[int, int, int]  # (C, H, W)
# (x (B, C, H, W), indices, conditions) -> images shown for each, the result last
Make = Callable[[Tensor, range, Condition | None], Sequence[Tensor]]


def size_text(size: Sequence[int]) -> str:
    """(H, W) as text, width first."""
    return f"{size[1]}x{size[0]}"


def sized_picture(
    path: Path, spec: ImageSpec, size: tuple[int, int] | None, does: str, flag: str = IMAGE
) -> tuple[Tensor, tuple[str, ...]]:
    """Reads an image, uint8 (C, H, W), and describes what was lost in conversion.

    size: required (H, W); None for any; does: what the model does with images, for the message,
    such as "repairs"; flag: name of the option
    Raises PthetaError if it is not an image, or has another size.
    """
    x, lost = read_picture(path, spec, flag)
    if size not in (None, tuple(x.shape[1:])):
        raise PthetaError(
            f"{flag} {path} is {size_text(x.shape[1:])} pixels, and this model {does} images of "
            f"{size_text((spec.height, spec.width))}: crop or resize it, or use a model that takes "
            "any size"
        )
    return x, lost


def is_folder(path: Path | None) -> bool:
    """Whether the path is a folder, to which images are written one by one."""
    return path is not None and path.suffix.lower() not in SUFFIXES


def check_one_size(shapes: set[Shape]) -> None:
    """Raises PthetaError for images of several sizes, which cannot form a grid."""
    if len(shapes) > 1:
        sizes = ", ".join(sorted(f"{w}x{h}" for _, h, w in shapes)[:3])
        raise PthetaError(
            f"images of {len(shapes)} sizes ({sizes}, ...) cannot form a grid: write them into a "
            "folder (--out without a suffix)"
        )


def rows_of_pictures(
    model: nn.Module, condition: Mapping[str, Sequence[str]] | None
) -> Condition | None:
    """Conditions of images, cycled through. Raises PthetaError if the model is conditional and they
    are not given."""
    if condition:
        return rows_asked(model, condition)
    spec = condition_of(model)
    if spec is None:
        return None
    raise PthetaError(
        f"this model is conditional on {word(spec)}: give the conditions of the images (--label "
        "and similar; in Python condition=...)"
    )


@dataclass(frozen=True)
class Own:
    """Images, read one by one.

    size, does, flag: as for `sized_picture`
    """

    pictures: list[Path]
    spec: ImageSpec
    size: tuple[int, int] | None
    does: str
    flag: str = IMAGE

    @classmethod
    def at(
        cls, image: str | Path, model: nn.Module, spec: ImageSpec, does: str, flag: str = IMAGE
    ) -> Own:
        """Raises PthetaError if there is no image."""
        size = None if takes_any_size(model) else (spec.height, spec.width)
        return cls(pictures_at(image, flag), spec, size, does, flag)

    def __len__(self) -> int:
        return len(self.pictures)

    def read(self, i: int) -> Tensor:
        """Reads image i, uint8 (C, H, W). Raises PthetaError if it is not an image, or has the
        wrong size."""
        return self._read(i)[0]

    def _read(self, i: int) -> tuple[Tensor, tuple[str, ...]]:
        return sized_picture(self.pictures[i], self.spec, self.size, self.does, self.flag)

    def first(self, n: int) -> Tensor:
        """The first n images, of one size: uint8 (k, C, H, W). Warns and raises as `checked`."""
        some = replace(self, pictures=self.pictures[:n])
        check_one_size(some.checked()[1])
        return torch.stack([some.read(i) for i in range(len(some))])

    def checked(self) -> tuple[str, set[Shape]]:
        """Reads all of them once: returns a hash of their contents, and their shapes (C, H, W).

        Raises PthetaError as `read` does. Warns of conversion losses.
        """
        found, losses, shapes = hashlib.sha256(), Counter[str](), set[Shape]()
        for i in range(len(self)):
            x, lost = self._read(i)
            losses.update(lost)
            shapes.add((x.shape[0], x.shape[1], x.shape[2]))
            found.update(f"{tuple(x.shape)}".encode())
            found.update(x.contiguous().numpy().tobytes())
        for loss, k in losses.items():
            warnings.warn(f"{k} of {len(self)} images have {loss}", stacklevel=4)
        return found.hexdigest(), shapes


@dataclass(frozen=True)
class Made:
    """Generates the outputs for images after a position, in batches: `shown` images of each."""

    own: Own
    make: Make
    rows: Condition | None
    together: int
    shown: int = 1

    def __call__(self, start: int) -> Iterator[Part]:
        for first in range(start // self.shown, len(self.own), self.together):
            numbers = range(first, min(first + self.together, len(self.own)))
            x = torch.stack([self.own.read(i) for i in numbers])
            y = None
            if self.rows is not None:
                y = self.rows[torch.tensor([i % len(self.rows) for i in numbers])]
            columns = self.make(x, numbers, y)[-self.shown :]
            made = torch.stack(list(columns), 1).flatten(0, 1)
            yield Part(first * self.shown, made)


def make_of_pictures(
    run: Run,
    own: Own,
    make: Make,
    headings: Sequence[str],
    output: Output,
    asked: Identity,
    rows: Condition | None,
    *,
    together: bool,
) -> Grid:
    """Processes images with a model: one by one into a folder, else in a grid.

    headings: column heads for the images that `make` returns; asked: further settings that the
        result depends on
    rows: conditions of the images, cycled through; together: process images in batches, if that
        gives the same result as one by one
    """
    pixels, shapes = own.checked()
    n, size = len(own), TOGETHER if together and len(shapes) == 1 else 1
    about = f"{n} image{'s' * (n > 1)}"
    if is_folder(output.path):
        known = {
            **identity(run),
            **asked,
            "images with hash": pixels[:DIGITS],
            "images": n,
            "condition": None if rows is None else named(run, rows),
        }
        parts = Made(own, make, rows, size)
        names = names_of_results(own.pictures)
        done = Images(n, min(shapes), known, parts, size, names=names)
        return output.write(done, about, 1)
    check_one_size(shapes)
    width = len(headings)
    c, h, w = min(shapes)
    output.check(n * width, replace(own.spec, channels=c, height=h, width=w), width)
    every = Made(own, make, rows, size, width)
    x = torch.cat([part.x for part in every(0)])
    grid = side_by_side(*x.unflatten(0, (n, width)).unbind(1))
    return output.write(replace(grid, headings=tuple(headings)), about, width)
