"""Who is excluded from the analysis, and by which rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from types import MappingProxyType

from ptheta.schemas import Study
from ptheta.study.analysis.consistency import same_answers
from ptheta.study.files import ATTENTION, MAIN, NORMAL, QUALIFICATION, Answer


@dataclass(frozen=True)
class Rules:
    """The least that is asked of a person; None: the rule is not applied.

    A person without answers of the kind that a rule is about is not excluded by it.

    qualification: share of right answers in the qualification
    attention: share of right answers to attention checks
    trials: main trials answered
    response: median response time in ms of the main trials
    consistency: share of repeated questions that are answered as before
    """

    qualification: float | None = None
    attention: float | None = None
    trials: int | None = None
    response: float | None = None
    consistency: float | None = None

    @classmethod
    def of(cls, study: Study | None) -> Rules:
        """The rules that a study states."""
        if study is None:
            return cls()
        return cls(
            qualification=study.qualification.least_correct if study.qualification else None,
            attention=study.attention.least_correct if study.attention else None,
        )


@dataclass(frozen=True)
class Excluded:
    """A person, the first rule that excludes them, what they reached and what the rule asks."""

    person: str
    rule: str
    reached: float
    least: float


def exclude(answers: Sequence[Answer], rules: Rules) -> tuple[list[Answer], list[Excluded]]:
    """The answers of the people that no rule excludes, and who is excluded."""
    by_person: dict[str, list[Answer]] = {}
    for answer in answers:
        by_person.setdefault(answer.participant, []).append(answer)
    found = {name: one for name, some in by_person.items() if (one := _rule(name, some, rules))}
    kept = [answer for answer in answers if answer.participant not in found]
    return kept, list(found.values())


def _rule(name: str, answers: Sequence[Answer], rules: Rules) -> Excluded | None:
    least: dict[str, float | None] = {
        "qualification": rules.qualification,
        "attention": rules.attention,
        "trials": rules.trials,
        "response": rules.response,
        "consistency": rules.consistency,
    }
    for rule, of in REACHED.items():
        asked, reached = least[rule], of(answers)
        if asked is not None and reached is not None and reached < asked:
            return Excluded(name, rule, reached, asked)
    return None


def _qualified(answers: Sequence[Answer]) -> float | None:
    return _right(a for a in answers if a.phase == QUALIFICATION)


def _attentive(answers: Sequence[Answer]) -> float | None:
    return _right(a for a in answers if a.kind == ATTENTION and a.phase == MAIN)


def _trials(answers: Sequence[Answer]) -> float | None:
    return float(len(main(answers)))


def _response(answers: Sequence[Answer]) -> float | None:
    times = [a.response_ms for a in main(answers) if a.response_ms is not None]
    return median(times) if times else None


def _consistent(answers: Sequence[Answer]) -> float | None:
    same = same_answers(answers)
    return sum(same) / len(same) if same else None


def _right(answers: Iterable[Answer]) -> float | None:
    right = [a.correct for a in answers if a.correct is not None]
    return sum(right) / len(right) if right else None


REACHED: Mapping[str, Callable[[Sequence[Answer]], float | None]] = MappingProxyType(
    {
        "qualification": _qualified,
        "attention": _attentive,
        "trials": _trials,
        "response": _response,
        "consistency": _consistent,
    }
)
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "qualification": "share of right answers in the qualification",
        "attention": "share of right answers to attention checks",
        "trials": "main trials answered",
        "response": "median response time of the main trials, ms",
        "consistency": "share of repeated questions answered as before",
    }
)


def main(answers: Sequence[Answer]) -> list[Answer]:
    """The answers that results are computed from: of the main phase, without checks."""
    return [a for a in answers if (a.phase, a.kind) == (MAIN, NORMAL)]
