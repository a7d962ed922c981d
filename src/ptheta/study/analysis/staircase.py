"""HYPE-time: how long an image must be shown to be judged right."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from ptheta.study.analysis.estimates import Comparison, Estimate, compare, mean
from ptheta.study.analysis.table import Table
from ptheta.study.files import FAKE, HYPE_TIME, Answer

REVERSALS = 10  # the last ones, which a threshold is the mean of
FEWEST = 4  # of a person whose threshold is taken
SEVERAL = "several sources"


@dataclass(frozen=True)
class Threshold:
    """The threshold of one person. ms: None where there are fewer than `FEWEST` reversals"""

    person: str
    source: str
    ms: float | None
    reversals: int
    trials: int


@dataclass(frozen=True)
class Thresholds:
    """The thresholds of the people who saw one source. ms: their mean, None where nobody has one"""

    source: str
    ms: Estimate | None
    people: int


def reversals(asked: Iterable[float]) -> list[float]:
    """The exposures at which a staircase turns: those that are longer, or shorter, than the last
    other exposure before and the next other one after."""
    steps = [ms for ms, _ in groupby(asked)]
    return [b for a, b, c in zip(steps, steps[1:], steps[2:], strict=False) if (b > a) == (b > c)]


def threshold(asked: Sequence[float], last: int = REVERSALS) -> float | None:
    """The mean of the last reversals, an even number of them, so that upper and lower ones have
    equal weight (Levitt 1971); None where there are fewer than `FEWEST`."""
    found = reversals(asked)
    used = min(last, len(found))
    used -= used % 2
    return math.fsum(found[-used:]) / used if used >= FEWEST else None


def thresholds(answers: Sequence[Answer]) -> list[Threshold]:
    """Of every session. Pass the main answers without checks, in their order."""
    sessions: dict[tuple[str, str], list[Answer]] = {}
    for a in answers:
        if a.protocol == HYPE_TIME and a.asked_ms is not None:
            sessions.setdefault((a.participant, a.session), []).append(a)
    return [_of(person, some) for (person, _), some in sessions.items()]


def _of(person: str, answers: Sequence[Answer]) -> Threshold:
    ordered = sorted(answers, key=lambda a: a.trial)
    asked = [a.asked_ms for a in ordered if a.asked_ms is not None]
    names = {a.source for a in ordered if a.truth == FAKE}
    source = names.pop() if len(names) == 1 else SEVERAL
    return Threshold(person, source, threshold(asked), len(reversals(asked)), len(asked))


def by_source(found: Sequence[Threshold]) -> tuple[list[Thresholds], list[Comparison]]:
    """Means over people with Student's intervals, and their differences (Welch)."""
    known = [one for one in found if one.ms is not None]
    table = _table(known)
    values = np.array([one.ms or 0.0 for one in known])
    every, named = [], []
    for source in sorted({one.source for one in found}):
        mask = np.array([one.source == source for one in known], dtype=bool)
        some = mean(table, mask, values, "number") if mask.any() else None
        every.append(Thresholds(source, some, sum(one.source == source for one in found)))
        if some is not None:
            named.append((source, some))
    return every, compare(named)


def _table(found: Sequence[Threshold]) -> Table:
    """One row for each session, so that intervals are over people."""
    n = len(found)
    names = list(dict.fromkeys(one.person for one in found))
    nothing = np.full(n, np.nan)
    return Table(
        person=np.array([names.index(one.person) for one in found], dtype=np.int64),
        image=None,
        image_b=None,
        source=np.array([one.source for one in found], dtype=object),
        source_b=np.array([""] * n, dtype=object),
        fake=np.ones(n, dtype=bool),
        wrong=nothing,
        answer=np.array([""] * n, dtype=object),
        place=np.arange(n, dtype=np.int64),
        asked=nothing,
        shown=nothing,
        response=nothing,
        people=tuple(names),
    )
