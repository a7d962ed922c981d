"""Whether people answer a repeated question as before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ptheta.study.analysis.estimates import Estimate, mean
from ptheta.study.analysis.table import table_of
from ptheta.study.files import NORMAL, REPEAT, Answer


@dataclass(frozen=True)
class Consistency:
    """Answers to repeated questions.

    same: share that equal the first answer
    chance: share that would be equal if both answers were drawn by chance from all first and all
        second answers
    """

    same: Estimate
    chance: float

    @property
    def kappa(self) -> float:
        """Agreement beyond chance (Cohen 1960): 0 at chance, 1 where all are equal."""
        return (self.same.value - self.chance) / (1 - self.chance) if self.chance < 1 else 1.0


def same_answers(answers: Sequence[Answer]) -> list[bool]:
    """Of each repeated question, whether the answer is that of the first time."""
    return [first == second.answer for first, second in _repeated(answers)]


def consistency(answers: Sequence[Answer]) -> Consistency | None:
    """None where no question was repeated. Pass the answers of all kinds."""
    pairs = _repeated(answers)
    if not pairs:
        return None
    table = table_of([second for _, second in pairs])
    same = np.array([float(first == second.answer) for first, second in pairs])
    before = Counter(first for first, _ in pairs)
    after = Counter(second.answer for _, second in pairs)
    chance = sum(before[word] * after[word] for word in before) / len(pairs) ** 2
    return Consistency(mean(table, np.ones(len(pairs), dtype=bool), same), chance)


def _repeated(answers: Sequence[Answer]) -> list[tuple[str, Answer]]:
    """The first answer, and the second one."""
    first: dict[tuple[str, ...], str] = {}
    for a in answers:
        if a.kind == NORMAL:
            first.setdefault(_question(a), a.answer)
    return [(first[_question(a)], a) for a in answers if a.kind == REPEAT and _question(a) in first]


def _question(a: Answer) -> tuple[str, ...]:
    return a.participant, a.session, a.phase, a.source, a.item, a.source_b, a.item_b
