"""Laws of what is computed from answers, one part at a time."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from scipy import stats
from scipy.special import logit

from ptheta.study.analysis.agreement import agreement, kendall
from ptheta.study.analysis.consistency import consistency
from ptheta.study.analysis.estimates import compare
from ptheta.study.analysis.exclusions import Rules, exclude
from ptheta.study.analysis.learning import exposure, learning, slope_of, times
from ptheta.study.analysis.power import Plan, least_people, parts, power
from ptheta.study.analysis.preferences import bounded, fit, preferences
from ptheta.study.analysis.rates import rates
from ptheta.study.analysis.ratings import ratings
from ptheta.study.analysis.simulate import People, simulate
from ptheta.study.analysis.staircase import by_source, reversals, threshold, thresholds
from ptheta.study.analysis.table import Table, table_of
from ptheta.study.files import Answer
from tests.study.answers import hype, pair

RANDOM = np.random.default_rng(1)


# -- learning and times


def test_the_slope_is_that_of_least_squares_with_a_constant_for_each_person():
    table = table_of(simulate(People({"a": 0.3}, people=5, trials=40, images=30), 0))
    assert table.person is not None
    x = table.place / 100
    design = np.column_stack([x, np.eye(5)[table.person]])
    expected = np.linalg.lstsq(design, table.wrong, rcond=None)[0][0]
    assert slope_of(table, x, table.wrong).value == pytest.approx(expected)


def test_people_who_learn_have_fewer_errors_in_the_second_half():
    answers = [
        hype(p, 100 * p + k, bool(RANDOM.random() < 0.6 - 0.4 * k / 100), trial=k)
        for p in range(20)
        for k in range(100)
    ]
    found = learning(table_of(answers))
    assert found is not None
    assert found.slope.interval is not None
    low, high = found.slope.interval
    assert low < -0.4 < high < 0
    assert found.change.value == pytest.approx(found.second.value - found.first.value)
    halves = [
        [bool(a.correct) for a in answers if (a.trial < 50) is first] for first in (True, False)
    ]
    assert found.first.value == pytest.approx(1 - np.mean(halves[0]))
    assert found.second.value == pytest.approx(1 - np.mean(halves[1]))
    assert [one.n for one in found.parts] == [400] * 5


def test_times_are_geometric_means():
    answers = [
        hype(p, k, k % 3 == 0, response_ms=float(time))
        for p in range(4)
        for k, time in enumerate(RANDOM.lognormal(7, 0.5, 30))
    ]
    found = {one.name: one for one in times(table_of(answers))}
    every = [a.response_ms or 0.0 for a in answers]
    assert found["all answers"].typical == pytest.approx(stats.gmean(every))
    assert found["all answers"].quartiles[1] == pytest.approx(np.median(every))
    wrong = [a.response_ms for a in answers if not a.correct]
    assert found["wrong answers"].typical == pytest.approx(stats.gmean(wrong))


def test_exposure_is_compared_with_what_was_asked():
    more = {"protocol": "hype-time", "asked_ms": 500.0}
    shown = [500.0, 510.0, 490.0, 540.0]
    answers = [hype(0, k, False, shown_ms=ms, **more) for k, ms in enumerate(shown)]
    found = exposure(table_of([*answers, hype(0, 9, False, **more)]))
    assert found is not None
    assert (found.n, found.median, found.largest, found.within) == (4, 10.0, 40.0, 0.75)


# -- consistency and exclusions


def asked_twice(first: list[bool], second: list[bool]) -> list[Answer]:
    once = [hype(0, k, wrong, trial=k) for k, wrong in enumerate(first)]
    again = [hype(0, k, wrong, trial=100 + k, kind="repeat") for k, wrong in enumerate(second)]
    return [*once, *again]


def test_kappa_is_agreement_beyond_chance():
    first = [True] * 6 + [False] * 4
    second = [True] * 4 + [False] * 4 + [True] * 2
    found = consistency(asked_twice(first, second))
    assert found is not None
    assert found.same.value == pytest.approx(0.6)
    assert found.chance == pytest.approx(0.6 * 0.6 + 0.4 * 0.4)
    assert found.kappa == pytest.approx((0.6 - 0.52) / 0.48)
    assert consistency(asked_twice(first, [])) is None


def test_every_rule_excludes_whom_it_is_about():
    good = [hype(0, k, False, trial=k) for k in range(20)]
    failed = [hype(1, k, k < 5, trial=k, phase="qualification") for k in range(10)]
    asleep = [hype(2, k, k < 3, trial=k, kind="attention") for k in range(4)]
    short = [hype(3, 0, False)]
    fast = [hype(4, k, False, trial=k, response_ms=50.0) for k in range(20)]
    random = [replace(a, participant="p5") for a in asked_twice([True] * 4, [False] * 4)]
    people = [*good, *failed, *asleep, *short, *fast, *random]
    rules = {
        "qualification": (Rules(qualification=0.65), "p1", 0.5),
        "attention": (Rules(attention=0.75), "p2", 0.25),
        "response": (Rules(response=200), "p4", 50.0),
        "consistency": (Rules(consistency=0.5), "p5", 0.0),
    }
    for rule, (given, person, reached) in rules.items():
        kept, excluded = exclude(people, given)
        assert [(e.person, e.rule, e.reached) for e in excluded] == [(person, rule, reached)]
        assert {a.participant for a in kept} == {f"p{k}" for k in range(6)} - {person}
    _, excluded = exclude(people, Rules(trials=10))
    assert [(e.person, e.reached) for e in excluded] == [
        ("p1", 0.0),
        ("p2", 0.0),
        ("p3", 1.0),
        ("p5", 4.0),
    ]
    assert exclude(people, Rules()) == (people, [])


# -- HYPE-time


def test_reversals_are_where_a_staircase_turns():
    asked = [500.0, 490, 480, 510, 500, 490, 480, 510, 510, 540, 530]
    assert reversals(asked) == [480, 510, 480, 540]
    assert threshold(asked) == pytest.approx((480 + 510 + 480 + 540) / 4)
    assert threshold(asked, last=2) is None  # too few
    assert threshold([500, 490, 480]) is None
    assert reversals([]) == []


def test_an_odd_number_of_reversals_leaves_the_first_out():
    asked = [500.0, 480, 510, 480, 510, 480, 530]
    assert reversals(asked) == [480, 510, 480, 510, 480]
    assert threshold(asked) == pytest.approx((510 + 480 + 510 + 480) / 4)


def staircase(person: int, middle: float, source: str) -> list[Answer]:
    """A person who is right with probability 1/2 + 1/2 logistic((t - middle) / 60): 75 % at the
    middle."""
    asked, found = 500.0, []
    for trial in range(150):
        right = bool(RANDOM.random() < 0.5 + 0.5 / (1 + np.exp(-(asked - middle) / 60)))
        fake = trial % 2 == 0
        found.append(
            hype(
                person,
                trial,
                not right,
                trial=trial,
                protocol="hype-time",
                source=source if fake else "real",
                truth="fake" if fake else "real",
                answer="fake" if fake == right else "real",
                asked_ms=asked,
                shown_ms=asked,
            )
        )
        asked = min(1000, max(100, asked + (-10 if right else 30)))
    return found


def test_a_staircase_finds_the_exposure_of_75_percent():
    answers = []
    for person in range(40):
        source, middle = ("a", 300) if person % 2 else ("b", 600)
        answers += staircase(person, RANDOM.normal(middle, 30), source)
    found = thresholds(answers)
    means, differences = by_source(found)
    assert [(m.source, m.people) for m in means] == [("a", 20), ("b", 20)]
    for mean, middle in zip(means, (300, 600), strict=True):
        assert mean.ms is not None
        own = [t.ms for t in found if t.source == mean.source and t.ms]
        assert mean.ms.value == pytest.approx(np.mean(own))
        assert mean.ms.value == pytest.approx(middle, abs=40)
        low, high = stats.t.interval(0.95, 19, np.mean(own), stats.sem(own))
        assert mean.ms.interval == pytest.approx((low, high), rel=1e-6)
    assert differences[0].apart
    a, b = ([t.ms for t in found if t.source == s and t.ms] for s in "ab")
    welch = stats.ttest_ind(a, b, equal_var=False)
    assert differences[0].difference.error == pytest.approx(
        abs(np.mean(a) - np.mean(b)) / abs(welch.statistic)
    )


# -- preferences and ratings


def played(wins: dict[tuple[str, str], tuple[int, int]]) -> list[Answer]:
    """Independent answers: (times a is preferred, times b is), each of its own person and images"""
    found: list[Answer] = []
    for (a, b), (left, right) in wins.items():
        for k in range(left + right):
            n = len(found)
            one, other = (a, b) if k % 2 else (b, a)
            found.append(pair(n, one, other, (k < left) == (one == a), (n, n)))
    return found


def test_two_sources_have_the_log_odds_of_their_wins():
    found = preferences(table_of(played({("a", "b"): (70, 30)})))
    assert found is not None
    one, other = found.strengths
    assert one.name == "a"
    assert one.share == pytest.approx(0.7)
    difference = found.comparisons[0].difference
    assert one.strength.value - other.strength.value == pytest.approx(logit(0.7))
    assert difference.value == pytest.approx(logit(0.7))
    assert difference.variance == pytest.approx(1 / (100 * 0.7 * 0.3), rel=0.02)
    assert not found.smoothed


def test_strengths_are_the_most_likely_ones():
    wins = np.array([[0, 12, 20, 9], [8, 0, 14, 11], [5, 6, 0, 10], [7, 3, 4, 0]], dtype=float)
    s, _ = fit(wins)
    p = np.ones(4)  # Hunter 2004: minorisation and maximisation
    games = wins + wins.T
    for _ in range(5000):
        p = wins.sum(1) / (games / (p[:, None] + p[None, :])).sum(1)
        p /= p.sum()
    assert s == pytest.approx(np.log(p) - np.log(p).mean(), abs=1e-8)
    assert s.sum() == pytest.approx(0)


def test_strengths_are_bounded_where_wins_lead_from_each_to_each():
    assert bounded(np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], dtype=float))
    assert not bounded(np.array([[0, 1, 1], [0, 0, 1], [0, 1, 0]], dtype=float))
    found = preferences(table_of(played({("a", "b"): (20, 0)})))
    assert found is not None
    assert found.smoothed
    assert found.comparisons[0].difference.value == pytest.approx(logit(20.5 / 21))


def test_ratings_are_means_with_counts():
    answers = [
        hype(
            p,
            k,
            False,
            protocol="rating",
            source=source,
            truth="",
            correct=None,
            answer=str(int(np.clip(RANDOM.integers(1, 4) + (source == "a"), 1, 5))),
        )
        for p in range(12)
        for k in range(15)
        for source in ("a", "b")
    ]
    found, differences = ratings(table_of(answers))
    assert [one.name for one in found] == ["a", "b"]
    for one in found:
        own = [int(a.answer) for a in answers if a.source == one.name]
        assert one.mean.value == pytest.approx(np.mean(own))
        assert one.counts == tuple(own.count(k) for k in range(1, 6))
    assert differences[0].apart


# -- 2afc


def test_a_choice_is_wrong_where_the_generated_image_is_taken():
    answers = []
    for k in range(400):
        wrong, left = bool(RANDOM.random() < 0.3), k % 2 == 0
        truth, other = ("left", "right") if left else ("right", "left")
        answers.append(
            pair(
                k % 10,
                "real" if left else "gan",
                "gan" if left else "real",
                True,
                (k, k),
                protocol="2afc",
                truth=truth,
                answer=other if wrong else truth,
                correct=not wrong,
            )
        )
    (found,) = rates(table_of(answers))
    assert found.name == "gan"
    assert found.real is None
    assert found.both.value == pytest.approx(1 - np.mean([a.correct for a in answers]))
    assert (found.n_people, found.n_images) == (10, 800)


# -- agreement with metrics


def test_agreement_is_kendalls_and_spearmans():
    names = list("abcdef")
    human = dict(zip(names, RANDOM.random(6), strict=True))
    metric = dict(zip(names, RANDOM.integers(0, 4, 6).astype(float), strict=True))
    found = agreement("fd", "lower", metric, human, [])
    assert found is not None
    x, y = list(human.values()), [-v for v in metric.values()]
    assert found.tau == pytest.approx(stats.kendalltau(x, y).statistic)
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)
    orders = [abs(kendall(np.array(x), np.array(o))) for o in permutations(y)]
    assert found.p == pytest.approx(np.mean(np.array(orders) >= abs(found.tau) - 1e-9))


def test_three_sources_in_order_have_a_p_of_a_third():
    human = {"a": 0.1, "b": 0.2, "c": 0.3}
    found = agreement("fd", "lower", {"a": 3.0, "b": 2.0, "c": 1.0}, human, [])
    assert found is not None
    assert (found.tau, found.rho) == (1, 1)
    assert found.p == pytest.approx(1 / 3)
    assert agreement("fd", "lower", {"a": 3.0, "b": 2.0}, human, []) is None


def test_pairs_that_people_tell_apart_are_counted():
    table = table_of(simulate(People({"a": 0.05, "b": 0.07, "c": 0.5}, people=30), 0))
    found = rates(table)
    comparisons = compare([(r.name, r.both) for r in found])
    human = {r.name: r.both.value for r in found}
    metric = {"a": 1.0, "b": 30.0, "c": 20.0}  # c before b, as people see it, and after a
    one = agreement("fd", "lower", metric, human, comparisons)
    assert one is not None
    assert (one.told, one.same) == (2, 1)


# -- power


def test_without_deviations_power_is_that_of_two_proportions():
    plan = Plan(trials=100, images=50, person=0.0, image=0.0)
    first, second, n = 0.25, 0.30, 20
    variance = (first * (1 - first) + second * (1 - second)) / (n / 2 * 100)
    assert parts(plan, first, second, n).whole == pytest.approx(variance)
    t = stats.t.ppf(0.975, parts(plan, first, second, n).freedom)
    shift = abs(first - second) / np.sqrt(variance)
    expected = stats.nct.sf(t, parts(plan, first, second, n).freedom, shift)
    assert power(plan, first, second, n) == pytest.approx(expected, abs=1e-4)
    many = power(plan, first, second, 10 * n)
    assert many == pytest.approx(stats.norm.sf(1.96 - shift * np.sqrt(10)), abs=0.01)


def test_the_fewest_people_reach_the_power_and_one_fewer_do_not():
    for plan in (Plan(), Plan(between=False, images=100)):
        n = least_people(plan, 0.25, 0.35)
        assert n is not None
        step = plan.sources if plan.between else 1
        assert n % step == 0
        assert power(plan, 0.25, 0.35, n) >= 0.8 > power(plan, 0.25, 0.35, n - step)
    assert least_people(Plan(images=3), 0.25, 0.26) is None  # no number of people is enough


def test_power_grows_with_people_and_with_images():
    plan = Plan()
    by_people = [power(plan, 0.25, 0.3, n) for n in (4, 8, 16, 32, 64)]
    assert by_people == sorted(by_people)
    assert power(replace(plan, images=200), 0.25, 0.3, 40) > by_people[-2]
    assert power(plan, 0.3, 0.3 + 1e-9, 40) == pytest.approx(0.05, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("between", [True, False])
def test_power_is_the_share_of_simulated_studies_that_find_the_difference(between: bool):
    n, trials, images = 24, 60, 40
    design = People(
        {"a": 0.15, "b": 0.3},
        people=n,
        trials=trials,
        images=images,
        ability=0.2,
        bias=0.2,
        difficulty=0.6,
        between=between,
    )
    found, people, image = [], [], []
    for seed in range(200):
        of = rates(table_of(simulate(design, seed)))
        found.append(compare([(r.name, r.both) for r in of])[0].p)
        people += [r.people.true_variance for r in of if r.people]
        image += [r.images.true_variance for r in of if r.images]
    plan = Plan(
        trials=trials,
        images=images,
        between=between,
        person=float(np.sqrt(np.mean(people))),
        image=float(np.sqrt(np.mean(image))),
    )
    simulated = float(np.mean([p < 0.05 for p in found if p is not None]))
    planned = power(plan, design.score("a"), design.score("b"), n)
    assert planned == pytest.approx(simulated, abs=0.12)


def compared_pairs(random: np.random.Generator, people=20, images=30, trials=60) -> Table:
    """Answers to pairs of three sources, where people and images vary."""
    quality = np.array([0.0, 0.4, 0.8])
    image = random.normal(0, 0.8, (3, images))
    taste = random.normal(0, 0.3, (people, 3))
    n = people * trials
    person = np.repeat(np.arange(people), trials)
    first = random.integers(0, 3, n)
    second = (first + random.integers(1, 3, n)) % 3
    x, y = random.integers(0, images, (2, n))
    value = [quality[s] + taste[person, s] + image[s, i] for s, i in ((first, x), (second, y))]
    left = random.random(n) < 1 / (1 + np.exp(value[1] - value[0]))
    names, nothing = np.array(["a", "b", "c"], dtype=object), np.full(n, np.nan)
    return Table(
        person=person,
        image=first * images + x,
        image_b=second * images + y,
        source=names[first],
        source_b=names[second],
        fake=np.zeros(n, dtype=bool),
        wrong=nothing,
        answer=np.where(left, "left", "right").astype(object),
        place=np.arange(n),
        asked=nothing,
        shown=nothing,
        response=nothing,
    )


@pytest.mark.slow
def test_intervals_of_strengths_cover():
    """Of the difference of two strengths, around their mean over many studies."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(400):
        chosen = preferences(compared_pairs(random))
        assert chosen is not None
        found.append(chosen.comparisons[1].difference)
    middle = float(np.mean([one.value for one in found]))
    held = [one.interval[0] <= middle <= one.interval[1] for one in found if one.interval]
    assert 0.92 <= np.mean(held) <= 0.98
