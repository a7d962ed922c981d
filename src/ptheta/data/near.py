"""Near-duplicates: the same picture encoded anew, or copied.

Two images are near-duplicates where they differ little everywhere: by at most 3/255 in the mean and
9/255 in the root mean square, and in brightness by at most 0.165 of the standard deviation of the
flatter one. The error of a JPEG or WebP encoder (quality 75 to 95) that stays within the mean
difference reaches 0.160 of it on fashion and 0.109 on digits; the two most alike of 12,000
different digits, thin ones, differ by 0.171. Coloured pictures of little contrast lose more than
that, yet lose it everywhere: there the difference in brightness is at most 4.5/255 and the root
mean square at most 4.3 times the mean, while strokes that differ lie in few pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ptheta.data.cache import Nothing, Writer, cached, origin
from ptheta.data.maps import PageCounter
from ptheta.data.rows import Images, LazyImages

VERSION = 1  # of the rule below; part of every cache key
MEAN, ROOT = 3.0, 9.0  # of 255: largest mean and root mean square difference
CONTRAST = 0.165  # largest difference in brightness as a part of the standard deviation
FAINT, SPREAD, LEAST_CONTRAST = 4.5, 4.3, 6.0  # of pictures of little contrast
SIDE = 8  # of the cells that are compared first
CHUNK = 512  # images in memory at a time
TILE = 4096  # columns of distances in memory at a time, for CHUNK rows
MOST_READ = 100_000  # images in shards of which near-duplicates are looked for, not only copies
FEW = 2000  # images up to which it is quicker to compare again than to keep the answer
BRIGHTNESS = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601

Part = tuple[Images, np.ndarray]  # uint8 (N, C, H, W) and the rows of it, int64 (M,)


def hashes(part: Part) -> np.ndarray:
    """A 64-bit hash of the pixels of each image, or the bytes of each row, uint64 (M,)."""
    if isinstance(part[0], LazyImages):
        known: np.ndarray = part[0].hashes()[part[1]]
        return known.astype(np.uint64)
    digests = np.empty(len(part[1]), dtype=np.uint64)
    for start, chunk in _chunks(part):
        for i, image in enumerate(chunk, start):
            digests[i] = number64(image.data)
    return digests


def number64(content: bytes | memoryview) -> int:
    """A hash of some bytes: 64 bits."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def number_of(word: str) -> int:
    """A hash of a word: 52 bits, exact in float64."""
    return number64(word.encode()) >> 12


class Groups(NamedTuple):
    """For N images: a hash each, uint64 (N,), and the index of the first image of its group, int64
    (N,). A group is a connected component of near-duplicates.
    """

    hashes: np.ndarray
    groups: np.ndarray


def find_groups(*parts: Part, place: Path | None = None) -> Groups:
    """Finds the near-duplicates among the images of all parts, in order. Parts agree in size and
    channels.

    place: the cache folder, where the answer for many images is kept; None is the user's own
    """
    total = sum(len(rows) for _, rows in parts)
    if total <= FEW:
        return _find_groups(parts)
    if total > MOST_READ and any(isinstance(images, LazyImages) for images, _ in parts):
        return equal(np.concatenate([hashes(part) for part in parts]))

    def build(writer: Writer) -> Nothing:
        for name, values in _find_groups(parts)._asdict().items():
            bits = values.astype("<u8").view(np.uint8)  # positions are not negative
            writer.add(name, bits.reshape(total, 8))
        return Nothing()

    origins = [origin(images) for images, _ in parts]
    chosen = [hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest() for _, rows in parts]
    identity = ("near", VERSION, [identity for identity, _ in origins])
    stamp = (chosen, [stamp for _, stamp in origins])
    stored = cached(place, identity, stamp, build, Nothing).arrays
    columns = {k: np.asarray(stored[k]).view("<u8").reshape(total) for k in Groups._fields}
    return Groups(columns["hashes"].astype(np.uint64), columns["groups"].astype(np.int64))


def equal(digests: np.ndarray) -> Groups:
    """The groups of equal images, by their hashes."""
    _, first, number = np.unique(digests, return_index=True, return_inverse=True)
    return Groups(digests, first[number].astype(np.int64))


def _find_groups(parts: Sequence[Part]) -> Groups:
    digests = np.concatenate([hashes(part) for part in parts])
    _, first, number = np.unique(digests, return_index=True, return_inverse=True)
    forest = np.arange(len(first))  # of the different images: the parent of each
    for i, j in _candidates(parts, first):
        apart = _roots(forest, i) != _roots(forest, j)
        i, j = i[apart], j[apart]
        if len(i):
            alike = near(_take(parts, first[i]), _take(parts, first[j]))
            for a, b in zip(i[alike], j[alike], strict=True):
                low, high = sorted(int(_roots(forest, np.array([k]))[0]) for k in (a, b))
                forest[high] = low
    root = _roots(forest, np.arange(len(first)))[number]
    least = np.full(len(first), len(digests), dtype=np.int64)
    np.minimum.at(least, root, np.arange(len(digests)))
    return Groups(digests, least[root])


def near(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which of the pairs, uint8 (n, C, H, W) each, are near-duplicates: bool (n,)."""
    alike = np.zeros(len(a), dtype=bool)
    difference = np.abs(a.astype(np.int16) - b).reshape(len(a), -1)
    mean = difference.mean(1, dtype=np.float32)
    left = np.flatnonzero(mean <= MEAN)  # few: the others need no further comparison
    if not len(left):
        return alike
    a, b, mean, difference = a[left], b[left], mean[left], difference[left].astype(np.float32)
    root = np.sqrt(np.einsum("np,np->n", difference, difference) / difference.shape[1])
    light, other = _brightness(a), _brightness(b)
    off = np.sqrt(((light - other) ** 2).mean(1))
    contrast = np.minimum(light.std(1), other.std(1))
    flat, whole = (np.stack([_spread(x, axes) for x in (a, b)]) for axes in ((2, 3), (1, 2, 3)))
    faint = (off <= FAINT) & (root <= SPREAD * mean) & (whole.min(0) >= LEAST_CONTRAST)
    constant = (flat == 0).all((0, 2))
    alike[left] = (root <= ROOT) & ((off <= CONTRAST * contrast) | faint | constant)
    return alike


def _spread(images: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The standard deviation over these axes."""
    return np.asarray(images.std(axes, dtype=np.float32))


def _brightness(images: np.ndarray) -> np.ndarray:
    """float32 (n, H * W)"""
    weights = _weights(images.shape[1])
    grey: np.ndarray = np.einsum("nchw,c->nhw", images, weights)
    return grey.reshape(len(images), -1)


def _weights(channels: int) -> np.ndarray:
    """The weight of each channel in the brightness: float32 (C,)."""
    if channels == len(BRIGHTNESS):
        return BRIGHTNESS
    return np.full(channels, 1 / channels, dtype=np.float32)


class _Cells(NamedTuple):
    """For n images: sums of brightness over 8x8 cells, divided by the root of their size, float32
    (n, cells); sums of the values of each channel over the same cells, float32 (n, C * cells); the
    sizes of the cells in pixels, (cells,); the standard deviation of brightness (n,); and the mean
    of all values (n,).
    """

    light: np.ndarray
    values: np.ndarray
    sizes: np.ndarray
    contrast: np.ndarray
    mean: np.ndarray


def _candidates(
    parts: Sequence[Part], which: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of `which` that may be near-duplicates, some at a time; no near-duplicates are missed.

    Sums over cells, divided by the root of their size, are projections on orthonormal vectors:
    these distances are at most those of the images.
    """
    channels = parts[0][0].shape[1]
    cells = _cells(parts, which)
    order = np.argsort(cells.mean, kind="stable")
    pixels = float(cells.sizes.sum())
    most = 1.001 * MEAN * channels * pixels
    chunk = max(64, 2**22 // int(pixels * channels))
    for i, j in _alike_in_cells(cells, order):
        for at in range(0, len(i), chunk):
            a, b = order[i[at : at + chunk]], order[j[at : at + chunk]]
            close = np.abs(cells.values[a] - cells.values[b]).sum(1) <= most
            yield a[close], b[close]


def _alike_in_cells(cells: _Cells, order: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs (i, j > i) of positions in `order`, by the mean, whose brightness in the cells differs
    by no more than that of near-duplicates may; a tile of all pairs at a time.
    """
    light, mean = cells.light[order] - cells.light.mean(0), cells.mean[order]
    squares = (light**2).sum(1)
    widest = np.maximum(CONTRAST * cells.contrast[order], FAINT)
    limits = 1.001 * float(cells.sizes.sum()) * widest**2 + 1e-6 * squares.max(initial=0)
    limits = limits.astype(np.float32)
    for top in range(0, len(order), CHUNK):
        rows = slice(top, min(top + CHUNK, len(order)))
        end = int(np.searchsorted(mean, mean[rows.stop - 1] + MEAN + 0.01))
        for left in range(top, end, TILE):
            columns = slice(left, min(left + TILE, end))
            distance = light[rows] @ (-2 * light[columns].T)
            distance += squares[rows, None]
            distance += squares[None, columns]
            i, j = np.nonzero(distance <= limits[rows, None])
            i, j = i + top, j + left
            fits = (j > i) & (distance[i - top, j - left] <= limits[j])
            yield i[fits], j[fits]


def _cells(parts: Sequence[Part], which: np.ndarray) -> _Cells:
    height, width = parts[0][0].shape[2:]
    ys, xs = (np.unique(np.linspace(0, n, min(n, SIDE) + 1).astype(int)) for n in (height, width))
    sizes = np.outer(np.diff(ys), np.diff(xs)).reshape(-1).astype(np.float32)
    n = len(which)
    values_shape = n, parts[0][0].shape[1] * len(sizes)
    cells = _Cells(
        np.empty((n, len(sizes)), np.float32),
        np.empty(values_shape, np.float32),
        sizes,
        np.empty(n, np.float32),
        np.empty(n),
    )

    def sums(planes: np.ndarray) -> np.ndarray:  # (n, ..., H, W) -> (n, ... * cells)
        rows = np.add.reduceat(planes, ys[:-1], -2, dtype=np.float32)
        return np.add.reduceat(rows, xs[:-1], -1).reshape(len(planes), -1)

    for start in range(0, n, CHUNK):
        images = _take(parts, which[start : start + CHUNK])
        light = _brightness(images)
        here = slice(start, start + CHUNK)
        cells.light[here] = sums(light.reshape(-1, height, width)) / np.sqrt(sizes)
        cells.values[here] = sums(images)
        cells.contrast[here] = light.std(1)
        cells.mean[here] = images.reshape(len(images), -1).mean(1)
    return cells


def _take(parts: Sequence[Part], positions: np.ndarray) -> np.ndarray:
    """The images at these positions of all parts together."""
    starts = np.cumsum([0, *(len(rows) for _, rows in parts)])
    out = np.empty((len(positions), *parts[0][0].shape[1:]), dtype=np.uint8)
    for (images, rows), (start, stop) in zip(parts, pairwise(starts), strict=True):
        here = (positions >= start) & (positions < stop)
        if here.any():
            out[here] = images[rows[positions[here] - start]]
    return out


def _chunks(part: Part) -> Iterator[tuple[int, np.ndarray]]:
    """(position of the first, images) in order, never all of them in memory."""
    images, rows = part
    pages = PageCounter()
    for start in range(0, len(rows), CHUNK):
        chunk = np.ascontiguousarray(images[rows[start : start + CHUNK]])
        yield start, chunk
        pages.add(images, chunk.nbytes)


def joined(groups: np.ndarray, partners: np.ndarray) -> np.ndarray:
    """Groups in which partners are together as well: int64 (N,), the first position of each.

    groups: the group of each; partners: the position of its partner, its own where it has none
    """
    n = len(groups)
    if np.array_equal(partners, np.arange(n)):
        return groups
    from scipy import sparse  # slow to import

    _, number = np.unique(groups, return_inverse=True)
    there = np.arange(n)
    # a graph of the positions, and of the groups behind them
    edges = np.concatenate([np.stack([there, n + number]), np.stack([there, partners])], 1)
    size = n + int(number.max()) + 1
    graph = sparse.coo_matrix((np.ones(edges.shape[1], dtype=bool), tuple(edges)), (size, size))
    _, whole = sparse.csgraph.connected_components(graph, directed=False)
    _, first, back = np.unique(whole[:n], return_index=True, return_inverse=True)
    found: np.ndarray = first[back].astype(np.int64)
    return found


def first_groups(groups: np.ndarray, n: int, labels: np.ndarray | None = None) -> np.ndarray:
    """The first groups of an order that have at most n members together, passing over what is too
    large: bool (N,), whole groups only.

    groups: group of each, int64 (N,)
    labels: label of each, int64 (N,), to take at most the proportional share of n per label,
        rounded down; None: one label for all
    """
    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    labels = np.zeros(len(groups), np.int64) if labels is None else labels
    kinds = np.unique(labels, return_inverse=True)[1]
    sizes = np.zeros((len(first), int(kinds.max()) + 1), dtype=np.int64)
    np.add.at(sizes, (number, kinds), 1)
    taken, left = np.zeros(len(first), dtype=bool), n * sizes.sum(0) // len(groups)
    for group in np.argsort(first):
        if not left.any():
            break
        if (sizes[group] <= left).all():
            taken[group] = True
            left -= sizes[group]
    return taken[number]


def _roots(forest: np.ndarray, which: np.ndarray) -> np.ndarray:
    """The root of each node, given the parents `forest`."""
    root: np.ndarray = forest[which]
    while not np.array_equal(up := forest[root], root):
        root = up
    forest[which] = root  # shorter ways from now on
    return root
