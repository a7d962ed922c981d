"""The analysis of a study: everything that is computed from its two files."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ptheta.errors import PthetaError
from ptheta.schemas import Study
from ptheta.study.analysis.agreement import Agreement, agreement
from ptheta.study.analysis.consistency import Consistency, consistency
from ptheta.study.analysis.estimates import Comparison, compare
from ptheta.study.analysis.exclusions import Excluded, Rules, exclude, main
from ptheta.study.analysis.learning import Exposure, Learning, Times, exposure, learning, times
from ptheta.study.analysis.power import Plan
from ptheta.study.analysis.preferences import Preferences, preferences
from ptheta.study.analysis.rates import SourceRates, Spread, rates
from ptheta.study.analysis.ratings import Rated, ratings
from ptheta.study.analysis.staircase import (
    Threshold,
    Thresholds,
    by_source,
    thresholds,
)
from ptheta.study.analysis.table import Table, table_of
from ptheta.study.files import (
    HYPE_INFINITY,
    HYPE_TIME,
    PAIRS,
    PROTOCOLS,
    RATING,
    REAL,
    Answer,
)

SIMULATED = "simulated"  # how the names of simulated people begin


@dataclass(frozen=True)
class Analysis:
    """Everything that is found in the answers to one protocol. What a protocol has not is empty.

    people: who are in the analysis; joined: everybody who answered a main question
    everybody: error rates without any exclusion; empty where nobody is excluded
    simulated: whether all answers are those of simulated people
    notes: what a reader must know of the file
    """

    name: str
    protocol: str
    people: int
    joined: int
    images: int
    answers: int
    dates: tuple[str, str]
    rules: Rules
    excluded: tuple[Excluded, ...]
    simulated: bool
    rates: tuple[SourceRates, ...] = ()
    everybody: tuple[SourceRates, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    learning: Learning | None = None
    times: tuple[Times, ...] = ()
    exposure: Exposure | None = None
    consistency: Consistency | None = None
    people_thresholds: tuple[Threshold, ...] = ()
    thresholds: tuple[Thresholds, ...] = ()
    preferences: Preferences | None = None
    ratings: tuple[Rated, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    design: Plan | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def human(self) -> dict[str, float]:
        """The number of each source that metrics are compared with, higher for a better one."""
        if self.thresholds:
            return {t.source: t.ms.value for t in self.thresholds if t.ms is not None}
        if self.preferences is not None:
            return {s.name: s.strength.value for s in self.preferences.strengths if s.name != REAL}
        if self.ratings:
            return {r.name: r.mean.value for r in self.ratings if r.name != REAL}
        return {r.name: r.both.value for r in self.rates}


def analyse(
    answers: Sequence[Answer],
    study: Study | None = None,
    rules: Rules | None = None,
    protocol: str | None = None,
) -> Analysis:
    """Analyses the answers to one protocol.

    Args:
        answers: All lines of `answers.csv`.
        study: What `study.json` says, if there is one: it states the rules of exclusion.
        rules: Rules instead of those.
        protocol: Which one, where the answers are to several.

    Raises:
        PthetaError: if there are no answers to analyse, or they are to several protocols.
    """
    rules = Rules.of(study) if rules is None else rules
    protocol = _protocol(answers, protocol)
    asked = sorted(
        (a for a in answers if a.protocol == protocol), key=lambda a: (a.session, a.trial)
    )
    everyone = main(asked)
    if not everyone:
        raise PthetaError("there are no answers of the main phase: ask people first")
    kept, excluded = exclude(asked, rules)
    used = main(kept)
    if not used:
        who = "1 person is" if len(excluded) == 1 else f"{len(excluded):,} people are"
        raise PthetaError(
            f"nobody is left: {who} excluded, by {_rules(excluded)}; 0 for such an option excludes "
            "nobody"
        )
    joined = {a.participant for a in everyone}
    found = Analysis(
        name=study.name if study else answers[0].study,
        protocol=protocol,
        people=len({a.participant for a in used}),
        joined=len(joined),
        images=len({(a.source, a.item) for a in used} | {(a.source_b, a.item_b) for a in used})
        - (not any(a.item_b for a in used)),
        answers=len(used),
        dates=(min(a.answered_at for a in asked)[:10], max(a.answered_at for a in asked)[:10]),
        rules=rules,
        excluded=tuple(excluded),
        simulated=all(name.startswith(SIMULATED) for name in joined),
        notes=_notes(joined),
        consistency=consistency(kept),
    )
    return _measured(found, used, everyone)


def _measured(found: Analysis, used: Sequence[Answer], everyone: Sequence[Answer]) -> Analysis:
    """With what is computed for the protocol."""
    table = table_of(used)
    found = replace(found, times=tuple(times(table)), exposure=exposure(table))
    if found.protocol == PAIRS:
        chosen = preferences(table)
        comparisons = chosen.comparisons if chosen else ()
        return replace(found, preferences=chosen, comparisons=comparisons)
    if found.protocol == RATING:
        rated, differences = ratings(table)
        return replace(found, ratings=tuple(rated), comparisons=tuple(differences))
    found = replace(found, learning=learning(table))
    if found.protocol == HYPE_TIME:
        of_people = thresholds(used)
        means, differences = by_source(of_people)
        return replace(
            found,
            rates=_ordered(rates(table)),
            people_thresholds=tuple(of_people),
            thresholds=tuple(means),
            comparisons=tuple(differences),
        )
    return _with_rates(found, table, table_of(everyone))


def _with_rates(found: Analysis, table: Table, everyone: Table) -> Analysis:
    of_sources = _ordered(rates(table))
    return replace(
        found,
        rates=of_sources,
        everybody=tuple(rates(everyone)) if found.excluded else (),
        comparisons=tuple(compare([(r.name, r.both) for r in of_sources])),
        design=_design(table, of_sources) if found.protocol == HYPE_INFINITY else None,
    )


def analyse_public(table: Table, name: str) -> Analysis:
    """Analyses the public answers of Stein et al. 2023, as `ptheta.study.analysis.stein` reads
    them."""
    what = "images" if table.person is None else "people"
    other = "people" if table.person is None else "images"
    of_sources = _ordered(rates(table))
    people = 0 if table.person is None else len(np.unique(table.person))
    return Analysis(
        name=name,
        protocol=HYPE_INFINITY,
        people=people,
        joined=people,
        images=0 if table.image is None else len(np.unique(table.image)),
        answers=len(table),
        dates=("", ""),
        rules=Rules(),
        excluded=(),
        simulated=False,
        rates=of_sources,
        comparisons=tuple(compare([(r.name, r.both) for r in of_sources])),
        notes=(
            f"The file is aggregated by {what} and says nothing of {other}: intervals are over "
            f"{what} alone.",
        ),
    )


def with_metrics(
    found: Analysis, metrics: Mapping[str, tuple[str, Mapping[str, float]]]
) -> Analysis:
    """With the agreement with metrics.

    Args:
        found: The analysis.
        metrics: Name -> (which values are better, value of each source).
    """
    every = [
        agreement(name, better, values, found.human, found.comparisons)
        for name, (better, values) in metrics.items()
    ]
    return replace(found, agreements=tuple(one for one in every if one is not None))


def _protocol(answers: Sequence[Answer], wanted: str | None) -> str:
    there = [p for p in PROTOCOLS if any(a.protocol == p for a in answers)]
    if not there:
        raise PthetaError("there are no answers: ask people first")
    if wanted is None and len(there) > 1:
        raise PthetaError(
            f"the answers are to several protocols, {', '.join(there)}: choose one by --protocol"
        )
    if wanted is not None and wanted not in there:
        raise PthetaError(f"--protocol {wanted}: the answers are to {', '.join(there)}")
    return wanted or there[0]


def _notes(joined: Collection[str]) -> tuple[str, ...]:
    """Whether some people are simulated, and others are not."""
    n = sum(name.startswith(SIMULATED) for name in joined)
    if not 0 < n < len(joined):
        return ()
    return (f"{n:,} of {len(joined):,} people are simulated.",)


def _rules(excluded: Sequence[Excluded]) -> str:
    """As the options of `ptheta study report` that set them."""
    rules = sorted({(one.rule, one.least) for one in excluded})
    return " and ".join(f"--least-{rule} {least:g}" for rule, least in rules)


def _ordered(found: Sequence[SourceRates]) -> tuple[SourceRates, ...]:
    """The source that is taken for real most often first."""
    return tuple(sorted(found, key=lambda r: -r.both.value))


def _design(table: Table, found: Sequence[SourceRates]) -> Plan | None:
    """The study as it was, to plan another one with; None where its deviations are not known."""
    people = [r.people for r in found if r.people is not None]
    images = [r.images for r in found if r.images is not None]
    if len(found) < 2 or not people or not images or table.person is None:
        return None
    own = {(int(p), str(s)) for p, s in zip(table.person, table.source, strict=True) if s != REAL}
    shown = [r.images.groups for r in found if r.images is not None]
    return Plan(
        trials=max(4, round(len(table) / len(np.unique(table.person)))),
        images=max(2, round(float(np.median(shown)))),
        between=len(own) == len({p for p, _ in own}),
        sources=len(found),
        person=min(0.5, _pooled(people)),
        image=min(0.5, _pooled(images)),
    )


def _pooled(found: Sequence[Spread]) -> float:
    """The deviation without chance, over all sources."""
    variance = math.fsum(s.true_variance for s in found) / len(found)
    return math.sqrt(max(0.0, variance))
