"""Image sequences, written as a film (.gif), or as rows of an image, an array or a folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import Tensor

from ptheta.api.export import WIDTH, Images
from ptheta.api.grid import Grid, Output
from ptheta.errors import PthetaError
from ptheta.files.captions import MOST_ROWS
from ptheta.files.films import FILM, write_gif
from ptheta.files.images import between, drawn_at, grid, lettered
from ptheta.files.out import check_file
from ptheta.specs import DataSpec, images_only

LONGEST = 2**29  # maximum pixels of a film, which is held in memory
FPS = 8.0
COLOURS = 64  # palette size of a film: much smaller files without visible difference
FASTEST = 50.0  # maximum supported by viewers: .gif delays are in hundredths of a second
HELD = 3  # factor by which the end images of a walk are shown longer
FILMED = 16  # default number of images of a walk in a film


def is_film(out: str | Path | None) -> bool:
    return out is not None and Path(out).suffix.lower() == FILM


def film_side(
    n: int,
    shape: tuple[int, ...],
    frames: int,
    scale: int | None,
    columns: int | None = None,
    *,
    fewer: str = "ask for fewer steps (--steps)",
) -> int:
    """Enlargement factor of a .gif with `frames` grids of n images. fewer: advice in the error
    message.

    Raises PthetaError if the film would be too large.
    """
    side = drawn_at(n, shape, ".jpg", WIDTH, columns, scale)  # same size limits as a .gif
    pixels = frames * n * shape[1] * shape[2] * side**2
    if pixels > LONGEST:
        raise PthetaError(
            f"a film of {frames:,} frames with {n:,} images has {pixels:,} pixels, more than "
            f"{LONGEST:,}: {fewer}, or give a smaller --scale"
        )
    return side


@dataclass(frozen=True)
class Moving:
    """Image sequences: uint8 (groups, members, steps, C, H, W).

    As an image, each member of each group is a row of steps. A film has the groups across and the
    members down; with one group, the members across; without names, all in about a square.
    names: of the members; headings: of the steps, in an image
    """

    x: Tensor
    names: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()

    @classmethod
    def rows(cls, x: Tensor, steps: int) -> Moving:
        """From concatenated sequences, (rows * steps, C, H, W)."""
        return cls(x.unflatten(0, (-1, 1, steps)))

    @property
    def steps(self) -> int:
        return self.x.shape[2]

    def images(self) -> Images:
        """The image grid: a row for each member of each group."""
        groups, members = self.x.shape[:2]
        rows = groups * members
        captions = self.names * groups if self.names and rows <= MOST_ROWS else ()
        images = Images.of(self.x.flatten(0, 2).contiguous())
        return replace(images, captions=captions, headings=self.headings)

    def frames(self, side: int) -> list[np.ndarray]:
        """Frames forwards and backwards, so that a looping film does not jump."""
        steps = self.steps
        there = [self._frame(t, side) for t in range(steps)]
        return [*there, *there[steps - 2 : 0 : -1]]

    @cached_property
    def ground(self) -> int:
        """Background between the images, the same in all frames."""
        return between(self.x)

    def _frame(self, t: int, side: int) -> np.ndarray:
        now = self.x[:, :, t]
        x = (now.transpose(0, 1) if self.names else now).flatten(0, 1)
        picture = grid(x, self.across, background=self.ground)
        if not self.names:
            return np.asarray(lettered(picture, side))
        if len(now) == 1:
            return np.asarray(lettered(picture, side, headings=self.names))
        return np.asarray(lettered(picture, side, captions=self.names))

    @property
    def across(self) -> int:
        """Number of images across in a film."""
        groups, members = self.x.shape[:2]
        if not self.names:
            return math.ceil(math.sqrt(groups * members))
        return members if groups == 1 else groups


@dataclass(frozen=True)
class Screen:
    """Destination of image sequences, validated before the work starts.

    output: image, array or folder; film: path of a film, None if it is not one
    """

    output: Output
    film: Path | None = None
    fps: float = FPS
    scale: int | None = None

    @classmethod
    def at(cls, out: str | Path | None, scale: int | None, fps: float | None) -> Screen:
        """Raises PthetaError for a location that cannot be written, and for fps without a film."""
        if not is_film(out):
            if fps is not None:
                where = "no file is named" if out is None else f"{out} is not a film"
                raise PthetaError(
                    f"--fps {fps:g} applies only to films, and {where}: leave it out, or write a "
                    ".gif"
                )
            return cls(Output.at(out, scale))
        if fps is not None and not 0 < fps <= FASTEST:
            raise PthetaError(f"--fps {fps:g}: want more than 0, and at most {FASTEST:g}")
        if scale is not None and scale < 1:
            raise PthetaError(f"--scale {scale}: want 1 or more")
        place = check_file(str(out), (FILM,))
        return cls(Output(None, None), place, FPS if fps is None else fps, scale)

    def steps(self, asked: int | None, usual: int) -> int:
        """Number of images of a walk; the default depends on the output."""
        return (usual if self.film is None else FILMED) if asked is None else asked

    def check(self, groups: int, members: int, steps: int, spec: DataSpec) -> None:
        """Raises PthetaError for too many sequences, and for data that are not images."""
        shape, n = images_only(spec, "this use").shape, groups * members
        if self.film is None:
            self.output.check(n * steps, spec, steps)
        else:
            film_side(n, shape, _frames(steps), self.scale)

    def write(self, moving: Moving, about: str) -> Grid:
        """Writes the sequences if an output is given."""
        images = moving.images()
        if self.film is None:
            return self.output.write(images, about, moving.steps)
        n, frames = math.prod(moving.x.shape[:2]), _frames(moving.steps)
        side = film_side(n, images.shape, frames, self.scale, moving.across)
        durations = self.durations(moving.steps)
        write_gif(self.film, moving.frames(side), duration=durations, colours=COLOURS)
        return Grid(images, moving.steps, about, self.film)

    def durations(self, steps: int) -> Sequence[int]:
        """Duration of each frame in milliseconds; the ends are shown longer."""
        one = 10 * max(1, round(100 / self.fps))
        return [one * (HELD if t in (0, steps - 1) else 1) for t in range(_frames(steps))]


def _frames(steps: int) -> int:
    """Number of frames, forwards and backwards."""
    return max(1, 2 * steps - 2)
