"""Laws of the intervals over people and images."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats
from scipy.stats import binomtest

from ptheta.study.analysis.estimates import (
    Estimate,
    compare,
    from_influence,
    holm,
    mean,
    quantile,
    wilson,
)
from ptheta.study.analysis.rates import rates
from ptheta.study.analysis.simulate import People, simulate, simulate_table
from ptheta.study.analysis.table import Table, table_of
from ptheta.study.files import Answer
from tests.study.answers import crossed, hype, pair

RANDOM = np.random.default_rng(0)


def everything(table: Table) -> Estimate:
    return mean(table, np.ones(len(table), dtype=bool), table.wrong)


def test_independent_answers_have_the_binomial_variance():
    wrong = RANDOM.random(200) < 0.3
    table = table_of([hype(k, k, bool(w)) for k, w in enumerate(wrong)])
    found, p = everything(table), wrong.mean()
    assert found.variance == pytest.approx(p * (1 - p) / 199)
    z = quantile(found.freedom)
    level = 2 * stats.norm.cdf(z) - 1
    exact = binomtest(int(wrong.sum()), 200).proportion_ci(level, method="wilson")
    # m = n - 1 where the variance is unbiased
    assert found.interval == pytest.approx((exact.low, exact.high), abs=1e-3)
    assert wilson(p, p * (1 - p) / 200, 200, z) == pytest.approx((exact.low, exact.high))


def test_everybody_on_every_image_has_the_variance_of_crossed_effects():
    wrong = RANDOM.random((12, 30)) < RANDOM.random((12, 1)) * RANDOM.random(30)
    found, p = everything(crossed(wrong)), wrong.mean()
    of_people = wrong.mean(1).var(ddof=1) / 12
    of_images = wrong.mean(0).var(ddof=1) / 30
    assert found.value == pytest.approx(p)
    both = p * (1 - p) / (12 * 30 - 1)
    effects = max(0, of_people - both) / 29 + max(0, of_images - both) / 11
    assert found.variance == pytest.approx(of_people + of_images - both + effects)


def test_the_variance_is_that_of_the_analysis_of_variance():
    """Everybody on every image: the mean squares of people and of images less that of the rest."""
    people, images = 25, 40
    error = RANDOM.normal(0, 0.6, (people, 1)) + RANDOM.normal(0, 0.8, images) - 1
    wrong = (RANDOM.random((people, images)) < 1 / (1 + np.exp(-error))).astype(float)
    a, b = wrong.mean(1, keepdims=True), wrong.mean(0, keepdims=True)
    rest = ((wrong - a - b + wrong.mean()) ** 2).sum() / (people - 1) / (images - 1)
    expected = a.var(ddof=1) / people + b.var(ddof=1) / images - rest / (people * images)
    assert everything(crossed(wrong)).variance == pytest.approx(expected, rel=2e-3)


def test_without_effect_of_images_only_people_count():
    """All images alike for each person: the variance is that of the means of people."""
    wrong = np.repeat(RANDOM.random((10, 1)) < 0.5, 40, axis=1)
    found = everything(crossed(wrong))
    rate = wrong.mean(1)
    assert found.variance == pytest.approx(rate.var(ddof=1) / 10, rel=0.03)


def test_groupings_say_which_answers_share_a_person_or_an_image():
    """Inclusion and exclusion, against all pairs of answers."""
    sources = ["a", "b", "c"]
    answers: list[Answer] = []
    for person, (a, b) in product(range(4), [("a", "b"), ("b", "c"), ("c", "a")]):
        for _ in range(3):
            images = tuple(int(k) for k in RANDOM.integers(0, 3, 2))
            trial = len(answers)
            answers.append(pair(person, a, b, True, images, trial=trial))
    one = [hype(p, i, False, source=s) for p, i, s in product(range(3), range(3), sources)]
    for some in (answers, one):
        table = table_of(some)
        total = np.zeros((len(some), len(some)))
        for g in table.groupings():
            member = np.zeros((len(some), g.count))
            for column in g.columns:
                member[np.arange(len(some)), column] += 1
            total += g.sign * member @ member.T
        shown = [{(x.source, x.item), (x.source_b, x.item_b)} - {("", "")} for x in some]
        expected = [
            [
                x.participant == y.participant or bool(s & t)
                for y, t in zip(some, shown, strict=True)
            ]
            for x, s in zip(some, shown, strict=True)
        ]
        assert np.array_equal(total, np.array(expected, dtype=float))


def test_the_variance_is_that_of_resampled_people_and_images():
    wrong = RANDOM.random((25, 40)) < RANDOM.uniform(0.1, 0.6, (25, 1)) * RANDOM.uniform(0, 1, 40)
    found = everything(crossed(wrong))
    n = 20_000
    people = wrong.mean(1)[RANDOM.integers(0, 25, (n, 25))].mean(1).var()
    images = wrong.mean(0)[RANDOM.integers(0, 40, (n, 40))].mean(1).var()
    both = RANDOM.binomial(wrong.size, wrong.mean(), n).var() / wrong.size**2
    assert found.variance == pytest.approx(people + images - both, rel=0.1)


def test_a_difference_of_the_same_people_leaves_them_out():
    """People differ alike on both sources: the variance of the difference knows no people."""
    answers = []
    for person in range(20):
        for image in range(20):
            wrong = person % 2 == 0
            answers.append(hype(person, image, wrong, source="a"))
            answers.append(hype(person, image, wrong, source="b"))
    table = table_of(answers)
    a, b = (r.both for r in rates(table))
    assert a.error > 0.1
    assert (a - b).value == 0
    assert (a - b).error < 0.03


def test_an_influence_gives_what_a_mean_gives():
    table = table_of(simulate(People({"a": 0.3}, people=8, trials=40, images=20), 0))
    mask = np.ones(len(table), dtype=bool)
    direct = mean(table, mask, table.wrong)
    influence = (table.wrong - table.wrong.mean()) / len(table)
    other = from_influence(table, float(table.wrong.mean()), influence, len(table))
    assert other.variance == pytest.approx(direct.variance, rel=0.02)


@pytest.mark.parametrize("wrong", [True, False])
def test_answers_that_are_all_equal_have_an_interval(wrong: bool):
    found = everything(crossed(np.full((5, 10), wrong)))
    assert found.interval is not None
    low, high = found.interval
    near, far = (1 - high, 1 - low) if wrong else (low, high)
    assert near == pytest.approx(0, abs=1e-12)
    assert 0.02 < far < 0.3


def test_one_person_or_one_image_gives_no_interval():
    assert everything(crossed(RANDOM.random((1, 20)) < 0.5)).interval is None
    assert everything(crossed(RANDOM.random((20, 1)) < 0.5)).interval is None


def test_rates_are_shares_of_wrong_answers():
    answers = simulate(People({"a": 0.2, "b": 0.4}, people=6, trials=40), 1)
    for found in rates(table_of(answers)):
        fake = [not a.correct for a in answers if a.source == found.name]
        real = [not a.correct for a in answers if a.source == "real"]
        assert found.real is not None
        assert found.fake.value == pytest.approx(np.mean(fake))
        assert found.real.value == pytest.approx(np.mean(real))
        assert found.both.value == pytest.approx((np.mean(fake) + np.mean(real)) / 2)
        assert (found.n_people, found.fake.n, found.real.n) == (6, len(fake), len(real))


def test_real_images_count_for_the_people_who_saw_the_source():
    answers = simulate(People({"a": 0.2, "b": 0.4}, people=6, trials=40, between=True), 1)
    for k, found in enumerate(rates(table_of(answers))):
        mine = [a for a in answers if int(a.participant.split("-")[1]) % 2 == k]
        real = [not a.correct for a in mine if a.source == "real"]
        assert found.real is not None
        assert found.real.value == pytest.approx(np.mean(real))
        assert found.both.value == pytest.approx(np.mean([not a.correct for a in mine]))
        assert found.n_people == 3


def test_the_spread_over_people_leaves_out_chance():
    wrong = RANDOM.random((200, 50)) < 0.3
    spread = rates(crossed(wrong))[0].people
    assert spread is not None
    assert spread.binomial == pytest.approx(np.sqrt(0.3 * 0.7 / 50), rel=0.05)
    assert spread.observed == pytest.approx(spread.binomial, rel=0.2)
    rate = RANDOM.choice([0.1, 0.5], (200, 1))
    mixed = rates(crossed(RANDOM.random((200, 50)) < rate))[0].people
    assert mixed is not None
    assert mixed.true == pytest.approx(0.2, rel=0.1)


def test_holm_is_the_step_down_procedure():
    values = [0.01, 0.04, 0.03, 0.005]
    assert holm(values) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])


def test_comparisons_are_of_all_pairs():
    table = table_of(simulate(People({"a": 0.1, "b": 0.1, "c": 0.45}, people=30), 2))
    found = compare([(r.name, r.both) for r in rates(table)])
    assert [(c.a, c.b) for c in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [c.apart for c in found] == [False, True, True]
    assert [c.adjusted for c in found] == pytest.approx(holm([c.p for c in found if c.p]))


@pytest.mark.parametrize("between", [True, False])
def test_a_simulated_table_is_that_of_the_simulated_answers(between: bool):
    design = People({"a": 0.2, "b": 0.35}, people=6, trials=30, images=9, between=between)
    answers, direct = rates(table_of(simulate(design, 3))), rates(simulate_table(design, 3))
    for one, other in zip(answers, direct, strict=True):
        assert one.both.value == pytest.approx(other.both.value)
        assert one.both.interval == pytest.approx(other.both.interval)
        assert (one.n_people, one.n_images) == (other.n_people, other.n_images)


def covered(design: People, seeds: range) -> float:
    """The share of intervals of the score that hold the truth."""
    hits = []
    for seed in seeds:
        for found in rates(simulate_table(design, seed)):
            assert found.both.interval is not None
            low, high = found.both.interval
            hits.append(low <= design.score(found.name) <= high)
    return float(np.mean(hits))


@pytest.mark.slow
@pytest.mark.parametrize("between", [True, False])
def test_intervals_cover(between: bool):
    design = People({"a": 0.2, "b": 0.35}, people=20, trials=60, images=30, between=between)
    assert 0.93 <= covered(design, range(1000)) <= 0.97
