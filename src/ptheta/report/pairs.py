"""Pairwise differences of runs, with paired 95 % intervals, for each metric.

Two numbers are compared only if their protocols agree and both have errors; otherwise the reason is
given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import NamedTuple

from ptheta.measures.intervals import Difference, difference
from ptheta.measures.results import Evaluation, Result, direction_of
from ptheta.metrics.protocol import cure, differences, scale
from ptheta.report.plots import number


@dataclass(frozen=True)
class Pair:
    """difference: a - b; None if the two are not comparable; reason: why not"""

    a: str
    b: str
    difference: Difference | None
    reason: str = ""

    def to_json(self) -> dict[str, object]:
        if self.difference is None:
            return {"a": self.a, "b": self.b, "not_judged": self.reason}
        return {"a": self.a, "b": self.b, **asdict(self.difference)}

    @property
    def alike(self) -> bool:
        """Whether the difference is not significant; equal numbers without error are exactly
        equal."""
        d = self.difference
        return d is not None and not d.different and d.low < d.high


def ranked(results: Mapping[str, Result]) -> list[dict[str, Result]]:
    """Groups of comparable results: exact ones and bounds separately, each under one protocol;
    empty if the metric has no direction."""
    groups: dict[str, dict[str, Result]] = {}
    for kind in _kinds(results):
        for name, result in kind.items():
            key = f"{result.relation} {scale(result.protocol)}"
            groups.setdefault(key, {})[name] = result
    return [group for group in groups.values() if len(group) > 1]


def _kinds(results: Mapping[str, Result]) -> list[dict[str, Result]]:
    """The exact results, and the bounds, under any protocol."""
    defined = {name: r for name, r in results.items() if r.value is not None}
    if not direction_of(defined.values()):
        return []
    return [{n: r for n, r in defined.items() if r.relation == s} for s in ("=", "<=")]


def pairs(evaluations: Mapping[str, Evaluation], metrics: Sequence[str]) -> dict[str, list[Pair]]:
    """metric -> all pairs of runs that have it; with the reason if they are not comparable."""
    found: dict[str, list[Pair]] = {}
    for metric in metrics:
        results = {n: r for n, e in evaluations.items() if (r := e.get(metric)) is not None}
        for kind in _kinds(results):
            for a, b in combinations(kind, 2):
                found.setdefault(metric, []).append(_pair(a, kind[a], b, kind[b]))
    return found


def _pair(a: str, of_a: Result, b: str, of_b: Result) -> Pair:
    apart = differences(of_a.protocol, of_b.protocol)
    if apart:
        how = cure(of_a.protocol, of_b.protocol)
        return Pair(a, b, None, f"measured differently: {apart}{how and f'; {how}'}")
    gap = difference(of_a, of_b)
    return Pair(a, b, gap, "" if gap is not None else "one of them has no error estimate")


class Judged(NamedTuple):
    """One cell of a matrix: a difference with its 95 % interval, or why there is none."""

    value: str
    interval: str
    different: bool


class Matrix(NamedTuple):
    """Rows and columns are runs; a cell is row - column, None on the diagonal."""

    names: list[str]
    rows: list[tuple[str, list[Judged | None]]]


def matrix(found: Sequence[Pair]) -> Matrix:
    """The matrix of pairwise differences, for the page."""
    names = list(dict.fromkeys(name for pair in found for name in (pair.a, pair.b)))
    cells: dict[tuple[str, str], Judged] = {}
    for pair in found:
        cells[pair.a, pair.b] = _judged(pair, 1)
        cells[pair.b, pair.a] = _judged(pair, -1)
    return Matrix(names, [(r, [cells.get((r, c)) for c in names]) for r in names])


def _judged(pair: Pair, sign: int) -> Judged:
    """sign: 1 for a - b, -1 for b - a"""
    d = pair.difference
    if d is None:
        return Judged("not compared", pair.reason, False)
    low, high = sorted((sign * d.low, sign * d.high))
    return Judged(number(sign * d.value), f"{number(low)} to {number(high)}", d.different)
