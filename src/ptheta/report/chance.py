"""A row may be called the best only if it is significantly better than uninformed baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from ptheta.measures.intervals import difference
from ptheta.measures.results import BADNESS, NORMAL, Evaluation, Result
from ptheta.metrics.baselines import BASELINES, OF_VECTORS
from ptheta.metrics.floors import TRANSLATION_FLOORS
from ptheta.metrics.protocol import scale
from ptheta.report.ranking import Rank
from ptheta.report.sections import HELD, section_of

BLIND = {
    name
    for table in (BASELINES, OF_VECTORS, TRANSLATION_FLOORS)
    for name, kind in table.items()
    if kind.blind
}


class Chance(NamedTuple):
    """The uninformed baseline that a row is not significantly better than, and its value."""

    name: str
    value: float


def blind(baselines: Mapping[str, Evaluation]) -> dict[str, Evaluation]:
    """The results of the baselines that ignore their input. A baseline ignores its condition, yet
    its images may be as close to the data as any."""
    found = {name: e for name, e in baselines.items() if name in BLIND}
    for name in found.keys() & TRANSLATION_FLOORS.keys():
        own = (r for r in found[name].results if section_of(r.metric) in HELD)
        found[name] = Evaluation(tuple(own), found[name].protocol)
    return found


def chance_of(result: Result, chance: Mapping[str, Evaluation]) -> Chance | None:
    """The baseline that a result is not significantly better than, by the paired 95 % interval;
    None if there is no such baseline, or none to compare with.

    chance: results of uninformed baselines
    """
    for name, other in _comparable(result, chance).items():
        gap = difference(result, other)
        better = result.badness < other.badness
        if gap is None or not (gap.different and better):
            return Chance(name, other.value or 0.0)
    return None


def chance_of_mean(rank: Rank, one: Result, chance: Mapping[str, Evaluation]) -> Chance | None:
    """The same for the mean of a setting over its seeds, by Student's interval. one: one of its
    runs."""
    bad = BADNESS.get(one.better, BADNESS["lower"])
    for name, other in _comparable(one, chance).items():
        half = math.hypot(rank.half or 0.0, NORMAL * (other.error or 0.0))
        if bad(other.value or 0.0) - bad(rank.mean) <= half:
            return Chance(name, other.value or 0.0)
    return None


def _comparable(result: Result, chance: Mapping[str, Evaluation]) -> dict[str, Result]:
    """The corresponding results of the baselines under the same protocol."""
    every = {name: e.get(result.metric) for name, e in chance.items()}
    return {
        name: other
        for name, other in every.items()
        if other is not None
        and other.value is not None
        and other.relation == result.relation
        and scale(other.protocol) == scale(result.protocol)
    }
