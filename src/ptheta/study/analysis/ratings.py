"""Ratings from 1 to 5: their means, and how often each was given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ptheta.study.analysis.estimates import RATED, Comparison, Estimate, compare, mean
from ptheta.study.analysis.table import Table
from ptheta.study.files import RATINGS


@dataclass(frozen=True)
class Rated:
    """The ratings of one source. counts: of 1, 2, ..., 5"""

    name: str
    mean: Estimate
    counts: tuple[int, ...]


def ratings(table: Table) -> tuple[list[Rated], list[Comparison]]:
    """Of each source, highest first, and all their differences."""
    values = np.array([float(answer) for answer in table.answer])
    found = []
    for name in sorted({str(s) for s in table.source}):
        mask = table.source == name
        counts = tuple(int(np.sum(table.answer[mask] == rating)) for rating in RATINGS)
        found.append(Rated(name, mean(table, mask, values, RATED), counts))
    differences = compare([(one.name, one.mean) for one in found])
    return sorted(found, key=lambda one: -one.mean.value), differences
