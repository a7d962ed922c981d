"""Numbers of several runs that differ in their seed alone."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from scipy.stats import t as student

from ptheta.measures.results import LEVEL

Summary = list[object]  # mean, half of Student's interval or None, the value of each seed


def over_seeds(rows: Sequence[dict[str, float]]) -> dict[str, Summary]:
    """Of each number that every seed has, by its name."""
    names = [name for name in rows[0] if all(name in row for row in rows)]
    return {name: summary([row[name] for row in rows]) for name in names}


def summary(values: list[float]) -> Summary:
    half = None
    if len(values) > 1:
        error = statistics.stdev(values) / len(values) ** 0.5
        half = float(student.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    return [statistics.fmean(values), half, values]
