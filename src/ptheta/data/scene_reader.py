"""Recognise the attributes of a scene from its pixels: the inverse of `ptheta.data.shapes`.

Analysis by synthesis. The background is the paper colour closest to most pixels. Objects do not
overlap, so each occupied cell of the layout is explained independently: every shape, size, fill and
colour is rendered at every position and scale of a scene, in small steps, and the rendering with
the least squared error is the result. Renderings are linear in the colour, so all colours cost one
matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptheta.data.shapes import (
    ATTRIBUTES,
    BACKGROUNDS,
    CENTRES,
    COLOURS,
    FILLS,
    OBJECT,
    OUTLINES,
    SCALE,
    SHIFT,
    SIZES,
    shade,
)
from ptheta.errors import PthetaError

SIDE = 32  # larger pictures are averaged down to about so many pixels a side
STEP = 0.4  # between the places and scales that are tried, pixels of the averaged picture
CORE = 0.05  # half the middle of a cell, of the image's side: an object there covers most of it
SEEN = 17.0  # of 255: difference of the mean there from the paper, from which on something is there
CHUNK = 256  # pictures, and objects of one cell, at a time

Floats = NDArray[np.float32]
WITHIN = len(OBJECT)
FIRST = ATTRIBUTES.index("first_shape")


@dataclass(frozen=True)
class Reading:
    """Recognised scenes.

    attributes: int8 (N, 14), see `ptheta.data.shapes.ATTRIBUTES`; `objects` is 0 to 9, and up to
        two objects are listed in the order of their cells, since a picture does not show which one
        a caption names first
    error: float64 (N,), root mean square of the residual, of 255
    """

    attributes: np.ndarray
    error: np.ndarray


def read_scenes(x: Tensor) -> Reading:
    """Reads pictures of scenes. At least 99 % of those that `scenes` draws are read rightly.

    Args:
        x: uint8 (N, 3, S, S), S at least 32. Pictures of a model may be blurred a little.

    Raises:
        PthetaError: for grey pictures, oblong or smaller ones.
    """
    if x.dtype != torch.uint8 or x.ndim != 4 or x.shape[1] != 3 or x.shape[2] != x.shape[3]:
        raise PthetaError(
            f"got a {x.dtype} tensor of shape {tuple(x.shape)}; scenes are recognised in uint8 "
            "(N, 3, S, S): give square pictures in colour"
        )
    if x.shape[2] < SIDE:
        raise PthetaError(
            f"pictures of {x.shape[2]} pixels a side are too small: scene recognition needs {SIDE} "
            "or more"
        )
    pixels = x.cpu().numpy()
    parts = [_read(pixels[at : at + CHUNK]) for at in range(0, len(pixels), CHUNK)]
    rows = [part.attributes for part in parts] or [np.empty((0, len(ATTRIBUTES)), np.int8)]
    return Reading(np.concatenate(rows), np.concatenate([p.error for p in parts] or [np.empty(0)]))


def _read(pixels: np.ndarray) -> Reading:
    size = pixels.shape[2]
    averaged = _pooled(pixels.astype(np.float32), _factor(size))
    paper = _paper(averaged)
    y = averaged - _papers()[paper][:, :, None, None]  # (N, 3, s, s)
    rows = np.full((len(y), len(ATTRIBUTES)), -1, dtype=np.int8)
    rows[:, ATTRIBUTES.index("background")] = paper
    rest = (y.astype(np.float64) ** 2).sum((1, 2, 3))
    there, count = _occupied(y)
    rows[:, ATTRIBUTES.index("objects")] = count
    place = np.cumsum(there, 1) - 1  # of the object in each cell: 0 or 1
    for cell in range(there.shape[1]):
        found = np.flatnonzero(there[:, cell])
        if not len(found):
            continue
        best, gain = _fitted(y[found], paper[found], _templates(size, cell))
        columns = FIRST + WITHIN * place[found, cell][:, None] + np.arange(WITHIN)
        rows[found[:, None], columns] = best
        rest[found] -= gain
    return Reading(rows, np.sqrt(np.maximum(rest, 0) / y[0].size))


def _papers() -> Floats:
    return np.array(tuple(BACKGROUNDS.values()), dtype=np.float32)


def _factor(size: int) -> int:
    """The largest number that divides the side and leaves at least SIDE pixels."""
    return next(k for k in range(max(size // SIDE, 1), 0, -1) if size % k == 0)


def _pooled(planes: Floats, k: int) -> Floats:
    """Means of k x k blocks: (..., H, W) -> (..., H / k, W / k)."""
    *lead, height, width = planes.shape
    pooled: Floats = planes.reshape(*lead, height // k, k, width // k, k).mean((-3, -1))
    return pooled


def _paper(x: Floats) -> np.ndarray:
    """The background most pixels are near to: int64 (N,)."""
    off = [np.abs(x - paper[:, None, None]).sum(1) for paper in _papers()]
    distance = np.stack(off).reshape(len(off), len(x), -1)
    nearest: np.ndarray = np.argmin(np.median(distance, -1), axis=0)
    return nearest


def _occupied(y: Floats) -> tuple[np.ndarray, np.ndarray]:
    """In which of the nine cells an object lies, of more than two the clearest ones: bool (N, 9);
    and in how many something lies, int64 (N,).

    The mean is taken before the absolute value, so that noise cancels in it.
    """
    at = (np.arange(y.shape[2]) + 0.5) / y.shape[2]
    near = np.abs(at - np.array(CENTRES)[:, None]) <= CORE  # (3, s)
    weight = (near / near.sum(1, keepdims=True)).astype(np.float32)
    means = np.einsum("nkhw,rh,cw->nkrc", y, weight, weight)
    strength = np.abs(means).mean(1).reshape(len(y), -1)
    rank = (-strength).argsort(1, kind="stable").argsort(1, kind="stable")
    there = strength > SEEN
    return there & (rank < 2), there.sum(1)


@dataclass(frozen=True)
class _Templates:
    """Renderings of an object in one cell. rows, columns: the window, slices of the averaged
    picture. cover, inked: float32 (T, P), coverage of each pixel, and coverage times colour
    intensity. kinds: int8 (T, 3), shape, size and fill of each. cell: (row, column)"""

    window: tuple[slice, slice]
    cover: Floats
    inked: Floats
    kinds: np.ndarray
    cell: tuple[int, int]


def _fitted(y: Floats, paper: np.ndarray, by: _Templates) -> tuple[np.ndarray, np.ndarray]:
    """The object columns of the best drawing, int8 (M, 6), and by how much it lowers the squared
    error, float64 (M,).

    A drawing differs from the paper b by w c - v b, with colour c, cover v and ink w, so that its
    error is |y|^2 - 2 (c.Yw - b.Yv) + |c|^2 w.w - 2 (c.b) w.v + |b|^2 v.v
    """
    colours = np.array(tuple(COLOURS.values()), dtype=np.float32)
    ww, wv, vv = ((a * b).sum(1) for a, b in _squares(by.inked, by.cover))
    window = y[:, :, by.window[0], by.window[1]].reshape(-1, by.cover.shape[1])
    yw = (window @ by.inked.T).reshape(len(y), 3, -1)
    yv = (window @ by.cover.T).reshape(len(y), 3, -1)
    b = _papers()[paper]  # (M, 3)
    own = 2 * np.einsum("mk,mkt->mt", b, yv) + (b * b).sum(1)[:, None] * vv
    best, gain = np.zeros(len(y), np.int64), np.full(len(y), -np.inf, np.float32)
    colour = np.zeros(len(y), np.int64)
    for number, c in enumerate(colours):
        drawn = 2 * np.einsum("k,mkt->mt", c, yw) - c @ c * ww + 2 * (b @ c)[:, None] * wv - own
        t = drawn.argmax(1)
        value = drawn[np.arange(len(y)), t]
        better = value > gain
        best, gain = np.where(better, t, best), np.where(better, value, gain)
        colour = np.where(better, number, colour)
    kinds = by.kinds[best]
    place = np.broadcast_to(np.array(by.cell), (len(y), 2))
    columns = (kinds[:, 0], colour, kinds[:, 1], kinds[:, 2], place[:, 0], place[:, 1])
    return np.stack(columns, 1).astype(np.int8), gain.astype(np.float64)


def _squares(w: Floats, v: Floats) -> Iterator[tuple[Floats, Floats]]:
    yield from ((w, w), (w, v), (v, v))


def _steps(reach: float) -> np.ndarray:
    """From -1 to 1, in steps that are at most STEP where 1 is `reach` pixels."""
    return np.linspace(-1, 1, 2 * max(int(np.ceil(reach / STEP)), 1) + 1)


@cache
def _templates(size: int, cell: int) -> _Templates:
    """All drawings of an object in a cell (0..8) of pictures of this size."""
    k = _factor(size)
    across = size // k
    where = (cell // len(CENTRES), cell % len(CENTRES))
    reach = SHIFT + max(SIZES.values()) * (1 + SCALE) + 1 / across
    middle = [CENTRES[i] for i in where]
    window = tuple(
        slice(max(int((m - reach) * across), 0), min(int((m + reach) * across) + 1, across))
        for m in middle
    )
    # positions of the pixels of the picture itself, relative to the middle of the cell
    y, x = (
        np.arange(w.start * k, w.stop * k) + 0.5 - m * size
        for w, m in zip(window, middle, strict=True)
    )
    shifts = _steps(SHIFT * across)
    covers, inks, kinds = [], [], []
    for (s, outline), (n, half) in product(enumerate(OUTLINES.values()), enumerate(SIZES.values())):
        scales = _steps(SCALE * half * across)
        dy, dx, scale = (
            a.reshape(-1, 1, 1) for a in np.meshgrid(shifts, shifts, scales, indexing="ij")
        )
        at_y = y[None, :, None] - dy * SHIFT * size
        at_x = x[None, None, :] - dx * SHIFT * size
        cover = np.clip(0.5 - outline(at_x, at_y, half * size * (1 + SCALE * scale)), 0, 1)
        for fill in range(len(FILLS)):
            ink = cover * shade(np.array(fill), at_x, at_y, size)
            covers.append(_pooled(cover.astype(np.float32), k).reshape(len(cover), -1))
            inks.append(_pooled(ink.astype(np.float32), k).reshape(len(cover), -1))
            kinds.append(np.tile(np.array([s, n, fill], dtype=np.int8), (len(cover), 1)))
    rows, columns = window
    return _Templates(
        (rows, columns), np.concatenate(covers), np.concatenate(inks), np.concatenate(kinds), where
    )
