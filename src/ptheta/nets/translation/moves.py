"""Augmentations of pairs, applied to input and target alike: flips, enlargements and shifts.

A move says from which places of an image its rows and columns are taken, anew for each example, so
that any of them go together and an image is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, NamedTuple, TypeAlias

import torch
from torch import Tensor

from ptheta.compute import streams
from ptheta.config import Entry, OneOf

ENLARGED = 286 / 256  # sides of the paper, before it crops at random
SHIFT = 16  # a side over the largest shift


class Places(NamedTuple):
    """Where the rows (B, H) and the columns (B, W) of an image are taken from, in pixels; what lies
    beyond it is its mirror image."""

    rows: Tensor
    columns: Tensor


def as_it_is(n: int, height: int, width: int, like: Tensor) -> Places:
    """Every pixel from its own place, of n images."""
    rows, columns = (torch.arange(side, device=like.device) for side in (height, width))
    return Places(rows.to(like).expand(n, -1), columns.to(like).expand(n, -1))


def flipped(places: Places) -> Places:
    """Left and right exchanged in every second image."""
    rows, columns = places
    n, width = columns.shape
    other = streams.integers(0, 2, n, 1, device=columns.device).bool()
    return Places(rows, torch.where(other, width - 1 - columns, columns))


def jittered(places: Places) -> Places:
    """Enlarged, and cropped to the size at random: section 6.2 of pix2pix."""
    return Places(*(_enlarged(axis) for axis in places))


def _enlarged(axis: Tensor) -> Tensor:
    n, side = axis.shape
    large = max(side + 1, round(side * ENLARGED))
    start = streams.integers(0, large - side + 1, n, 1, device=axis.device)
    return (axis + start + 0.5) * (side / large) - 0.5


def shifted(places: Places) -> Places:
    """Moved by up to a sixteenth of the side each way, whole pixels."""
    return Places(*(_moved(axis) for axis in places))


def _moved(axis: Tensor) -> Tensor:
    n, side = axis.shape
    most = (side + SHIFT // 2) // SHIFT
    return axis + streams.integers(-most, most + 1, n, 1, device=axis.device)


@dataclass(frozen=True)
class PairMove(Entry):
    """apply: places that pixels are taken from -> those of moved images"""

    apply: Callable[[Places], Places]


PAIR_MOVES: dict[str, PairMove] = {
    "flip": PairMove(flipped, about="horizontal flips"),
    "jitter": PairMove(jittered, about="enlarged by an eighth and cropped (1611.07004)"),
    "shift": PairMove(shifted, about="shifts by up to a sixteenth of the side"),
}

PairMoveName: TypeAlias = Annotated[str, OneOf(PAIR_MOVES)]


def drawn(names: Iterable[str], x: Tensor) -> Places | None:
    """The places of these moves for images x (B, C, H, W), drawn anew; None without any."""
    moves = [PAIR_MOVES[name] for name in names]
    if not moves:
        return None
    places = as_it_is(len(x), x.shape[2], x.shape[3], x)
    for move in moves:
        places = move.apply(places)
    return places


def moved(x: Tensor, places: Places, *, smooth: bool) -> Tensor:
    """Images x (B, C, H, W) with their pixels taken from these places.

    smooth: interpolated between pixels; else the nearest one is taken, so that planes of labels
        stay such
    """
    rows, columns = places
    if not smooth:
        rows, columns = rows.round(), columns.round()
    rows, columns = weights(rows, x.shape[2]), weights(columns, x.shape[3])
    return torch.einsum("bih,bchw,bjw->bcij", rows, x, columns)


def weights(axis: Tensor, side: int) -> Tensor:
    """How much of each pixel of a side goes into each place (B, n): (B, n, side)"""
    there = mirrored(axis, side)
    pixels = torch.arange(side, device=axis.device, dtype=axis.dtype)
    return (1 - (there[..., None] - pixels).abs()).clamp(min=0)


def mirrored(axis: Tensor, side: int) -> Tensor:
    """Places within 0..side-1 that hold what lies beyond: a half pixel around is the border."""
    if side == 1:
        return torch.zeros_like(axis)
    within = axis.remainder(2 * (side - 1))
    return torch.where(within <= side - 1, within, 2 * (side - 1) - within)
