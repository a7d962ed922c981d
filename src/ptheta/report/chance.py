"""Whether a row may be called the best: it is beyond what knows nothing."""

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
    """What a row is not beyond: the name of what knows nothing, and its number."""

    name: str
    value: float


def blind(baselines: Mapping[str, Evaluation]) -> dict[str, Evaluation]:
    """The numbers of those that are blind. A floor is blind to what it is asked for, and its images
    may be as near to the data as any."""
    found = {name: e for name, e in baselines.items() if name in BLIND}
    for name in found.keys() & TRANSLATION_FLOORS.keys():
        own = (r for r in found[name].results if section_of(r.metric) in HELD)
        found[name] = Evaluation(tuple(own), found[name].protocol)
    return found


def chance_of(result: Result, chance: Mapping[str, Evaluation]) -> Chance | None:
    """What a result is not surely better than, by the paired 95 % interval; None where there is
    nothing of the kind, or nothing that it can be held against.

    chance: rows that know nothing of what is asked
    """
    for name, other in _comparable(result, chance).items():
        gap = difference(result, other)
        better = result.badness < other.badness
        if gap is None or not (gap.different and better):
            return Chance(name, other.value or 0.0)
    return None


def chance_of_mean(rank: Rank, one: Result, chance: Mapping[str, Evaluation]) -> Chance | None:
    """The same of the mean of a setting over its seeds, by Student's interval. one: of its runs"""
    bad = BADNESS.get(one.better, BADNESS["lower"])
    for name, other in _comparable(one, chance).items():
        half = math.hypot(rank.half or 0.0, NORMAL * (other.error or 0.0))
        if bad(other.value or 0.0) - bad(rank.mean) <= half:
            return Chance(name, other.value or 0.0)
    return None


def _comparable(result: Result, chance: Mapping[str, Evaluation]) -> dict[str, Result]:
    """The results that say the same of what knows nothing, by the same protocol."""
    every = {name: e.get(result.metric) for name, e in chance.items()}
    return {
        name: other
        for name, other in every.items()
        if other is not None
        and other.value is not None
        and other.relation == result.relation
        and scale(other.protocol) == scale(result.protocol)
    }
