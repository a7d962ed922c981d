"""The nearest of many rows: searched a block at a time, so that memory does not grow with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.terminal.progress import watched

BLOCK = 4000  # rows that are looked at in one product, at most
PAIRS = 2**24  # distances that are in memory, about
APART = 1000  # rows whose distance is taken once more, by differences

Rows = Callable[[slice | Tensor], Tensor]  # positions -> float32 (B, d)


class Nearest(NamedTuple):
    """The k rows that are nearest to each of N: distances (N, k), and places, int64 (N, k), nearest
    first."""

    distances: Tensor
    places: Tensor

    @property
    def alone(self) -> Tensor:
        """Distance to the nearest over that to the second nearest, (N,): small where one row alone
        is near; 1 where both are equal."""
        first, second = self.distances[:, 0], self.distances[:, 1]
        return torch.where(second > 0, first / second.clamp(min=1e-30), 1.0)

    def closest(self, n: int) -> Tensor:
        """The n of the N that are nearest to any row, nearest first: int64 (n,)."""
        return torch.argsort(self.distances[:, 0], stable=True)[:n]

    def first(self, n: int) -> Nearest:
        """The nearest of the first n of the N."""
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

    moved: what is looked for, (N, d), several times where it may be moved: the nearest counts
    rows: gives those at some positions; but: a place that each of the N does not count, (N,)
    what: description for the progress display Products find which are near: |a - b|^2 = |a|^2 +
    |b|^2 - 2 a.b. Of near ones that sum has lost its digits, so that their distances are then taken
    by differences: of equal rows it is 0.
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
    """(N, B): of each the least of all moves."""
    lengths = part.square().sum(1)
    least = None
    for h in moved:
        own = h.square().sum(1, keepdim=True)
        squared = torch.addmm(own + lengths, h, part.T, alpha=-2)
        least = squared if least is None else torch.minimum(least, squared, out=least)
    assert least is not None  # there is one at least
    return least


def _leave_out(squared: Tensor, at: Tensor) -> None:
    """The place of each in this block, where it lies in it, is as far as can be."""
    here = ((at >= 0) & (at < squared.shape[1])).nonzero()[:, 0]
    squared[here, at[here]] = torch.inf


def _apart(moved: Sequence[Tensor], rows: Rows, places: Tensor) -> Tensor:
    """The distances to these places (N, k), each by its own difference."""
    found = moved[0].new_empty(places.shape)
    for some in torch.arange(len(places)).split(APART):
        for j in range(places.shape[1]):
            there = rows(places[some, j])
            each = [(h[some] - there).square().sum(1) for h in moved]
            found[some, j] = torch.stack(each).amin(0).sqrt()
    return found
