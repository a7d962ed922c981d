"""The first examples of data that lie class by class, as those of a folder of classes do."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from ptheta.data.dataset import Dataset

D = TypeVar("D", bound=Dataset)


def in_turn(data: D) -> D:
    """All of it, so that the first n of it are of all classes, whatever n is.

    Where examples lie class by class they alternate, as often as each class occurs, and within a
    class they keep their order. Other data are as they were.
    """
    order = positions(data)
    return data if np.array_equal(order, np.arange(len(data))) else data.subset(order)


def positions(data: Dataset) -> np.ndarray:
    """Positions of the examples of `in_turn(data)` in the data: int64 (N,)."""
    as_it_is = np.arange(len(data))
    if data.labels is None:
        return as_it_is
    labels = data.labels[data.rows(slice(None))]
    if bool((np.diff(labels) < 0).any()):
        return as_it_is
    _, start, size = np.unique(labels, return_index=True, return_counts=True)
    behind = (as_it_is - np.repeat(start, size) + 0.5) / np.repeat(size, size)
    order: np.ndarray = np.argsort(behind, kind="stable")
    return order
