"""Processing of large images in overlapping tiles, with constant memory.

Adjacent tiles are blended in the middle half of their overlap; in the outer quarter next to its own
border a tile has weight 0, since it does not see beyond. So a function whose receptive field
reaches at most a quarter of the overlap gives the same result as for the whole image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ptheta.specs import ImageSpec
from ptheta.terminal.progress import watched

TILE = 1024  # default side of a tile in pixels
LEAST = 64  # minimum side of a tile
OVERLAP = 4  # the overlap is a fourth of a tile's side
PHASES = 8  # tiles begin at multiples of about an eighth, for networks that downsample

Work = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Cuts:
    """A side of n pixels, cut into pieces of at most `tile`."""

    n: int
    tile: int

    @property
    def overlap(self) -> int:
        return self.tile // OVERLAP

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where the pieces begin: at multiples of a power of two, so that a network downsamples on
        the same grid in each."""
        phase = 1 << ((self.tile // PHASES).bit_length() - 1)
        if self.n <= self.tile:
            return (0,)
        step = (self.tile - self.overlap) // phase * phase
        last = -(-(self.n - self.tile) // phase) * phase
        return (*range(0, last, step), last)

    def piece(self, i: int) -> slice:
        start = self.starts[i]
        return slice(start, min(start + self.tile, self.n))

    @cached_property
    def weights(self) -> tuple[Tensor, ...]:
        """The weight of each piece at each of its pixels: (length,). They sum to 1 everywhere."""
        raw = [self._raw(i) for i in range(len(self.starts))]
        total = torch.zeros(self.n)
        for i, weight in enumerate(raw):
            total[self.piece(i)] += weight
        return tuple(weight / total[self.piece(i)] for i, weight in enumerate(raw))

    def _raw(self, i: int) -> Tensor:
        piece = self.piece(i)
        length = piece.stop - piece.start
        at = torch.arange(length) + 0.5
        weight = torch.ones(length)
        if i > 0:
            weight = weight * _ramp(at, self.overlap)
        if i < len(self.starts) - 1:
            weight = weight * _ramp(length - at, self.overlap)
        return weight


def _ramp(depth: Tensor, overlap: int) -> Tensor:
    """A smooth ramp from 0 to 1 in the middle half of an overlap. depth: pixels from its end"""
    u = ((depth - overlap / 4) / (overlap / 2)).clamp(0, 1)
    return u * u * (3 - 2 * u)


def tiled(work: Work, x: Tensor, spec: ImageSpec, tile: int = TILE) -> Tensor:
    """Apply `work` to an image, uint8 (C, H, W) -> (C', H, W), in tiles of `tile` pixels.

    work: uint8 (1, C, h, w) -> (1, C', h, w) for any h and w, deterministic
    spec: spec of the output. Tiles are blended in network scale, (K, h, w): in a label map the
        class with the largest weight is taken
    """
    _, height, width = x.shape
    down, across = Cuts(height, tile), Cuts(width, tile)
    made = x.new_empty(spec.shape[0], height, width)
    begun: Tensor | None = None  # the part of the tiles above that overlaps the next row
    for i in watched(range(len(down.starts)), "rows of tiles"):
        start = down.starts[i]
        rows = _row(work, x[:, down.piece(i)], spec, across) * down.weights[i][:, None]
        if begun is not None:
            rows[:, : begun.shape[1]] += begun
        done = (*down.starts, height)[i + 1] - start
        made[:, start : start + done] = spec.unscaled(rows[None, :, :done])[0]
        begun = rows[:, done:].clone()
    return made


def _row(work: Work, strip: Tensor, spec: ImageSpec, across: Cuts) -> Tensor:
    """The blended tiles of a row: floats (K, h, W)."""
    row = torch.zeros(spec.scaled_shape[0], strip.shape[1], across.n)
    for j, weight in enumerate(across.weights):
        piece = across.piece(j)
        row[:, :, piece] += spec.scaled(work(strip[None, :, :, piece]))[0].float() * weight
    return row
