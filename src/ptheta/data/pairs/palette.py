"""Label maps stored as pictures: detection of their colours, and resizing.

Files of label maps are rarely exact: JPEG and smoothing add spurious colours. The colours of labels
are those around which pixels cluster.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ptheta.errors import PthetaError

if TYPE_CHECKING:
    from ptheta.data.picture import Shape

Colour = tuple[int, ...]

VERSION = 1  # of the rule below; part of every cache key
MOST_EXACT = 64  # colours up to which files are taken to be without noise
NEARLY_ALL = 0.999  # share of the pixels that the colours of such files cover
BIN = 8  # side of the cells of the histogram, in levels
APART = 54  # levels between two colours of noisy files, unless more colours are requested
CLOSER = (APART, 40, 32, 24, 16, 9)  # tried in turn where more are
LEAST = 0.0005  # share of the pixels around a colour
CROWDED = 0.12  # share of these that lie in one cell of the histogram
ALIKE = 20  # levels between neighbours inside of an area
MOST_SIDE = 1024  # side of the region whose pixels are counted, at the centre of a larger picture
BLOCK = 2**18  # pixels whose distances to the colours are held at once


@dataclass(frozen=True)
class Palette:
    """Known properties of the colours of label maps.

    colours: the colours of a run; empty if they have to be detected
    count: their number; None if it has to be detected as well
    """

    colours: tuple[Colour, ...] = ()
    count: int | None = None


def found(pictures: Iterable[Image.Image], count: int | None, name: str) -> tuple[Colour, ...]:
    """The colours of label maps, in ascending order: of grey pictures (v,), else (r, g, b).

    pictures: L or RGB, some of the source; count: number of colours; None to detect it
    In files with few colours, all are used (except rare ones that cover less than a thousandth). In
    others, a colour is the centre of a cluster among the pixels that resemble their neighbours: at
    least 0.05 % of these lie within 54 levels of it, an eighth of them in one cell of 8x8x8 levels,
    while noise is spread out, and pixels of smooth edges have different neighbours.
    Raises PthetaError if there are fewer than two, or fewer than requested.
    """
    seen, counts, flat = _counted(pictures)
    if len(seen) <= max(MOST_EXACT, count or 0):
        chosen = _most_frequent(seen, counts, count)
    else:
        chosen = _crowds(seen[flat > 0], flat[flat > 0], count)
    if len(chosen) < (count or 2):
        asked = "" if count is None else f"; {count} were requested"
        raise PthetaError(
            f"{name}: {len(chosen)} distinct colour(s) found in the label maps{asked}: give their "
            "number with --label-colours, or leave --label-maps out"
        )
    return tuple(sorted(tuple(map(int, colour)) for colour in chosen))


def _counted(pictures: Iterable[Image.Image]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The colours that occur, int64 (n, C), how often each does, (n,), and how often among
    neighbours that are like it, (n,)."""
    totals: dict[int, np.ndarray] = {}
    channels = 1
    for picture in pictures:
        pixels = np.atleast_3d(np.asarray(picture))
        pixels = _middle(pixels)
        channels = pixels.shape[2]
        codes = (pixels.astype(np.int64) @ (256 ** np.arange(channels))).ravel()
        each, number = np.unique(codes, return_inverse=True)
        flat = _among_alike(pixels).ravel()
        counts = np.stack([np.bincount(number), np.bincount(number, flat)], 1).astype(np.int64)
        for code, n in zip(each.tolist(), counts, strict=True):
            totals[code] = totals.get(code, 0) + n
    codes = np.array(list(totals), dtype=np.int64)
    seen = codes[:, None] // 256 ** np.arange(channels) % 256
    counts = np.array(list(totals.values()), dtype=np.int64).reshape(-1, 2)
    return seen, counts[:, 0], counts[:, 1]


def _middle(pixels: np.ndarray) -> np.ndarray:
    """The middle of a large picture."""
    top, left = (max(0, n - MOST_SIDE) // 2 for n in pixels.shape[:2])
    part: np.ndarray = pixels[top : top + MOST_SIDE, left : left + MOST_SIDE]
    return part


def _among_alike(pixels: np.ndarray) -> np.ndarray:
    """Which pixels resemble their four neighbours: uint8 (H, W, C) -> bool (H, W)."""
    wide = np.pad(pixels.astype(np.int16), ((1, 1), (1, 1), (0, 0)), mode="edge")
    middle = wide[1:-1, 1:-1]
    neighbours = (wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:])
    alike: np.ndarray = np.all([(np.abs(middle - n) <= ALIKE).all(2) for n in neighbours], axis=0)
    return alike


def _most_frequent(seen: np.ndarray, counts: np.ndarray, count: int | None) -> np.ndarray:
    """The colours of files without noise."""
    order = np.argsort(-counts, kind="stable")
    if count is None:
        count = 1 + int((np.cumsum(counts[order]) < NEARLY_ALL * counts.sum()).sum())
    chosen: np.ndarray = seen[order[:count]]
    return chosen


def _crowds(seen: np.ndarray, counts: np.ndarray, count: int | None) -> np.ndarray:
    """The colours of files with noise."""
    channels = seen.shape[1]
    cells = seen // BIN @ ((256 // BIN) ** np.arange(channels))
    cell, number = np.unique(cells, return_inverse=True)
    heavy = np.bincount(number, counts, len(cell))
    sums = np.stack([np.bincount(number, counts * seen[:, c], len(cell)) for c in range(channels)])
    means = (sums / heavy).T
    if count is None:
        return _centres(means, heavy, APART, None)
    tried = (_centres(means, heavy, apart, count) for apart in CLOSER)
    best = np.empty((0, channels))
    for centres in tried:
        if len(centres) > len(best):
            best = centres
        if len(best) == count:
            break
    return best


def _centres(means: np.ndarray, heavy: np.ndarray, apart: int, count: int | None) -> np.ndarray:
    """Colours with the most pixels in one cell, one after the other, and so far from one another.

    means: of the pixels in each cell, (n, C); heavy: how many there are, (n,)
    """
    left, total, chosen = heavy.astype(np.float64), heavy.sum(), list[np.ndarray]()
    while left.any() and len(chosen) < (count or MOST_EXACT):
        top = int(left.argmax())
        around = ((means - means[top]) ** 2).sum(1) <= apart**2
        crowd = left[around].sum()
        if count is None and left[top] < CROWDED * LEAST * total:
            break
        if count is not None or (crowd >= LEAST * total and left[top] >= CROWDED * crowd):
            chosen.append(means[top])
        left[around] = 0
    centres: np.ndarray = np.rint(np.array(chosen).reshape(len(chosen), means.shape[1]))
    return centres


def numbers(pixels: np.ndarray, palette: tuple[Colour, ...]) -> np.ndarray:
    """The number of the nearest colour of each pixel: uint8 (H, W, C) -> uint8 (H, W)."""
    colours = np.array(palette, dtype=np.float32)
    flat = pixels.reshape(-1, colours.shape[1])
    near = np.empty(len(flat), dtype=np.uint8)
    for at in range(0, len(flat), BLOCK):
        part = flat[at : at + BLOCK].astype(np.float32)
        # whole numbers below 2^24: exact
        near[at : at + BLOCK] = ((colours**2).sum(1) - 2 * part @ colours.T).argmin(1)
    return near.reshape(pixels.shape[:2])


def in_colours(image: Image.Image, shape: Shape, palette: tuple[Colour, ...]) -> np.ndarray:
    """Resize a label map: uint8 (C, H, W) in the colours of the palette.

    Each stored pixel is mapped to the nearest colour; a pixel of the result gets the most frequent
    colour in its cell, the first of the palette in a tie. Pictures of another aspect ratio are
    cropped at the centre.
    """
    grey = len(palette[0]) == 1
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    labels = numbers(pixels[..., None] if grey else pixels, palette)
    top, left, height, width = _centre(labels.shape[0], labels.shape[1], shape)
    labels = labels[top : top + height, left : left + width]
    ys, xs = (np.arange(n) * m // n for n, m in ((shape.height, height), (shape.width, width)))
    most, best = np.zeros((2, shape.height, shape.width), np.int64)
    for number in np.unique(labels):
        rows = np.add.reduceat(labels == number, ys, 0, dtype=np.int32)
        held = np.add.reduceat(rows, xs, 1)
        best[held > most] = number
        np.maximum(most, held, out=most)
    return np.ascontiguousarray(np.array(palette, dtype=np.uint8)[best].transpose(2, 0, 1))


def _centre(height: int, width: int, shape: Shape) -> tuple[int, int, int, int]:
    """Top, left, height and width of the largest centred part that has the aspect of a shape."""
    high = min(height, max(1, round(width * shape.height / shape.width)))
    wide = min(width, max(1, round(height * shape.width / shape.height)))
    return (height - high) // 2, (width - wide) // 2, high, wide
