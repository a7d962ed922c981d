"""What was found, in sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from ptheta.report.plots import number
from ptheta.study.analysis.analyse import Analysis
from ptheta.study.analysis.estimates import Comparison, Estimate
from ptheta.study.analysis.exclusions import WORDS
from ptheta.study.analysis.power import ENOUGH, Plan, least_people
from ptheta.study.files import HYPE_INFINITY, HYPE_TIME, PAIRS, RATING, TWO_AFC

ASKED = {
    HYPE_INFINITY: "Real or generated? One image, unlimited time.",
    HYPE_TIME: "Real or generated? One image, shown for a time set by a staircase.",
    TWO_AFC: "Which of two images is real?",
    PAIRS: "Which of two images looks more realistic?",
    RATING: "How realistic is the image, from 1 to 5?",
}
HALF = 0.5  # the error rate of people who guess
GAPS = (0.02, 0.05, 0.1)  # differences of scores that a study is planned for
MOST_NAMED = 4  # pairs in a sentence


def percent(share: float) -> str:
    """27.6 %."""
    return f"{100 * share:.1f} %"


def percent_interval(found: Estimate) -> str:
    """24.1 to 31.4 %, or why there is none."""
    if found.interval is None:
        return "unknown"
    low, high = found.interval
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def plain_interval(found: Estimate, digits: int = 3) -> str:
    if found.interval is None:
        return "unknown"
    return " to ".join(number(end, digits) for end in found.interval)


def p_value(p: float | None) -> str:
    if p is None:
        return "unknown"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def count(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def lead(found: Analysis) -> str:
    """What was asked, of whom, about how many images."""
    said = [ASKED[found.protocol]]
    size = [count(found.answers, "answer")]
    if found.people:
        size.append(f"of {count(found.people, 'person', 'people')}")
    if found.images:
        size.append(f"about {count(found.images, 'image')}")
    first, last = found.dates
    when = "" if not first else f", {first}" if first == last else f", {first} to {last}"
    said.append(f"{' '.join(size)}{when}.")
    if found.excluded:
        said.append(f"{count(len(found.excluded), 'person is', 'people are')} excluded.")
    return " ".join(said)


def summary(found: Analysis) -> list[str]:
    """The findings, most important first."""
    lines = [*_best(found), *_apart(found.comparisons), *_chance(found), *_learning(found)]
    lines += _consistent(found)
    lines += _agreement(found)
    lines += _excluded(found)
    return lines


def _best(found: Analysis) -> list[str]:
    if found.protocol == HYPE_TIME:
        return [
            f"{t.source}: people need {number(t.ms.value)} ms to judge an image right "
            f"(95 % interval {plain_interval(t.ms)} ms, {count(t.ms.n, 'person', 'people')})."
            for t in sorted(found.thresholds, key=lambda t: -(t.ms.value if t.ms else 0))
            if t.ms is not None
        ]
    if found.preferences is not None:
        top = found.preferences.strengths[0]
        return [f"{top.name} is preferred most often: in {percent(top.share)} of its questions."]
    if found.ratings:
        best = found.ratings[0]
        return [
            f"{best.name} is rated highest: {best.mean.value:.2f} of 5 "
            f"(95 % interval {plain_interval(best.mean)})."
        ]
    if not found.rates:
        return []
    most = found.rates[0]
    return [
        f"{most.name} is closest to real images: {percent(most.both.value)} of the answers are "
        f"wrong (95 % interval {percent_interval(most.both)}, 50 % at chance)."
    ]


def _apart(comparisons: Sequence[Comparison]) -> list[str]:
    if not comparisons:
        return []
    if all(c.p is None for c in comparisons):
        return ["Whether sources differ is unknown: one person or one image is too few."]
    alike = [f"{c.a} and {c.b}" for c in comparisons if not c.apart]
    n = len(comparisons)
    if not alike:
        return [f"All {n} pairs of sources differ (5 %, Holm)." if n > 1 else "The two differ."]
    if len(alike) == n:
        return ["No two sources can be told apart (5 %, Holm)."]
    named = ", ".join(alike[:MOST_NAMED]) + (", ..." if len(alike) > MOST_NAMED else "")
    return [
        f"{n - len(alike)} of {n} pairs of sources differ (5 %, Holm). Not told apart: {named}."
    ]


def _chance(found: Analysis) -> list[str]:
    if found.protocol not in (HYPE_INFINITY, TWO_AFC):
        return []
    known = [(r.name, *r.both.interval) for r in found.rates if r.both.interval is not None]
    if len(known) == len(found.rates) and all(high < HALF for _, _, high in known):
        return ["People do better than chance on every source."]
    guessed = [name for name, low, high in known if low <= HALF <= high]
    fooled = [name for name, low, _ in known if low > HALF]
    lines = []
    if guessed:
        lines.append(f"People cannot be told from guessing on {', '.join(guessed)}.")
    if fooled:
        lines.append(f"People do worse than chance on {', '.join(fooled)}.")
    return lines


def _learning(found: Analysis) -> list[str]:
    if found.learning is None or found.learning.change.interval is None or not found.rates:
        return []
    if found.protocol == HYPE_TIME:  # a staircase keeps the error rate where it is
        return []
    low, high = found.learning.change.interval
    first, second = found.learning.first.value, found.learning.second.value
    halves = f"{percent(first)} errors in the first half, {percent(second)} in the second"
    if low > 0:
        return [f"People get worse over the trials: {halves}."]
    return [f"People get better over the trials: {halves}."] if high < 0 else []


def _consistent(found: Analysis) -> list[str]:
    if found.consistency is None:
        return []
    same = found.consistency.same
    return [
        f"Of {count(same.n, 'repeated question')}, {percent(same.value)} get the same answer as "
        f"before ({percent(found.consistency.chance)} by chance)."
    ]


def _agreement(found: Analysis) -> list[str]:
    return [
        f"{one.metric} agrees with people by Kendall's tau {one.tau:.2f}"
        + (
            f"; of the {count(one.told, 'pair')} that people tell apart it orders {one.same} as "
            "they do."
            if one.told
            else "."
        )
        for one in found.agreements
        if not math.isnan(one.tau)
    ]


def _excluded(found: Analysis) -> list[str]:
    by_rule = Counter(one.rule for one in found.excluded)
    return [
        f"{count(n, 'person is', 'people are')} excluded by the rule on the {WORDS[rule]}."
        for rule, n in by_rule.items()
    ]


def plans(design: Plan, score: float) -> list[tuple[float, int | None]]:
    """For some differences of scores, how many people find them with a power of 80 %."""
    return [(gap, least_people(design, score, max(0.01, score - gap), ENOUGH)) for gap in GAPS]
