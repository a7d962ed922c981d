"""Every number of a report against a formula of its own, written without the package."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import chain, combinations

import numpy as np
import pytest
from scipy import optimize, stats

from ptheta.study.analysis.agreement import agreement
from ptheta.study.analysis.analyse import analyse
from ptheta.study.analysis.estimates import holm, mean, wilson
from ptheta.study.analysis.power import Plan, parts
from ptheta.study.analysis.preferences import preferences
from ptheta.study.analysis.staircase import Threshold, by_source, threshold
from ptheta.study.analysis.table import table_of
from ptheta.study.plan import Timing
from ptheta.study.staircase import exposure
from tests.study.answers import hype, pair


def answered(seed: int, people: int = 12, trials: int = 40):
    """People who each see one of two sources and real images, with any number of errors."""
    random = np.random.default_rng(seed)
    found = []
    for p in range(people):
        name = ("gan", "vae")[p % 2]
        for k in range(trials):
            real = random.random() < 0.5
            wrong = bool(random.random() < (0.2, 0.35)[p % 2])
            truth, answer = ("real", "fake") if real else ("fake", "real")
            answer = answer if wrong else truth
            more = {"truth": truth, "answer": answer, "source": "real" if real else name}
            image = int(random.integers(15))
            found.append(hype(p, image, wrong, trial=k, session=f"s{p}", **more))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_error_rates_are_counts(seed):
    made = answered(seed)
    for one in analyse(made).rates:
        saw = {a.participant for a in made if a.source == one.name}
        fake = [a.answer == "real" for a in made if a.source == one.name]
        real = [a.answer == "fake" for a in made if a.source == "real" and a.participant in saw]
        assert one.fake.value == pytest.approx(sum(fake) / len(fake))
        assert one.real is not None
        assert one.real.value == pytest.approx(sum(real) / len(real))
        assert one.both.value == pytest.approx((one.fake.value + one.real.value) / 2)


def test_the_variance_of_two_images_is_the_sum_over_answers_that_share_one():
    """V = sum of u_k u_l over all pairs of answers that share a person or an image, where groups
    are so many that no correction for their number counts."""
    random = np.random.default_rng(0)
    n = 400
    made = [
        pair(
            int(random.integers(80)), "a", "b", bool(random.random() < 0.6),
            (int(random.integers(90)), int(random.integers(90))), trial=k,
        )
        for k in range(n)
    ]  # fmt: skip
    y = np.array([float(a.answer == "left") for a in made])
    found = mean(table_of(made), np.ones(n, dtype=bool), y)
    u = (y - y.mean()) / n
    of = [{a.participant, (a.source, a.item), (a.source_b, a.item_b)} for a in made]
    share = sum(u[k] * u[m] for k in range(n) for m in range(n) if of[k] & of[m])
    whole = sum(t.sign * t.variance for t in found.terms)
    assert whole == pytest.approx(share, rel=0.06)


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_the_closed_test_of_bonferroni(seed):
    """The largest p of all sets of hypotheses that hold one, each tested by Bonferroni."""
    p = np.random.default_rng(seed).random(6) ** 3
    sets = chain.from_iterable(combinations(range(6), k) for k in range(1, 7))
    closed = [0.0] * 6
    for some in sets:
        for i in some:
            closed[i] = max(closed[i], min(1.0, len(some) * min(p[j] for j in some)))
    assert holm(list(p)) == pytest.approx(closed)


@pytest.mark.parametrize(("share", "m", "t"), [(0.3, 40, 2.1), (0.02, 17, 1.96), (0.97, 300, 2.5)])
def test_wilson_solves_its_equation(share, m, t):
    def beyond(p: float) -> float:
        return (share - p) ** 2 - t**2 * p * (1 - p) / m

    wanted = optimize.brentq(beyond, 1e-12, share), optimize.brentq(beyond, share, 1 - 1e-12)
    assert wilson(share, share * (1 - share) / m, 10**6, t) == pytest.approx(wanted)


def test_strengths_have_the_variance_of_the_jackknife():
    """Each answer is of its own person and images, so leaving out one is all there is."""
    random = np.random.default_rng(3)
    true = {"a": 0.6, "b": 0.0, "c": -0.5}
    made = []
    for k in range(150):
        one, other = random.permutation(list(true))[:2]
        left = random.random() < 1 / (1 + math.exp(true[other] - true[one]))
        made.append(pair(k, str(one), str(other), bool(left), (k, k)))

    def strengths(some) -> np.ndarray:
        """By maximum likelihood, with the first strength 0."""
        sign = np.array([1.0 if a.answer == "left" else -1.0 for a in some])
        x = np.array([[float(a.source == n) - float(a.source_b == n) for n in "bc"] for a in some])

        def loss(s: np.ndarray) -> float:
            return float(np.logaddexp(0, -sign * (x @ s)).sum())

        s = optimize.minimize(loss, np.zeros(2), method="BFGS", options={"gtol": 1e-9}).x
        every = np.array([0.0, *s])
        return np.asarray(every - every.mean())

    found = preferences(table_of(made))
    assert found is not None
    whole = strengths(made)
    by_name = {s.name: s.strength for s in found.strengths}
    assert [by_name[n].value for n in "abc"] == pytest.approx(whole, abs=1e-5)
    left_out = np.array([strengths(made[:k] + made[k + 1 :]) for k in range(150)])
    variance = ((left_out - whole) ** 2).sum(0)
    assert [by_name[n].variance for n in "abc"] == pytest.approx(list(variance), rel=0.05)


def test_a_threshold_is_the_mean_of_the_last_turns():
    """Of a literal staircase."""
    random = np.random.default_rng(1)
    timing = Timing()
    for _ in range(5):
        ms, shown, given = 500, list[int](), list[bool]()
        for _ in range(150):
            shown.append(ms)
            assert exposure(timing, given) == ms
            right = bool(random.random() < ms / 600)
            given.append(right)
            ms = max(100, ms - 10) if right else min(1000, ms + 30)
        turns, going, before = [], 0, shown[0]
        for now in shown[1:]:
            if now != before:
                if going and (now > before) != (going > 0):
                    turns.append(before)
                going = 1 if now > before else -1
            before = now
        assert threshold(shown) == pytest.approx(sum(turns[-10:]) / 10)


def test_thresholds_are_compared_by_welch():
    random = np.random.default_rng(2)
    of = {"gan": 300 + 40 * random.standard_normal(9), "vae": 340 + 90 * random.standard_normal(14)}
    found = [
        Threshold(f"{name}{k}", name, float(ms), 10, 150)
        for name, some in of.items()
        for k, ms in enumerate(some)
    ]
    means, (difference,) = by_source(found)
    for one in means:
        some = of[one.source]
        assert one.ms is not None
        wanted = stats.t.interval(0.95, len(some) - 1, some.mean(), stats.sem(some))
        assert one.ms.interval == pytest.approx(wanted)
    welch = stats.ttest_ind(of["gan"], of["vae"], equal_var=False)
    assert difference.p == pytest.approx(welch.pvalue, rel=0.02)


@pytest.mark.parametrize("seed", range(2))
def test_agreement_is_that_of_scipy(seed):
    random = np.random.default_rng(seed)
    names = "abcdef"
    human = dict(zip(names, random.integers(0, 4, 6).astype(float), strict=True))
    metric = dict(zip(names, random.integers(0, 5, 6).astype(float), strict=True))
    found = agreement("fd", "lower", metric, human, [])
    assert found is not None
    x, y = np.array(list(human.values())), -np.array(list(metric.values()))
    assert found.tau == pytest.approx(stats.kendalltau(x, y).statistic, nan_ok=True)
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic, nan_ok=True)
    exact = stats.permutation_test(
        (x,), lambda a: abs(stats.kendalltau(a, y).statistic),
        permutation_type="pairings", alternative="greater", n_resamples=np.inf,
    )  # fmt: skip
    assert found.p == pytest.approx(exact.pvalue, abs=1e-9)


def test_kappa_is_that_of_the_table_of_both_answers():
    random = np.random.default_rng(0)
    made, first, second = [], [], []
    for k in range(60):
        wrong = bool(random.random() < 0.4)
        again = wrong if random.random() < 0.7 else not wrong
        made.append(hype(k % 6, k, wrong, trial=k, session=f"s{k % 6}"))
        made.append(hype(k % 6, k, again, trial=100 + k, session=f"s{k % 6}", kind="repeat"))
        first.append(wrong)
        second.append(again)
    found = analyse(made).consistency
    assert found is not None
    assert found.same.value == pytest.approx(np.mean(np.array(first) == second))
    table = np.histogram2d(first, second, bins=2)[0] / 60
    by_chance = float(table.sum(0) @ table.sum(1))
    assert found.kappa == pytest.approx((table.trace() - by_chance) / (1 - by_chance))


@pytest.mark.slow
@pytest.mark.parametrize("between", [True, False])
def test_the_planned_variance_is_that_of_drawn_studies(between):
    """Error rates that deviate by person and by image, drawn without the simulator."""
    plan = Plan(
        trials=40, images=15, between=between, sources=2, person=0.08, image=0.12, correlation=0.5
    )
    people, p = 16, (0.35, 0.35)
    random = np.random.default_rng(4)
    m = 20 if between else 10
    found = []
    for _ in range(1500):
        images = {s: plan.image * random.standard_normal(15) for s in ("real", "a", "b")}
        sums: dict[str, list[float]] = defaultdict(list)
        on_real: dict[str, list[float]] = defaultdict(list)
        for person in range(people):
            seen = (("a", "b")[person % 2],) if between else ("a", "b")
            shared = math.sqrt(plan.correlation) * random.standard_normal()
            real = _answers(
                random,
                p[0],
                math.sqrt(2) * plan.person * random.standard_normal(),
                images["real"],
                20,
            )
            for name in seen:
                own = shared + math.sqrt(1 - plan.correlation) * random.standard_normal()
                effect = math.sqrt(2) * plan.person * own
                sums[name] += _answers(random, p[0], effect, images[name], m)
                on_real[name] += real
        score = {n: (np.mean(sums[n]) + np.mean(on_real[n])) / 2 for n in "ab"}
        found.append(score["a"] - score["b"])
    assert np.var(found) == pytest.approx(parts(plan, *p, people).whole, rel=0.12)


def _answers(random, rate: float, person: float, images: np.ndarray, n: int) -> list[float]:
    shown = [int(i) for k in range(0, n, len(images)) for i in random.permutation(len(images))][:n]
    return [float(random.random() < rate + person + images[i]) for i in shown]
