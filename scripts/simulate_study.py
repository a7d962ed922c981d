"""Answers of simulated people to a study of hype-infinity, as an example of a report.

    ptheta study new gan=example:gan vae=example:vae pixelcnn=example:pixelcnn \\
        --protocol hype-infinity --design within --trials 120 --seed 0 --out FOLDER
    python -m scripts.simulate_study FOLDER --people 30

Simulated people answer the questions of the plan in the order of a real person. An average person
takes an average image of a source for real with the probability in `SOURCES`; people, images and
their wish to say "real" vary as in `ptheta.study.analysis.simulate`. Every tenth person answers by
chance and so fails the qualification or the attention checks. The answers, in FOLDER/answers.csv,
are those of people named simulated-0, simulated-1, ...: nobody can take them for those of people.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

from ptheta.study.analysis.simulate import EARLY
from ptheta.study.files import (
    ANSWERS_FILE,
    FAKE,
    HYPE_INFINITY,
    QUALIFICATION,
    REAL,
    REPEAT,
    STUDY_FILE,
    Answer,
    read_study,
    write_answers,
)
from ptheta.study.order import Trial, trials_of
from ptheta.study.plan import DEGRADED, NOISE, read_plan

SOURCES = {"gan": 0.3, "vae": 0.12, "pixelcnn": 0.22}  # assumed, not measured
OTHER, EASY = 0.25, {NOISE: 0.02, DEGRADED: 0.05}
ABILITY, BIAS, DIFFICULTY = 0.3, 0.3, 0.8  # deviations of the logit
EVERY = 10  # one of so many people answers by chance
TYPICAL_MS, SPREAD = 1500.0, 0.5
SAME = 0.85  # of repeated questions are answered as before


def person(
    number: int, trials: list[Trial], hard: dict[str, float], random: np.random.Generator, name: str
) -> list[Answer]:
    """The answers of one simulated person to all questions. hard: logit of each image, extended"""
    ability, bias = random.normal(0, ABILITY), random.normal(0, BIAS)
    given: dict[str, str] = {}
    found: list[Answer] = []
    right = asked = 0
    for place, trial in enumerate(trials):
        if trial.phase != QUALIFICATION and asked and right < 0.65 * asked:
            break  # the study ends for people who fail the qualification
        base = EASY.get(trial.source, SOURCES.get(trial.source, OTHER))
        sign = 1 if trial.truth == FAKE else -1
        effect = hard.setdefault(trial.item, random.normal(0, DIFFICULTY))
        logit = math.log(base / (1 - base)) + ability + sign * bias + effect
        wrong = random.random() < (
            0.5 if number % EVERY == EVERY - 1 else 1 / (1 + math.exp(-logit))
        )
        other = FAKE if trial.truth == REAL else REAL
        said = other if wrong else trial.truth
        if trial.kind == REPEAT and random.random() < SAME:
            said = given.get(trial.item, said)
        given.setdefault(trial.item, said)
        if trial.phase == QUALIFICATION:
            asked, right = asked + 1, right + (said == trial.truth)
        found.append(answer_of(number, place, trial, said, random, name))
    return found


def answer_of(
    number: int, place: int, trial: Trial, said: str, random: np.random.Generator, name: str
) -> Answer:
    """A line of answers.csv."""
    return Answer(
        study=name,
        protocol=HYPE_INFINITY,
        participant=f"simulated-{number}",
        session="1",
        trial=place,
        phase=trial.phase,
        kind=trial.kind,
        item=trial.item,
        item_b="",
        source=trial.source,
        source_b="",
        truth=trial.truth,
        answer=said,
        correct=said == trial.truth,
        asked_ms=None,
        shown_ms=None,
        response_ms=round(float(np.exp(random.normal(math.log(TYPICAL_MS), SPREAD))), 1),
        answered_at=EARLY,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    plan, study = read_plan(given.folder), read_study(given.folder / STUDY_FILE)
    assert plan.protocol == HYPE_INFINITY, plan.protocol
    random = np.random.default_rng(given.seed)
    hard: dict[str, float] = {}
    found: list[Answer] = []
    for number in range(given.people):
        source = plan.models[number % len(plan.models)]
        found += person(number, trials_of(plan, number, source), hard, random, study.name)
    write_answers(given.folder / ANSWERS_FILE, found)
    print(
        f"{given.folder / ANSWERS_FILE}: {len(found):,} answers of {given.people} simulated people"
    )


if __name__ == "__main__":
    main()
