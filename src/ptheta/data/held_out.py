"""Which examples are held out: near-duplicates and partners together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ptheta.data import near
from ptheta.errors import PthetaError

if TYPE_CHECKING:
    from ptheta.data.dataset import Dataset


def partner_places(data: Dataset) -> np.ndarray:
    """The position of each one's partner, its own where it has none here: int64 (N,)."""
    places = np.arange(len(data))
    if data.partners is None:
        return places
    rows = data.rows(slice(None))
    place_of = np.full(len(data.stored) + 1, -1, dtype=np.int64)  # the last is that of row -1
    place_of[rows] = places
    found: np.ndarray = place_of[data.partners[rows]]
    return np.where(found < 0, places, found)


def held_out(data: Dataset, n: int, seed: int, *, by_label: bool) -> tuple[np.ndarray, np.ndarray]:
    """The positions of the rest and of those that are held out: see `Dataset.hold_out`."""
    total = len(data)
    if not 0 < n < total:
        raise PthetaError(
            f"cannot hold out {n} of the {total} {data.examples} of {data.name}: "
            f"give more {data.examples} or hold out fewer"
        )
    rows = data.rows(slice(None))
    groups = data.find_groups().groups if data.groups is None else data.groups[rows]
    groups = near.joined(groups, partner_places(data))
    order = np.random.default_rng(seed).permutation(total)
    labels = data.labels[rows[order]] if by_label and data.labels is not None else None
    held = near.first_groups(groups[order], n, labels)
    if not held.any():
        raise PthetaError(
            f"cannot hold out {n} of the {total} {data.examples} of {data.name}: too many are "
            f"near-duplicates of one another; give more {data.examples} or hold out more"
        )
    return np.sort(order[~held]), np.sort(order[held])
