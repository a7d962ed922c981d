"""Which runs differ: the paired 95 % interval of every two of them, metric by metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from ptheta.metrics.bootstrap import Difference, difference
from ptheta.metrics.results import Evaluation, Result
from ptheta.report.plots import number


@dataclass(frozen=True)
class Pair:
    a: str
    b: str
    difference: Difference  # a - b

    def to_json(self) -> dict[str, Any]:
        return {"a": self.a, "b": self.b, **asdict(self.difference)}


def ranked(results: Mapping[str, Result]) -> list[dict[str, Result]]:
    """The results that may be held against each other: the exact ones, and the bounds; none where
    neither direction is better."""
    defined = {name: r for name, r in results.items() if r.value is not None}
    if {r.better for r in defined.values()} not in ({"lower"}, {"higher"}):
        return []
    groups = ({n: r for n, r in defined.items() if r.relation == s} for s in ("=", "<="))
    return [group for group in groups if len(group) > 1]


def pairs(evaluations: Mapping[str, Evaluation], metrics: Sequence[str]) -> dict[str, list[Pair]]:
    """metric -> every two runs that may be compared by it."""
    found: dict[str, list[Pair]] = {}
    for metric in metrics:
        results = {n: r for n, e in evaluations.items() if (r := e.get(metric)) is not None}
        for group in ranked(results):
            for a, b in combinations(group, 2):
                gap = difference(group[a], group[b])
                if gap is not None:
                    found.setdefault(metric, []).append(Pair(a, b, gap))
    return found


def matrix(found: Sequence[Pair]) -> dict[str, Any]:
    """A table for the page: rows and columns are runs, a cell is row - column."""
    names = list(dict.fromkeys(name for pair in found for name in (pair.a, pair.b)))
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    for pair in found:
        d = pair.difference
        for row, column, sign in ((pair.a, pair.b, 1), (pair.b, pair.a, -1)):
            low, high = sorted((sign * d.low, sign * d.high))
            cells[row, column] = {
                "value": number(sign * d.value),
                "interval": f"{number(low)} to {number(high)}",
                "different": d.different,
            }
    return {"names": names, "rows": [(r, [cells.get((r, c)) for c in names]) for r in names]}
