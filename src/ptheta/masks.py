"""Masks: regions of an image that are known, or to be completed.

A mask is an entry of `MASKS`: a fixed region, or a random one for each image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeAlias

import torch
from torch import Tensor

from ptheta.compute import streams
from ptheta.config import Entry, OneOf
from ptheta.errors import unknown

LEAST, MOST = 1 / 4, 1 / 2  # side of a hole, as a fraction of the image side
STROKES, TURNS = 4, 4  # strokes per image, straight segments per stroke
LONG, WIDE = 1 / 4, 1 / 16  # segment length and half brush width, as fractions of the smaller side
SCATTERED = 1 / 2  # fraction of pixels

Area = Callable[[int, int, int, torch.device | None], Tensor]


@dataclass(frozen=True)
class Mask(Entry):
    """area(n, h, w, device): the region in each of n images of (h, w) pixels, bool (n, h, w), or
    (1, h, w) for all; noise from torch's generator (`ptheta.compute.streams`)"""

    area: Area


def box(
    rows: Callable[[int], slice],
    columns: Callable[[int], slice],
    n: int,
    h: int,
    w: int,
    device: torch.device | None,
) -> Tensor:
    """A fixed rectangle, given by its rows and columns as functions of height and width."""
    part = torch.zeros(1, h, w, dtype=torch.bool, device=device)
    part[:, rows(h), columns(w)] = True
    return part


def every(n: int) -> slice:
    return slice(n)


def first(n: int) -> slice:
    return slice(n // 2)


def second(n: int) -> slice:
    return slice(n // 2, n)


def middle(n: int) -> slice:
    return slice(n // 4, n - n // 4)


centre = partial(box, middle, middle)


def border(n: int, h: int, w: int, device: torch.device | None) -> Tensor:
    return ~centre(n, h, w, device)


def half(n: int, h: int, w: int, device: torch.device | None) -> Tensor:
    """One of the four halves."""
    which = streams.integers(0, len(HALVES), n, device=device)
    return torch.cat([part(n, h, w, device) for part in HALVES.values()])[which]


def hole(n: int, h: int, w: int, device: torch.device | None) -> Tensor:
    u = streams.uniform(n, 4, device=device)

    def inside(size: int, at: Tensor, share: Tensor) -> Tensor:
        side = (size * (LEAST + (MOST - LEAST) * share)).round().clamp(1, size)
        start = (at * (size - side + 1)).floor().clamp(max=size - 1)
        i = torch.arange(size, device=device)
        return (i >= start[:, None]) & (i < (start + side)[:, None])

    return inside(h, u[:, 0], u[:, 1])[:, :, None] & inside(w, u[:, 2], u[:, 3])[:, None]


def strokes(n: int, h: int, w: int, device: torch.device | None) -> Tensor:
    """Random walks with a round brush: each segment continues in about the direction of the
    last."""
    u = streams.uniform(n, STROKES, 3 + 2 * TURNS, device=device)
    side = min(h, w)
    turns = (u[..., 2:3] * 2 * math.pi, (u[..., 3 : 2 + TURNS] - 0.5) * math.pi)
    angle = torch.cat(turns, 2).cumsum(2)
    length = side * LONG * (0.5 + u[..., 2 + TURNS : 2 + 2 * TURNS])
    radius = (side * WIDE * (0.5 + u[..., -1])).clamp(min=0.5)
    step = length[..., None] * torch.stack([angle.sin(), angle.cos()], -1)
    start = torch.stack([u[..., 0] * h, u[..., 1] * w], -1)[..., None, :]
    ends = torch.cat([start, start + step.cumsum(2)], 2)
    found = torch.zeros(n, h, w, dtype=torch.bool, device=device)
    for stroke in range(STROKES):
        for turn in range(TURNS):
            part = ends[:, stroke, turn], ends[:, stroke, turn + 1]
            found |= _squared_distance(*part, h, w) <= radius[:, stroke, None, None].square()
    return found


def _squared_distance(a: Tensor, b: Tensor, h: int, w: int) -> Tensor:
    """Squared distance of each pixel centre to the segments from a to b, (n, 2) in pixels (row,
    column): (n, h, w)."""
    y = torch.arange(h, device=a.device)[:, None] + 0.5 - a[:, 0, None, None]
    x = torch.arange(w, device=a.device) + 0.5 - a[:, 1, None, None]
    dy, dx = (b - a)[:, 0, None, None], (b - a)[:, 1, None, None]
    along = ((y * dy + x * dx) / (dy.square() + dx.square()).clamp(min=1e-9)).clamp(0, 1)
    return (y - along * dy).square() + (x - along * dx).square()


def pixels(n: int, h: int, w: int, device: torch.device | None) -> Tensor:
    return streams.uniform(n, h, w, device=device) < SCATTERED


HALVES: dict[str, Area] = {
    "upper": partial(box, first, every),
    "lower": partial(box, second, every),
    "left": partial(box, every, first),
    "right": partial(box, every, second),
}
MASKS: dict[str, Mask] = {
    **{name: Mask(area, about=f"the {name} half") for name, area in HALVES.items()},
    "border": Mask(border, about="all but the centre"),
    "centre": Mask(centre, about="the middle half of rows and columns"),
    "half": Mask(half, about="a random half of each image"),
    "hole": Mask(hole, about="a rectangle at a random place, of a quarter to a half of each side"),
    "strokes": Mask(strokes, about="a few random strokes of a brush"),
    "pixels": Mask(pixels, about="random pixels, half of them on average"),
}

# masks used to evaluate completions
TESTED = ("centre", "half", "hole", "strokes", "pixels")

MaskName: TypeAlias = Annotated[str, OneOf(MASKS)]


def mask_of(name: str) -> Mask:
    """The entry of this name. Raises PthetaError for an unknown name."""
    if name not in MASKS:
        raise unknown("mask", name, MASKS)
    return MASKS[name]


def area(name: str, n: int, h: int, w: int, device: torch.device | None = None) -> Tensor:
    """The region of the named mask in each of n images: bool (n, h, w).

    Raises PthetaError for an unknown name.
    """
    return mask_of(name).area(n, h, w, device).expand(n, h, w)


def unknown_parts(n: int, h: int, w: int, seed: int = 0) -> Tensor:
    """An unknown region for each of n images, by the masks of `TESTED` in turn: bool (n, h, w)."""
    with streams.seeded(seed):
        every = torch.stack([area(name, n, h, w) for name in TESTED])
    i = torch.arange(n)
    return every[i % len(TESTED), i]
