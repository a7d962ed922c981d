"""What is held out together: near-duplicates, and partners of two domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ptheta.data.dataset import Dataset


def partner_places(data: Dataset) -> np.ndarray:
    """The position of each one's partner, its own where it has none there: int64 (N,)."""
    places = np.arange(len(data))
    if data.partners is None:
        return places
    rows = data.rows(slice(None))
    place_of = np.full(len(data.stored) + 1, -1, dtype=np.int64)  # the last is that of row -1
    place_of[rows] = places
    found: np.ndarray = place_of[data.partners[rows]]
    return np.where(found < 0, places, found)


def joined(groups: np.ndarray, partners: np.ndarray) -> np.ndarray:
    """Groups in which partners are together as well: int64 (N,), the first position of each.

    groups: the group of each; partners: the position of its partner, its own where it has none
    """
    n = len(groups)
    if np.array_equal(partners, np.arange(n)):
        return groups
    from scipy.sparse import coo_matrix  # slow to import
    from scipy.sparse.csgraph import connected_components

    _, number = np.unique(groups, return_inverse=True)
    there = np.arange(n)
    # a graph of the positions, and of the groups behind them
    edges = np.concatenate([np.stack([there, n + number]), np.stack([there, partners])], 1)
    size = n + int(number.max()) + 1
    graph = coo_matrix((np.ones(edges.shape[1], dtype=bool), tuple(edges)), (size, size))
    _, whole = connected_components(graph, directed=False)
    _, first, back = np.unique(whole[:n], return_index=True, return_inverse=True)
    found: np.ndarray = first[back].astype(np.int64)
    return found


def first_groups(groups: np.ndarray, n: int, labels: np.ndarray | None = None) -> np.ndarray:
    """The first groups of an order that have at most n members together, passing over what is too
    large: bool (N,), whole groups only.

    groups: that of each, int64 (N,)
    labels: of each, int64 (N,), so that of every label its share of n is taken at most, rounded
        down; None: all are of one
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
