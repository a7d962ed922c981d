"""What a person is asked: counts, balance, repeats, and that it is a function of the seed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from ptheta.study.files import ATTENTION, FAKE, MAIN, NORMAL, PRACTICE, QUALIFICATION, REAL, REPEAT
from ptheta.study.order import NEAREST_REPEAT, trials_of
from ptheta.study.plan import DEGRADED, NOISE, USUAL, Item, Plan, Timing
from ptheta.study.staircase import exposure

SOURCES = ("one", "two", "three", REAL)


def plan_of(protocol: Any, design: Any = "within", **options: Any) -> Plan:
    uses: dict[Any, int] = {"main": 60, "practice": 12, "example": 2}
    items = [
        Item(id=f"{len(source):02}{i:06x}{ord(source[1]):04x}", source=source, use=use)
        for source in SOURCES
        for use, n in uses.items()
        for i in (range(n) if use == "main" else range(100 * len(use), 100 * len(use) + n))
    ]
    for source in (REAL, DEGRADED):
        items += [
            Item(id=f"{i + 5000:06x}{ord(source[0]):04x}", source=source, use="qualification")
            for i in range(10)
        ]
    items += [Item(id=f"{i + 9000:08x}", source=NOISE, use="attention") for i in range(4)]
    values = {"trials": 60, "practice": 6, "attention": 4, "repeats": 6, **options}
    given: dict[str, Any] = {"qualification": 10 if USUAL[protocol].reference else 0, **values}
    return Plan(
        format=1,
        protocol=protocol,
        sources=list(SOURCES),
        design=design,
        width=8,
        height=8,
        items=items,
        **given,
    )


def main_of(trials, kind=NORMAL):
    return [trial for trial in trials if (trial.phase, trial.kind) == (MAIN, kind)]


@pytest.mark.parametrize("protocol", USUAL)
def test_counts_phases_and_that_images_of_practice_are_not_asked_again(protocol):
    plan = plan_of(protocol)
    trials = trials_of(plan, 1, "")
    phases = [trial.phase for trial in trials]
    wanted = {PRACTICE: 6, QUALIFICATION: plan.qualification, MAIN: 70}
    assert Counter(phases) == Counter({phase: n for phase, n in wanted.items() if n})
    assert sorted(phases, key=[PRACTICE, QUALIFICATION, MAIN].index) == phases
    assert len(main_of(trials, ATTENTION)) == 4
    assert len(main_of(trials, REPEAT)) == 6
    practised = {i for t in trials if t.phase == PRACTICE for i in (t.item, t.item_b) if i}
    asked = {i for t in trials if t.phase == MAIN for i in (t.item, t.item_b) if i}
    assert not practised & asked


@pytest.mark.parametrize("protocol", USUAL)
def test_the_order_is_a_function_of_seed_and_person(protocol):
    plan = plan_of(protocol)
    assert trials_of(plan, 1, "") == trials_of(plan, 1, "")
    assert trials_of(plan, 1, "") != trials_of(plan, 2, "")
    assert trials_of(plan, 1, "") != trials_of(plan_of(protocol, seed=1), 1, "")


@pytest.mark.parametrize("protocol", ["hype-infinity", "hype-time"])
def test_half_of_the_images_are_real_and_each_source_has_its_share(protocol):
    normal = main_of(trials_of(plan_of(protocol), 3, ""))
    assert Counter(t.truth for t in normal) == {REAL: 30, FAKE: 30}
    assert Counter(t.source for t in normal) == {REAL: 30, "one": 10, "two": 10, "three": 10}
    assert len({t.item for t in normal}) == 60


def test_between_each_person_sees_one_source():
    normal = main_of(trials_of(plan_of("hype-infinity", "between"), 3, "two"))
    assert Counter(t.source for t in normal) == {REAL: 30, "two": 30}


def test_two_alternatives_have_one_real_image_as_often_left_as_right():
    sides, runs = Counter[tuple[str, str]](), Counter[str]()
    for person in range(40):
        for t in main_of(trials_of(plan_of("2afc"), person, "")):
            assert {t.source, t.source_b} - {"one", "two", "three"} == {REAL}
            assert t.truth == ("left" if t.source == REAL else "right")
            sides[t.source, t.source_b] += 1
            runs[t.truth] += 1
    assert runs == {"left": 1200, "right": 1200}
    for name in ("one", "two", "three"):
        assert sides[REAL, name] == sides[name, REAL]


def test_pairs_compare_all_sources_equally_often_on_both_sides():
    couples, left = Counter[frozenset[str]](), Counter[str]()
    for person in range(40):
        for t in main_of(trials_of(plan_of("pairs"), person, "")):
            assert not t.truth
            couples[frozenset((t.source, t.source_b))] += 1
            left[t.source] += 1
    assert set(couples.values()) == {400}
    assert set(left.values()) == {600}


def test_a_rating_asks_for_all_sources_equally_often():
    normal = main_of(trials_of(plan_of("rating"), 0, ""))
    assert Counter(t.source for t in normal) == dict.fromkeys(SOURCES, 15)


@pytest.mark.parametrize("protocol", USUAL)
def test_repeats_come_well_after_what_they_repeat(protocol):
    for person in range(20):
        main = [t for t in trials_of(plan_of(protocol), person, "") if t.phase == MAIN]
        for place, t in enumerate(main):
            if t.kind == REPEAT:
                same = (t.item, t.item_b)
                first = next(i for i, one in enumerate(main) if (one.item, one.item_b) == same)
                assert main[first].kind == NORMAL
                assert place - first > NEAREST_REPEAT


def test_attention_checks_are_spread_over_the_main_part():
    main = [t for t in trials_of(plan_of("hype-infinity"), 5, "") if t.phase == MAIN]
    places = [i for i, t in enumerate(main) if t.kind == ATTENTION]
    assert all(b - a > 1 for a, b in pairwise(places))
    assert all(part * 16 <= place <= (part + 1) * 19 for part, place in enumerate(places))


def test_truth_cannot_be_learnt_from_the_place_of_a_trial():
    """At each place of the main part the image is real for about half of the people."""
    n = 300
    real = np.zeros(70)
    for person in range(n):
        main = [t for t in trials_of(plan_of("hype-infinity"), person, "") if t.phase == MAIN]
        real += [t.truth == REAL for t in main]
    share = real.sum() / (70 * n)
    assert abs(real / n - share).max() < 4.5 * (share * (1 - share) / n) ** 0.5


def test_the_staircase_follows_its_rule_within_its_bounds():
    timing = Timing()
    assert exposure(timing, []) == 500
    assert exposure(timing, [True, True, False]) == 510
    assert exposure(timing, [True] * 100) == 100
    assert exposure(timing, [False] * 100) == 1000
    assert exposure(timing, [True] * 100 + [False]) == 130


def test_the_staircase_settles_where_three_quarters_are_right():
    """A person whose share of right answers grows with the exposure t as 1/2 + t/1600."""
    random, timing = np.random.default_rng(0), Timing()
    answers, asked = list[bool](), list[int]()
    at = timing.start_ms
    for _ in range(4000):
        asked.append(at)
        answers.append(bool(random.random() < 0.5 + at / 1600))
        at = exposure(timing.model_copy(update={"start_ms": at}), answers[-1:])
    assert abs(np.mean(answers[500:]) - 0.75) < 0.01
    assert abs(np.mean(asked[500:]) - 400) < 20
