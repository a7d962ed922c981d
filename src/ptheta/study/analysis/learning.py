"""Whether people get better, or tired: errors and times over the trials of a session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ptheta.study.analysis.estimates import Estimate, from_influence, mean
from ptheta.study.analysis.table import Bools, Floats, Ints, Table

PARTS = 5  # of a session, for the plot
HUNDRED = 100  # trials that a slope is stated for


@dataclass(frozen=True)
class Learning:
    """Errors over the trials of a session.

    slope: change of the error rate in 100 trials, within people
    first, second: error rates in the halves of each person's trials; change: their difference
    parts: error rates in fifths of each person's trials
    """

    slope: Estimate
    first: Estimate
    second: Estimate
    change: Estimate
    parts: tuple[Estimate, ...]


def learning(table: Table) -> Learning | None:
    """None where the people or the order of their answers are not recorded."""
    if table.person is None or len(np.unique(table.place)) < 2 * PARTS:
        return None
    there = ~np.isnan(table.wrong)
    some = table.where(there)
    if not len(some):
        return None
    progress = _progress(some)
    first = mean(some, progress < 0.5, some.wrong)
    second = mean(some, progress >= 0.5, some.wrong)
    parts = [
        mean(some, (progress >= k / PARTS) & (progress < (k + 1) / PARTS), some.wrong)
        for k in range(PARTS)
    ]
    slope = slope_of(some, some.place / HUNDRED, some.wrong)
    return Learning(slope, first, second, second - first, tuple(parts))


def slope_of(table: Table, x: Floats, y: Floats) -> Estimate:
    """The slope of y on x within people: least squares after the mean of each person is taken off
    both. x, y: (N,)"""
    assert table.person is not None
    u, v = _centred(x, table.person), _centred(y, table.person)
    power = float(u @ u)
    slope = float(u @ v) / power if power > 0 else 0.0
    influence = u * (v - slope * u) / power if power > 0 else np.zeros(len(table))
    return from_influence(table, slope, influence, len(table))


def _centred(values: Floats, groups: Ints) -> Floats:
    n = np.bincount(groups)
    return np.asarray(values - (np.bincount(groups, values) / np.maximum(n, 1))[groups])


def _progress(table: Table) -> Floats:
    """Which share of the trials of its person an answer comes after, from 0 to below 1."""
    assert table.person is not None
    n = np.bincount(table.person)
    order = np.lexsort((table.place, table.person))
    rank = np.empty(len(table))
    starts = np.concatenate([[0], np.cumsum(n)[:-1]])
    rank[order] = np.arange(len(table)) - starts[table.person[order]]
    return np.asarray(rank / n[table.person])


@dataclass(frozen=True)
class Times:
    """Response times of some answers, in milliseconds.

    typical: of the logarithm; its interval is one of the geometric mean
    quartiles: of the times
    """

    name: str
    log: Estimate
    quartiles: tuple[float, float, float]

    @property
    def typical(self) -> float:
        """The geometric mean."""
        return float(np.exp(self.log.value))

    @property
    def interval(self) -> tuple[float, float] | None:
        found = self.log.interval
        return None if found is None else (float(np.exp(found[0])), float(np.exp(found[1])))


def times(table: Table) -> list[Times]:
    """Response times of all answers, of each source, and of right and wrong answers."""
    known = table.response > 0
    named: list[tuple[str, Bools]] = [("all answers", known)]
    names = sorted({str(s) for s in table.source[known]} | {str(s) for s in table.source_b[known]})
    named += [
        (name, known & ((table.source == name) | (table.source_b == name)))
        for name in names
        if name
    ]
    named += [("right answers", known & (table.wrong == 0))]
    named += [("wrong answers", known & (table.wrong == 1))]
    return [_times(table, name, mask) for name, mask in named if mask.sum() > 1]


def _times(table: Table, name: str, mask: Bools) -> Times:
    y = np.zeros(len(table))
    y[mask] = np.log(table.response[mask])
    low, middle, high = np.quantile(table.response[mask], (0.25, 0.5, 0.75))
    return Times(name, mean(table, mask, y, "number"), (float(low), float(middle), float(high)))


@dataclass(frozen=True)
class Exposure:
    """Exposure measured in the browser, against what was asked for.

    n: answers with both; median, largest: of the absolute difference in ms; within: share of at
    most two frames of 60 Hz
    """

    n: int
    median: float
    largest: float
    within: float


TWO_FRAMES = 2000 / 60  # ms


def exposure(table: Table) -> Exposure | None:
    """None where no exposure was limited and measured."""
    off = np.abs(table.shown - table.asked)
    off = off[~np.isnan(off)]
    if not len(off):
        return None
    within = float(np.mean(off <= TWO_FRAMES))
    return Exposure(len(off), float(np.median(off)), float(off.max()), within)
