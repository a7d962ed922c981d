"""Large images, worked at tile by tile: what is in memory at once does not grow with them.

Tiles overlap. In the middle half of an overlap one tile fades into the next, and in its outer
quarters a tile counts for nothing: there it has seen its own border and not what lies beyond. So
what looks no farther than a quarter of the overlap gives what it would give for the whole image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ptheta.specs import ImageSpec
from ptheta.terminal.progress import watched

TILE = 1024  # pixels, the side of a tile
LEAST = 64  # of the side of a tile
OVERLAP = 4  # a tile shares a fourth of its side with the next one
PHASES = 8  # tiles begin at multiples of about an eighth, as nets that halve the image want it

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
        """Where the pieces begin: at multiples of a power of two, so that what a net halves is
        halved at the same pixels in each."""
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
        """How much each piece counts at each of its pixels: (length,). They sum to 1 everywhere."""
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
    """From 0 to 1 in the middle half of an overlap, without a kink. depth: pixels from its end"""
    u = ((depth - overlap / 4) / (overlap / 2)).clamp(0, 1)
    return u * u * (3 - 2 * u)


def tiled(work: Work, x: Tensor, spec: ImageSpec, tile: int = TILE) -> Tensor:
    """What `work` makes of an image, uint8 (C, H, W) -> (C', H, W), in tiles of `tile` pixels.

    work: uint8 (1, C, h, w) -> (1, C', h, w) for any h and w, the same for the same tile
    spec: of what it makes. Tiles are blended as a network sees them, (K, h, w): where pixels are
        colours of a map, the colour that counts most is taken, and none between two
    """
    _, height, width = x.shape
    down, across = Cuts(height, tile), Cuts(width, tile)
    made = x.new_empty(spec.shape[0], height, width)
    begun: Tensor | None = None  # of the tiles above: what reaches into the next ones
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
    """The tiles of a row, blended: floats (K, h, W)."""
    row = torch.zeros(spec.scaled_shape[0], strip.shape[1], across.n)
    for j, weight in enumerate(across.weights):
        piece = across.piece(j)
        row[:, :, piece] += spec.scaled(work(strip[None, :, :, piece]))[0].float() * weight
    return row
