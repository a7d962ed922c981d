"""Positions in a data set, chosen the way NumPy and torch choose: by number, slice or mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

Positions = int | np.integer | slice | range | Sequence[int] | Sequence[bool] | np.ndarray | Tensor


def positions(asked: Positions, n: int) -> np.ndarray:
    """Resolve an index of n elements to positions: int64 (K,), each in 0..n-1.

    Args:
        asked: integers (negative ones count from the end), a slice, or a boolean mask of length n,
            as a list, an array or a tensor.
        n: number of elements.

    Raises:
        IndexError: for a position out of range, a mask of another length, and for other types such
            as floats.
    """
    if isinstance(asked, slice):
        return np.arange(n, dtype=np.int64)[asked]
    array = _as_array(asked)
    if array.dtype == bool:
        if array.shape != (n,):
            raise IndexError(f"a mask of shape {array.shape} for {n} images: want ({n},)")
        return np.flatnonzero(array).astype(np.int64)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise IndexError(f"positions of type {array.dtype}: want whole numbers, a slice or a mask")
    if array.ndim > 1:
        raise IndexError(f"positions of shape {array.shape}: want one axis")
    if array.size and not -n <= int(array.min()) <= int(array.max()) < n:
        raise IndexError(f"position {array.min()}..{array.max()} of {n} images")
    where = np.atleast_1d(array).astype(np.int64)
    return np.where(where < 0, where + n, where)


def is_one(asked: Positions) -> bool:
    """Whether the index is a single position."""
    if isinstance(asked, np.ndarray | Tensor):
        return asked.ndim == 0
    return isinstance(asked, int | np.integer)


def _as_array(asked: Positions) -> np.ndarray:
    if isinstance(asked, Tensor):
        return asked.detach().cpu().numpy()
    if isinstance(asked, list | tuple):
        truths = [isinstance(item, bool | np.bool_) for item in asked]
        if any(truths) and not all(truths):
            raise IndexError("truth values among numbers: want positions or a mask, not both")
    try:
        return np.asarray(asked)
    except ValueError:  # rows of several lengths
        raise IndexError("positions of several lengths: want one axis") from None
