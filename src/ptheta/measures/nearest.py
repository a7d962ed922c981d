"""Nearest-neighbour search in blocks, with bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.terminal.progress import watched

BLOCK = 4000  # maximum rows per matrix product
PAIRS = 2**24  # approximate number of distances in memory
APART = 1000  # candidates whose distance is recomputed by differences

Rows = Callable[[slice | Tensor], Tensor]  # indices -> float32 (B, d)


class Nearest(NamedTuple):
    """The k nearest rows to each of N: distances (N, k), and their indices `places`, int64 (N, k),
    nearest first."""

    distances: Tensor
    places: Tensor

    @property
    def alone(self) -> Tensor:
        """Ratio of the distances to the nearest and the second nearest, (N,): small if only one row
        is near; 1 if both are equally near."""
        first, second = self.distances[:, 0], self.distances[:, 1]
        return torch.where(second > 0, first / second.clamp(min=1e-30), 1.0)

    def closest(self, n: int) -> Tensor:
        """Indices of the n of N with the smallest nearest distance, nearest first: int64 (n,)."""
        return torch.argsort(self.distances[:, 0], stable=True)[:n]

    def first(self, n: int) -> Nearest:
        """The results for the first n of N."""
        return Nearest(self.distances[:n], self.places[:n])


def search(
    moved: Sequence[Tensor],
    rows: Rows,
    n: int,
    k: int,
    *,
    but: Tensor | None = None,
    block: int = BLOCK,
    what: str = "",
) -> Nearest:
    """The k nearest of n rows, by the Euclidean distance.

    moved: queries (N, d), one tensor per transformation; the nearest over all counts
    rows: returns the rows at given indices; but: for each of N an index to exclude, (N,)
    what: description for the progress display

    Candidates are found by matrix products: |a - b|^2 = |a|^2 + |b|^2 - 2 a.b. This loses precision
    for near rows, so the distances of the candidates are recomputed by differences: 0 for equal
    rows.
    """
    found = len(moved[0])
    best = moved[0].new_empty(found, 0)
    places = torch.empty(found, 0, dtype=torch.long)
    block = max(1, min(block, PAIRS // max(1, found)))
    for start in watched(range(0, n, block), what) if what else range(0, n, block):
        squared = _squared(moved, rows(slice(start, min(start + block, n))))
        if but is not None:
            _leave_out(squared, but - start)
        values, at = squared.topk(min(k, squared.shape[1]), largest=False)
        best, places = torch.cat([best, values], 1), torch.cat([places, at + start], 1)
        best, order = best.topk(min(k, best.shape[1]), largest=False)
        places = places.gather(1, order)
    distances, order = _apart(moved, rows, places).sort(1)
    return Nearest(distances, places.gather(1, order))


def _squared(moved: Sequence[Tensor], part: Tensor) -> Tensor:
    """Squared distances (N, B), the minimum over all transformations."""
    lengths = part.square().sum(1)
    least = None
    for h in moved:
        own = h.square().sum(1, keepdim=True)
        squared = torch.addmm(own + lengths, h, part.T, alpha=-2)
        least = squared if least is None else torch.minimum(least, squared, out=least)
    assert least is not None  # there is at least one
    return least


def _leave_out(squared: Tensor, at: Tensor) -> None:
    """Set the distance to the excluded index to infinity, if it is in this block."""
    here = ((at >= 0) & (at < squared.shape[1])).nonzero()[:, 0]
    squared[here, at[here]] = torch.inf


def _apart(moved: Sequence[Tensor], rows: Rows, places: Tensor) -> Tensor:
    """The distances to the rows with these indices (N, k), by differences."""
    found = moved[0].new_empty(places.shape)
    for some in torch.arange(len(places)).split(APART):
        for j in range(places.shape[1]):
            there = rows(places[some, j])
            each = [(h[some] - there).square().sum(1) for h in moved]
            found[some, j] = torch.stack(each).amin(0).sqrt()
    return found
