"""Simulated people of known error rates, which the analysis is checked with.

logit P(wrong) = logit(base) + ability of the person + bias of the person + difficulty of the image,
with normal ability, bias and difficulty: people differ, and so do images. The bias is a person's
tendency to answer "real": it has one sign for generated images and the other for real ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ptheta.study.analysis.table import Bools, Floats, Ints, Table
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


@dataclass(frozen=True)
class _Session:
    """What one person was shown, in order, and answered. source: -1 for real images (N,)"""

    source: Ints
    image: Ints
    wrong: Bools
    taken: Floats


def simulate(design: People, seed: int) -> list[Answer]:
    """The answers of simulated people in a study of the protocol hype-infinity."""
    names = [*design.sources, REAL]  # the index -1 is that of the last one
    return [
        _answer(person, trial, names[source], image, wrong, taken)
        for person, one in enumerate(_sessions(design, seed))
        for trial, (source, image, wrong, taken) in enumerate(
            zip(
                one.source.tolist(),
                one.image.tolist(),
                one.wrong.tolist(),
                one.taken.tolist(),
                strict=True,
            )
        )
    ]


def simulate_table(design: People, seed: int) -> Table:
    """`table_of(simulate(design, seed))` without the answers in between, which take most of the
    time. Images have other indices."""
    sessions = list(_sessions(design, seed))
    source = np.concatenate([one.source for one in sessions])
    wrong = np.concatenate([one.wrong for one in sessions])
    fake = source >= 0
    n = [len(one.source) for one in sessions]
    names = np.array([*design.sources, REAL], dtype=object)
    image = np.concatenate([one.image for one in sessions]) + (source + 1) * design.images
    nothing = np.full(len(source), np.nan)
    return Table(
        person=np.repeat(np.arange(len(sessions)), n),
        image=image,
        image_b=None,
        source=names[source],
        source_b=np.array([""] * len(source), dtype=object),
        fake=fake,
        wrong=wrong.astype(np.float64),
        answer=np.where(fake == wrong, REAL, FAKE).astype(object),
        place=np.concatenate([np.arange(k) for k in n]),
        asked=nothing,
        shown=nothing,
        response=np.concatenate([one.taken for one in sessions]),
        people=tuple(f"simulated-{k}" for k in range(len(sessions))),
    )


def _sessions(design: People, seed: int) -> Iterator[_Session]:
    """One person after the other."""
    random = np.random.default_rng(seed)
    count = len(design.sources)
    hard = random.normal(0, design.difficulty, (count + 1, design.images))
    bases = np.array([_logit(p) for p in (*design.sources.values(), design.real)])
    for person in range(design.people):
        seen = np.array([person % count]) if design.between else np.arange(count)
        ability, bias = random.normal(0, design.ability), random.normal(0, design.bias)
        half = design.trials // 2
        source = np.concatenate([np.resize(seen, half), np.full(design.trials - half, -1)])
        source = source[random.permutation(len(source))]
        image = np.zeros(len(source), dtype=np.int64)
        for one in (*seen, -1):  # each image once before any is shown again
            there = np.flatnonzero(source == one)
            image[there] = np.resize(random.permutation(design.images), len(there))
        sign = np.where(source >= 0, 1, -1)
        logit = bases[source] + ability + sign * bias + hard[source, image]
        wrong = random.random(len(source)) < _logistic(logit)
        taken = random.lognormal(math.log(1500), 0.5, len(source)).round(1)
        yield _Session(source, image, wrong, taken)


def _answer(person: int, trial: int, source: str, image: int, wrong: bool, time: float) -> Answer:
    truth, other = (REAL, FAKE) if source == REAL else (FAKE, REAL)
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
