"""Simulated people of known error rates, which the analysis is checked with.

logit P(wrong) = logit(base) + ability of the person + bias of the person + difficulty of the image,
with normal ability, bias and difficulty: people differ, and so do images. The bias is a person's
tendency to answer "real": it has one sign for generated images and the other for real ones.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ptheta.study.analysis.table import Floats
from ptheta.study.files import FAKE, HYPE_INFINITY, MAIN, NORMAL, REAL, Answer

EARLY = "2025-01-01T00:00:00Z"
NODES = 80  # of the quadrature


@dataclass(frozen=True)
class People:
    """Simulated people and images.

    sources: name -> probability of an error of an average person on an average image
    real: the same for real images
    people: how many; trials: main trials of each, half of them real
    images: of each source; a person sees a random part of them, each at most once where there are
        enough
    ability, bias, difficulty: standard deviations of the logit
    between: whether each person sees one source, in turn, or all of them
    """

    sources: Mapping[str, float]
    real: float = 0.25
    people: int = 20
    trials: int = 100
    images: int = 50
    ability: float = 0.3
    bias: float = 0.3
    difficulty: float = 0.8
    between: bool = False

    def truth(self, source: str) -> float:
        """The error rate of a source over all people and images: the mean of the logistic function
        of a normal variable, by Gauss-Hermite quadrature."""
        base = self.real if source == REAL else self.sources[source]
        deviation = math.sqrt(self.ability**2 + self.bias**2 + self.difficulty**2)
        x, weights = _nodes()
        return float(weights @ _logistic(_logit(base) + deviation * x))

    def score(self, source: str) -> float:
        """The mean of the error rates on images of a source and on real images."""
        return (self.truth(source) + self.truth(REAL)) / 2


def simulate(design: People, seed: int) -> list[Answer]:
    """The answers of simulated people in a study of the protocol hype-infinity."""
    random = np.random.default_rng(seed)
    names = list(design.sources)
    hard = {name: random.normal(0, design.difficulty, design.images) for name in (*names, REAL)}
    found: list[Answer] = []
    for person in range(design.people):
        seen = [names[person % len(names)]] if design.between else names
        ability = random.normal(0, design.ability)
        bias = random.normal(0, design.bias)
        found += _session(design, random, person, seen, hard, (ability, bias))
    return found


def _session(
    design: People,
    random: np.random.Generator,
    person: int,
    seen: list[str],
    hard: Mapping[str, np.ndarray],
    effects: tuple[float, float],
) -> list[Answer]:
    """The answers of one person, in a random order."""
    ability, bias = effects
    half = design.trials // 2
    asked = [(seen[i % len(seen)], FAKE) for i in range(half)]
    asked += [(REAL, REAL)] * (design.trials - half)
    asked = [asked[i] for i in random.permutation(len(asked))]
    decks = {name: deque(random.permutation(design.images).tolist()) for name in (*seen, REAL)}
    shown, logits = [], []
    for source, truth in asked:
        image = decks[source][0]
        decks[source].rotate(-1)
        shown.append(image)
        base = design.real if truth == REAL else design.sources[source]
        sign = 1 if truth == FAKE else -1
        logits.append(_logit(base) + ability + sign * bias + float(hard[source][image]))
    wrong = random.random(len(asked)) < _logistic(np.array(logits))
    taken = random.lognormal(math.log(1500), 0.5, len(asked)).round(1)
    return [
        _answer(person, trial, source, shown[trial], truth, bool(wrong[trial]), float(taken[trial]))
        for trial, (source, truth) in enumerate(asked)
    ]


def _answer(
    person: int, trial: int, source: str, image: int, truth: str, wrong: bool, time: float
) -> Answer:
    other = FAKE if truth == REAL else REAL
    return Answer(
        study="simulated",
        protocol=HYPE_INFINITY,
        participant=f"simulated-{person}",
        session="1",
        trial=trial,
        phase=MAIN,
        kind=NORMAL,
        item=f"{source}-{image}",
        item_b="",
        source=source,
        source_b="",
        truth=truth,
        answer=other if wrong else truth,
        correct=not wrong,
        asked_ms=None,
        shown_ms=None,
        response_ms=time,
        answered_at=EARLY,
    )


@lru_cache(maxsize=1)
def _nodes() -> tuple[Floats, Floats]:
    """Of the quadrature over a standard normal variable."""
    x, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return x, weights / weights.sum()


def _logit(p: float) -> float:
    return math.log(p / (1 - p))


def _logistic(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))
