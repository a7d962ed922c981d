"""Captioned scenes of simple shapes, drawn by formula: caption, attributes and mask are exact.

Scene i of a seed is the same bytes on every platform: its attributes come from integer hashes, its
pixels from float64 arithmetic that rounds alike everywhere (sqrt is exact by IEEE 754).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ptheta.data.cache import Writer, cached
from ptheta.data.counter import below
from ptheta.data.image_data import ImageDataset
from ptheta.data.words import NONE, numbered
from ptheta.errors import PthetaError

VERSION = 2  # of the drawing
TRAIN, TEST = 20_000, 2_000
RANGES = {"train": (0, TRAIN), "test": (TRAIN, TEST)}  # the first scene and how many there are

COLOURS = {
    "red": (222, 52, 47),
    "orange": (245, 145, 30),
    "yellow": (250, 214, 52),
    "green": (56, 168, 82),
    "blue": (43, 108, 214),
    "purple": (142, 68, 192),
    "pink": (244, 132, 178),
    "brown": (134, 84, 48),
}
BACKGROUNDS = {"white": (246, 246, 244), "grey": (150, 154, 160), "black": (24, 26, 30)}
SIZES = {"small": 0.112, "large": 0.18}  # half the side of the bounding square, of the image's side
FILLS = ("plain", "striped", "checked")
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")
CENTRES = (0.22, 0.5, 0.78)  # of rows and columns, of the image's side

# properties not in the caption vary a little, so that no two scenes are identical
SHIFT = 0.025  # of a centre, to either side, of the image's side
SCALE = 0.06  # of a size, up or down, of itself
GAP = 0.04  # between the bounding squares of two objects, of the image's side

OBJECT = ("shape", "colour", "size", "fill", "row", "column")
ATTRIBUTES = (
    "objects",
    "background",
    *(f"{which}_{name}" for which in ("first", "second") for name in OBJECT),
)
"""The columns of the attribute array: `objects` is 1 or 2, all others index the tables above; -1
if there is no second object."""


@dataclass(frozen=True)
class Scenes:
    """images uint8 (N, 3, S, S); masks uint8 (N, S, S): 0 background, 1 first object, 2 second
    object; attributes int8 (N, 14), see ATTRIBUTES; N captions."""

    images: np.ndarray
    masks: np.ndarray
    attributes: np.ndarray
    captions: tuple[str, ...]


@dataclass(frozen=True)
class _Layout:
    """Positions of objects 0 and 1 of each scene, as fractions of the image side: float64."""

    centres: np.ndarray  # (N, 2, 2): scene, object, (row, column)
    halves: np.ndarray  # (N, 2): half the side of the bounding square


def _compose(index: np.ndarray, seed: int) -> tuple[np.ndarray, _Layout]:
    """Attributes, int8 (N, 14), and layout of scene numbers (N,)."""

    def draw(slot: int, n: int | np.ndarray) -> np.ndarray:
        return below(seed, index.astype(np.uint64) * np.uint64(64) + np.uint64(slot), n)

    def wobble(slot: int) -> np.ndarray:  # -1..1 in steps of 1/512: exact in float64
        return (draw(slot, 1025) - 512) / 512

    tables = (len(SHAPES), len(COLOURS), len(SIZES), len(FILLS))
    first = [draw(2 + k, n) for k, n in enumerate(tables)]
    second = [draw(12 + k, n) for k, n in enumerate(tables)]
    # two objects of the same colour could differ in nothing but their position
    second[1] = (first[1] + 1 + draw(20, len(COLOURS) - 1)) % len(COLOURS)
    size = np.array(tuple(SIZES.values()))[np.stack([first[2], second[2]], 1)]  # (N, 2)
    halves = size * (1 + SCALE * np.stack([wobble(30), wobble(40)], 1))
    shift = SHIFT * np.stack([[wobble(31), wobble(32)], [wobble(41), wobble(42)]]).transpose(
        2, 0, 1
    )
    cells = np.array(CENTRES)[np.stack([np.arange(9) // 3, np.arange(9) % 3], 1)]  # (9, 2)
    cell = draw(6, 9)
    # the second object goes to a cell where the two bounding squares keep apart
    away = np.abs(cells + shift[:, None, 1] - (cells[cell] + shift[:, 0])[:, None]).max(
        -1
    )  # (N, 9)
    free = away > halves.sum(1, keepdims=True) + GAP
    count = free.sum(1)
    k = draw(21, np.maximum(count, 1))
    other = (free & (free.cumsum(1) - 1 == k[:, None])).argmax(1)  # the k-th free cell
    two = (draw(0, 2) == 1) & (count > 0)
    columns = [
        1 + two,
        draw(1, len(BACKGROUNDS)),
        *first,
        cell // 3,
        cell % 3,
        *(np.where(two, v, -1) for v in (*second, other // 3, other % 3)),
    ]
    centres = cells[np.stack([cell, other], 1)] + shift
    return np.stack(columns, 1).astype(np.int8), _Layout(centres, halves)


def caption(row: np.ndarray) -> str:
    """The caption of one attribute row, which contains all attributes."""

    def thing(values: np.ndarray) -> str:
        shape, colour, size, fill, y, x = (int(v) for v in values)
        words = [tuple(SIZES)[size], tuple(COLOURS)[colour]]
        if fill:
            words.append(FILLS[fill])
        place = f"{ROWS[y]} {COLUMNS[x]}" if (y, x) != (1, 1) else "centre"
        return f"a {' '.join(words)} {SHAPES[shape]} at the {place}"

    text = thing(row[2:8])
    if row[0] == 2:
        text += f" and {thing(row[8:14])}"
    return f"{text} on {tuple(BACKGROUNDS)[int(row[1])]}"


@dataclass(frozen=True)
class Look:
    """One fill and one background for all scenes, instead of those of each scene."""

    fill: str
    background: str

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The attribute rows, int8 (N, 14), with this fill and background."""
        rows = rows.copy()
        rows[:, ATTRIBUTES.index("background")] = tuple(BACKGROUNDS).index(self.background)
        for which in ("first", "second"):
            column = ATTRIBUTES.index(f"{which}_fill")
            rows[:, column] = np.where(rows[:, column] < 0, -1, FILLS.index(self.fill))
        return rows


def numbers_of_pairs(n: int, seed: int = 0) -> np.ndarray:
    """The numbers of the first n scenes that have two objects: int64 (n,)."""
    count = ATTRIBUTES.index("objects")
    tried = 4 * n + 64  # nearly half of all scenes
    numbers = np.flatnonzero(_compose(np.arange(tried), seed)[0][:, count] == 2)
    return numbers[:n]


def scenes(index: np.ndarray, seed: int = 0, size: int = 32, look: Look | None = None) -> Scenes:
    """The scenes with these numbers (N,), `size` pixels a side (at least 16).

    look: the fill and background of all of them; None for each scene's own
    """
    if size < 16:
        raise PthetaError(f"size = {size}: scenes need at least 16 pixels a side to show a shape")
    rows, layout = _compose(np.asarray(index), seed)
    rows = rows if look is None else look.of(rows)
    n = len(rows)
    paper = np.array(tuple(BACKGROUNDS.values()), dtype=np.uint8)
    images = np.empty((n, size, size, 3), dtype=np.uint8)
    images[:] = paper[rows[:, 1]][:, None, None]
    masks = np.zeros((n, size, size), dtype=np.uint8)
    for which, offset in ((0, 2), (1, 8)):
        kinds = rows[:, offset : offset + 4].astype(np.int64)
        for shape, outline in enumerate(OUTLINES.values()):
            there = np.flatnonzero((rows[:, 0] > which) & (kinds[:, 0] == shape))
            centre, half = layout.centres[there, which] * size, layout.halves[there, which] * size
            # only a window around the object is drawn: (n, W, W)
            window = min(size, int(2 * max(SIZES.values()) * (1 + SCALE) * size) + 4)
            corner = np.clip(np.floor(centre - window / 2), 0, size - window).astype(np.int64)
            span = np.arange(window)
            at = (
                there[:, None, None],
                (corner[:, 0, None] + span)[:, :, None],
                (corner[:, 1, None] + span)[:, None, :],
            )
            y = at[1] + 0.5 - centre[:, 0, None, None]
            x = at[2] + 0.5 - centre[:, 1, None, None]
            cover = np.clip(0.5 - outline(x, y, half[:, None, None]), 0, 1)
            colours = np.array(tuple(COLOURS.values()), dtype=np.float64)
            full = colours[kinds[there, 1]][:, None, None]
            ink = full * shade(kinds[there, 3, None, None], x, y, size)[..., None]
            under = images[at]
            images[at] = np.floor(under + cover[..., None] * (ink - under) + 0.5).astype(np.uint8)
            masks[at] = np.where(cover >= 0.5, which + 1, masks[at])
    words = tuple(caption(row) for row in rows)
    return Scenes(np.ascontiguousarray(images.transpose(0, 3, 1, 2)), masks, rows, words)


Floats: TypeAlias = NDArray[np.float64]
Outline: TypeAlias = Callable[[Floats, Floats, Floats], Floats]
"""Signed distance to the outline of a shape, pixels, negative inside, at (x, y) relative to the
centre. The third argument is half the side of the bounding square."""


def _circle(x: Floats, y: Floats, half: Floats) -> Floats:
    return np.sqrt(x * x + y * y) - half


def _square(x: Floats, y: Floats, half: Floats) -> Floats:
    return np.maximum(np.abs(x), np.abs(y)) - 0.88 * half


def _triangle(x: Floats, y: Floats, half: Floats) -> Floats:
    # base at the bottom; (2, 1) / sqrt(5) is the normal of sides of slope 2
    sides = 0.8944271909999159 * np.abs(x) - 0.4472135954999579 * (y + half)
    return np.maximum(y - half, sides)


def _diamond(x: Floats, y: Floats, half: Floats) -> Floats:
    return (np.abs(x) + np.abs(y) - half) * 0.7071067811865476  # the normal is (1, 1)


OUTLINES: dict[str, Outline] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "diamond": _diamond,
}
SHAPES = tuple(OUTLINES)
_TABLES = dict(
    zip(OBJECT, (SHAPES, tuple(COLOURS), tuple(SIZES), FILLS, ROWS, COLUMNS), strict=True)
)
ATTRIBUTE_VALUES = {
    "objects": numbered(("1", "2"), 1),
    "background": numbered(BACKGROUNDS),
    **{f"first_{name}": numbered(words) for name, words in _TABLES.items()},
    **{f"second_{name}": numbered((NONE, *words), -1) for name, words in _TABLES.items()},
}
"""The meaning of the numbers of each attribute."""


def shade(fill: np.ndarray, x: Floats, y: Floats, size: int) -> Floats:
    """Colour intensity of an object at each pixel (x, y), relative to its centre: 1 in full colour,
    0.55 in the dark bands and squares of a texture.

    fill: indices of FILLS, broadcast with x and y; size: image side, pixels
    """
    period = max(size / 8, 4)

    def dark(u: Floats) -> Floats:  # 1 in every second band of half a period, antialiased
        band = u + size - period * np.floor((u + size) / period)  # 0..period
        return np.clip(0.5 + period / 4 - np.abs(band - 0.75 * period), 0, 1)

    a, b = dark(x), dark(y)
    texture = np.where(fill == 1, b, np.where(fill == 2, a + b - 2 * a * b, 0))
    left: Floats = 1 - 0.45 * texture
    return left


@dataclass(frozen=True)
class _Captions:
    """Metadata of scenes in the cache."""

    captions: list[str]


def load_shapes(size: int, split: str, seed: int = 0, place: Path | None = None) -> ImageDataset:
    """The embedded set: 20,000 training and 2,000 test scenes, cached once drawn."""
    start, n = RANGES[split]

    def build(writer: Writer) -> _Captions:
        captions: list[str] = []
        for at in range(start, start + n, 500):
            part = scenes(np.arange(at, at + 500), seed, size)
            writer.add("images", part.images)
            writer.add("masks", part.masks)
            writer.add("attributes", part.attributes.view(np.uint8))
            captions += part.captions
        return _Captions(captions)

    stored = cached(place, ("shapes", size, split, seed), VERSION, build, _Captions)
    rows = np.asarray(stored.arrays["attributes"]).view(np.int8)
    return ImageDataset(
        name="shapes" if size == 32 else f"shapes-{size}",
        split=split,
        images=stored.arrays["images"],
        labels=rows[:, ATTRIBUTES.index("first_shape")].astype(np.int64),
        classes=SHAPES,
        captions=tuple(stored.about.captions),
        attributes=rows,
        attribute_names=ATTRIBUTES,
        attribute_values=ATTRIBUTE_VALUES,
        masks=stored.arrays["masks"],
    )
