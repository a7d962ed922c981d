"""Captioned scenes of simple shapes, drawn by formula: caption, attributes and mask are exact.

Scene i of a seed is the same bytes on every platform: its attributes come from integer hashes, its
pixels from float64 arithmetic that rounds alike everywhere (no library functions).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ptheta.data.cache import Writer, cached
from ptheta.data.counter import below
from ptheta.data.dataset import Dataset

TRAIN, TEST = 20_000, 2_000  # test scenes follow the training scenes

SHAPES = ("circle", "square", "triangle", "diamond")
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
SIZES = {"small": 0.125, "large": 0.2}  # half the side of the bounding square, of the image's side
FILLS = ("plain", "striped", "checked")
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")
CENTRES = (0.23, 0.5, 0.77)  # of rows and columns, of the image's side

OBJECT = ("shape", "colour", "size", "fill", "row", "column")
ATTRIBUTES = (
    "objects",
    "background",
    *(f"{which}_{name}" for which in ("first", "second") for name in OBJECT),
)
"""The columns of the attribute array: `objects` is 1 or 2, all others index the tables above; -1
stands in the columns of a second object that is not there."""


@dataclass(frozen=True)
class Scenes:
    """images uint8 (N, 3, S, S); masks uint8 (N, S, S): 0 background, 1 first, 2 second object;
    attributes int8 (N, 14), see ATTRIBUTES; captions, one for each scene."""

    images: np.ndarray
    masks: np.ndarray
    attributes: np.ndarray
    captions: tuple[str, ...]


def attributes(index: np.ndarray, seed: int) -> np.ndarray:
    """int8 (N, 14) for scene numbers (N,)."""

    def draw(slot: int, n: int | np.ndarray) -> np.ndarray:
        return below(seed, index.astype(np.uint64) * np.uint64(64) + np.uint64(slot), n)

    tables = (len(SHAPES), len(COLOURS), len(SIZES), len(FILLS))
    first = [draw(2 + k, n) for k, n in enumerate(tables)]
    second = [draw(12 + k, n) for k, n in enumerate(tables)]
    # a second object of the first one's colour would be told apart by nothing but its place
    second[1] = (first[1] + 1 + draw(20, len(COLOURS) - 1)) % len(COLOURS)
    cell = draw(6, 9)
    free = _free_cells(cell, first[2], second[2])  # (N, 9)
    count = free.sum(1)
    # the chosen cell is the k-th free one
    k = draw(21, np.maximum(count, 1))
    other = (free & (free.cumsum(1) - 1 == k[:, None])).argmax(1)
    two = (draw(0, 2) == 1) & (count > 0)
    columns = [
        1 + two,
        draw(1, len(BACKGROUNDS)),
        *first,
        cell // 3,
        cell % 3,
        *(np.where(two, v, -1) for v in (*second, other // 3, other % 3)),
    ]
    return np.stack(columns, 1).astype(np.int8)


def _free_cells(cell: np.ndarray, size_a: np.ndarray, size_b: np.ndarray) -> np.ndarray:
    """Where a second object fits so that the bounding squares do not touch: bool (N, 9)."""
    centres, halves = np.array(CENTRES), np.array(tuple(SIZES.values()))
    at = np.arange(9)
    dy = np.abs(centres[at // 3][None] - centres[cell // 3][:, None])
    dx = np.abs(centres[at % 3][None] - centres[cell % 3][:, None])
    reach = (halves[size_a] + halves[size_b])[:, None]
    return np.maximum(dx, dy) > reach + 0.01


def caption(row: np.ndarray) -> str:
    """The sentence of one attribute row; it says all that the attributes say."""

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


def scenes(index: np.ndarray, seed: int = 0, size: int = 32) -> Scenes:
    """The scenes with these numbers, `size` pixels a side."""
    rows = attributes(np.asarray(index), seed)
    n = len(rows)
    paper = np.array(tuple(BACKGROUNDS.values()), dtype=np.float64)
    canvas = np.broadcast_to(paper[rows[:, 1]][:, None, None], (n, size, size, 3)).copy()
    masks = np.zeros((n, size, size), dtype=np.uint8)
    for number, offset in ((1, 2), (2, 8)):
        there = np.flatnonzero(rows[:, 0] >= number)
        cover, ink = _draw(rows[there, offset : offset + 6].astype(np.int64), size)
        canvas[there] += cover[..., None] * (ink - canvas[there])
        masks[there] = np.where(cover >= 0.5, number, masks[there])
    images = np.floor(canvas + 0.5).astype(np.uint8).transpose(0, 3, 1, 2)
    return Scenes(np.ascontiguousarray(images), masks, rows, tuple(caption(row) for row in rows))


def _draw(things: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Coverage (N, S, S) in 0..1 and colour (N, S, S, 3) of objects (N, 6)."""
    shape, colour, big, fill, row, column = things.T
    centres, halves = np.array(CENTRES) * size, np.array(tuple(SIZES.values())) * size
    pixel = np.arange(size) + 0.5
    half = halves[big][:, None, None]
    x = pixel[None, None, :] - centres[column][:, None, None]
    y = pixel[None, :, None] - centres[row][:, None, None]
    # signed distances to the outlines, in pixels: negative inside
    distance = np.select(
        [np.broadcast_to((shape == k)[:, None, None], (len(things), size, size)) for k in range(4)],
        [
            np.sqrt(x * x + y * y) - half,
            np.maximum(np.abs(x), np.abs(y)) - 0.88 * half,
            # base at the bottom; 0.894 and 0.447 are the normal of sides of slope 2
            np.maximum(y - half, 0.8944271909999159 * np.abs(x) - 0.4472135954999579 * (y + half)),
            (np.abs(x) + np.abs(y) - half) * 0.7071067811865476,
        ],
    )
    cover = np.clip(0.5 - distance, 0, 1)
    period = np.maximum(size / 8, 4)
    u, v = np.floor((x + size) / (period / 2)), np.floor((y + size) / (period / 2))
    dark = np.where(
        (fill == 1)[:, None, None], v % 2, np.where((fill == 2)[:, None, None], (u + v) % 2, 0)
    )
    table = np.array(tuple(COLOURS.values()), dtype=np.float64)
    ink = table[colour][:, None, None] * (1 - 0.45 * dark[..., None])
    return cover, ink


def read(size: int, split: str, seed: int = 0) -> Dataset:
    """The embedded set: 20,000 training and 2,000 test scenes, cached once drawn."""
    start, n = (0, TRAIN) if split == "train" else (TRAIN, TEST)

    def build(writer: Writer) -> dict[str, list[str]]:
        captions: list[str] = []
        for at in range(start, start + n, 500):
            part = scenes(np.arange(at, at + 500), seed, size)
            writer.add("images", part.images)
            writer.add("masks", part.masks)
            writer.add("attributes", part.attributes.view(np.uint8))
            captions += part.captions
        return {"captions": captions}

    stored = cached(("shapes", size, split, seed), build)
    rows = np.asarray(stored.arrays["attributes"]).view(np.int8)
    return Dataset(
        name="shapes" if size == 32 else f"shapes-{size}",
        split=split,
        images=stored.arrays["images"],
        labels=rows[:, ATTRIBUTES.index("first_shape")].astype(np.int64),
        classes=SHAPES,
        captions=tuple(stored.about["captions"]),
        attributes=rows,
        attribute_names=ATTRIBUTES,
        masks=stored.arrays["masks"],
    )
