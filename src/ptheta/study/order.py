"""What one person is asked, in which order: a function of the plan, the person's number and the
source that the person is assigned.

Whoever knows the seed of the plan can compute the order, and so which images are real: by default
the seed is random.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, cycle, islice
from random import Random
from typing import NamedTuple, TypeVar

from ptheta.study.files import (
    ATTENTION,
    FAKE,
    LEFT,
    MAIN,
    NORMAL,
    PAIRS,
    PRACTICE,
    QUALIFICATION,
    RATING,
    REAL,
    REPEAT,
    RIGHT,
    TWO_AFC,
)
from ptheta.study.plan import BETWEEN, DEGRADED, NOISE, Plan

T = TypeVar("T")
NEAREST_REPEAT = 10  # trials that lie between an image and its repeat, where there are as many


class Trial(NamedTuple):
    """One question: the columns of `answers.csv` that are known before it is answered."""

    phase: str
    kind: str
    item: str
    item_b: str
    source: str
    source_b: str
    truth: str


class _Deck:
    """Images of one source for one use, each once before any is shown again."""

    def __init__(self, ids: Sequence[str], random: Random) -> None:
        self.ids, self.random, self.left = list(ids), random, list[str]()

    def draw(self) -> str:
        if not self.left:
            self.left = self.random.sample(self.ids, len(self.ids))
        return self.left.pop()


class _Maker:
    """Makes the trials of one person."""

    def __init__(self, plan: Plan, person: int, assigned: str) -> None:
        self.plan, self.random = plan, Random(f"{plan.seed}/{person}")
        self.models = [assigned] if plan.design == BETWEEN else plan.models
        self.decks: dict[tuple[str, str], _Deck] = {}
        self.sides: dict[tuple[str, str, str], bool] = {}

    def draw(self, use: str, source: str) -> str:
        key = use, source
        if key not in self.decks:
            self.decks[key] = _Deck(self.plan.pool(use, source), self.random)
        return self.decks[key].draw()

    def phase(self, phase: str, n: int, use: str, models: Sequence[str]) -> list[Trial]:
        """n shuffled trials of equally many sources, and of equally many real and fake images."""
        made = list(islice(self._kinds(phase, use, models), n))
        self.random.shuffle(made)
        return made

    def _kinds(self, phase: str, use: str, models: Sequence[str]) -> Iterator[Trial]:
        protocol = self.plan.protocol
        starts = self._shuffled(models)  # who gets one more is by chance
        if protocol == PAIRS:
            for one, other in cycle(self._shuffled(list(combinations(self.plan.sources, 2)))):
                yield self._two(phase, use, one, other, "")
        elif protocol == TWO_AFC:
            for model in cycle(starts):
                yield self._two(phase, use, REAL, model, REAL)
        elif protocol == RATING:
            for source in cycle(self._shuffled(self.plan.sources)):
                yield self._one(phase, use, source, "")
        else:
            for model in cycle(starts):
                yield self._one(phase, use, REAL, REAL)
                yield self._one(phase, use, model, FAKE)

    def _shuffled(self, things: Sequence[T]) -> list[T]:
        return self.random.sample(things, len(things))

    def _one(self, phase: str, use: str, source: str, truth: str) -> Trial:
        return Trial(phase, NORMAL, self.draw(use, source), "", source, "", truth)

    def _two(self, phase: str, use: str, one: str, other: str, right: str) -> Trial:
        """Each of two sources is as often left as right.

        right: the source of the right answer, if there is one
        """
        key = phase, one, other
        self.sides[key] = not self.sides.get(key, self.random.random() < 0.5)
        first, second = (one, other) if self.sides[key] else (other, one)
        truth = "" if not right else LEFT if first == right else RIGHT
        items = self.draw(use, first), self.draw(use, second)
        return Trial(phase, NORMAL, *items, first, second, truth)

    def attention(self) -> Trial:
        """A trial whose answer is plain: an image of pure noise, alone or next to another one."""
        plan, noise = self.plan, self.draw("attention", NOISE)
        if not plan.two_images:
            truth = "" if plan.protocol == RATING else FAKE
            return Trial(MAIN, ATTENTION, noise, "", NOISE, "", truth)
        source = REAL if plan.protocol == TWO_AFC else self.random.choice(plan.sources)
        item = self.draw("main", source)
        if self.random.random() < 0.5:
            return Trial(MAIN, ATTENTION, item, noise, source, NOISE, LEFT)
        return Trial(MAIN, ATTENTION, noise, item, NOISE, source, RIGHT)


def trials_of(plan: Plan, person: int, assigned: str) -> list[Trial]:
    """All trials of a person: practice, qualification, main.

    Args:
        plan: The plan of the study.
        person: Number of the person, which seeds the order.
        assigned: The source that the person sees, where each person sees one.
    """
    maker = _Maker(plan, person, assigned)
    practice = maker.phase(PRACTICE, plan.practice, "practice", maker.models)
    qualification = maker.phase(QUALIFICATION, plan.qualification, "qualification", [DEGRADED])
    main = maker.phase(MAIN, plan.trials, "main", maker.models)
    main = _with_repeats(main, plan.repeats, maker.random)
    return [*practice, *qualification, *_with_attention(main, plan.attention, maker)]


def _with_repeats(main: list[Trial], n: int, random: Random) -> list[Trial]:
    """n of the trials are asked again, each after at least `NEAREST_REPEAT` others."""
    gap = min(NEAREST_REPEAT, len(main) // 2)
    asked = list(main)
    for first in random.sample(main[: len(main) - gap], min(n, len(main) - gap)):
        place = random.randint(asked.index(first) + gap + 1, len(asked))
        asked.insert(place, first._replace(kind=REPEAT))
    return asked


def _with_attention(main: list[Trial], n: int, maker: _Maker) -> list[Trial]:
    """n attention checks, one at a random place in each n-th part of the trials."""
    asked, size = list(main), len(main)
    for part in reversed(range(n)):
        first, last = part * size // n, max(part * size // n, (part + 1) * size // n - 1)
        asked.insert(maker.random.randint(first, last), maker.attention())
    return asked
