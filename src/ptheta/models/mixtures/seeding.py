"""Initialisation of EM: k-means++ centres, and the means of their nearest examples.

k-means++ (Arthur & Vassilvitskii 2007): the next centre is an example drawn in proportion to its
squared distance to the nearest centre there is. Some rounds of Lloyd's algorithm follow. All of it
is done with some examples of the data, drawn once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.compute import streams
from ptheta.losses.mmd import squares

MOST = 4000  # examples that centres are found by, and at least `EACH` for each centre
EACH = 20
ROUNDS = 10  # of Lloyd's algorithm


class Start(NamedTuple):
    """centres (K, D); share (K,): of the examples nearest to each; variances (D,): around them;
    cost: mean squared distance to the nearest centre"""

    centres: Tensor
    share: Tensor
    variances: Tensor
    cost: float


def some(parts: Iterable[Tensor], most: int) -> Tensor:
    """At most so many rows of all parts (B, D), any as likely as any other, in their order: those
    with the least of a number that is drawn for each."""
    rows, numbers = [], []
    for part in parts:
        u = streams.uniform(len(part), device=part.device, dtype=torch.float64)
        rows.append(part)
        numbers.append(u)
        if sum(map(len, rows)) > 4 * most:
            rows, numbers = _least(rows, numbers, most)
    rows, _ = _least(rows, numbers, most)
    return torch.cat(rows)


def _least(
    rows: list[Tensor], numbers: list[Tensor], most: int
) -> tuple[list[Tensor], list[Tensor]]:
    v, u = torch.cat(rows), torch.cat(numbers)
    at = u.argsort()[:most].sort().values
    return [v[at]], [u[at]]


def seeded(v: Tensor, k: int, restarts: int) -> Start:
    """The best of some starts, by its cost. v: whole rows (N, D)"""
    starts = (_settled(v, _centres(v, k)) for _ in range(restarts))
    return min(starts, key=lambda start: start.cost)


def _centres(v: Tensor, k: int) -> Tensor:
    """k-means++: (K, D). Where examples are fewer than centres, or alike, some come twice."""
    at = [int(streams.integers(0, len(v), 1)[0])]
    nearest = squares(v, v[at])[:, 0]
    for _ in range(k - 1):
        at.append(int(streams.categorical(nearest.clamp_min(1e-30).log()[None])[0]))
        nearest = torch.minimum(nearest, squares(v, v[at[-1:]])[:, 0])
    return v[at]


def _settled(v: Tensor, centres: Tensor) -> Start:
    k = len(centres)
    for _ in range(ROUNDS):
        own = squares(v, centres).argmin(1)
        count = torch.bincount(own, minlength=k).to(v)
        total = torch.zeros_like(centres).index_add_(0, own, v)
        found = total / count.clamp_min(1)[:, None]
        centres = torch.where(count[:, None] > 0, found, centres)
    square = squares(v, centres)
    own = square.argmin(1)
    share = torch.bincount(own, minlength=k).to(v) / len(v)
    return Start(
        centres, share, (v - centres[own]).square().mean(0), float(square.min(1).values.mean())
    )
