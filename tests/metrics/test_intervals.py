"""Errors are those of fresh images, paired differences are honest, and a verdict follows them
alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptheta.measures.frechet import fit, frechet, frechet_draws, frechet_infinity
from ptheta.measures.inception_score import (
    balance_draws,
    class_balance,
    class_score,
    classes_draws,
    effective_classes,
    score_draws,
)
from ptheta.measures.intervals import (
    GROUPS,
    Groups,
    difference,
    draws,
    estimate,
    mean_estimate,
    standard_error,
)
from ptheta.measures.kernel import kernel_distance, kernel_draws
from ptheta.measures.prdc import manifold
from ptheta.measures.results import Draws, Evaluation, Result
from ptheta.report.pairs import matrix, pairs
from ptheta.report.verdict import verdicts


def normal(n: int, d: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.double) + shift


def sides(fake: int, real: int) -> tuple[Groups, Groups]:
    return Groups(fake, "fake"), Groups(real, "real")


@given(st.integers(4, 90), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_groups_divide_the_images_and_are_the_same_for_every_model(n, seed):
    groups = Groups(n, "real")
    assert torch.equal(groups.of, Groups(n, "real").of)
    assert groups.count == min(n, GROUPS)
    assert groups.sizes.sum() == n
    assert groups.sizes.max() - groups.sizes.min() <= 1
    terms = normal(n, 2, seed)
    for g, mean in enumerate(groups.means(terms)):
        torch.testing.assert_close(mean, terms[groups.of != g].mean(0))
    rows = torch.arange(0, n, 2)
    assert torch.equal(groups.part(rows).of, groups.of[rows])
    assert Groups(3, "fake").count == 0


def test_draws_are_the_metric_without_each_group():
    x, y = normal(60, 3, 0), normal(45, 3, 1, 0.3)
    fakes, reals = sides(60, 45)
    value, kd = kernel_draws(x, y, fakes, reals, chunk=17)
    fd, balls = frechet_draws(x, y, fakes, reals), manifold(y, x, 3)[1]
    logits, others = normal(60, 4, 2) * 3, normal(45, 4, 3) * 3
    score, classes = score_draws(logits, fakes, 2), classes_draws(logits, fakes)
    balance = balance_draws(logits, others, fakes, reals)
    assert value == pytest.approx(kernel_distance(x, y)[0])
    assert kd is not None
    assert fd is not None
    assert balls is not None
    assert score is not None
    assert classes is not None
    assert balance is not None
    for g in (0, 7, GROUPS - 1):
        i, j = fakes.of != g, reals.of != g
        assert kd.fake[g] == pytest.approx(kernel_distance(x[i], y)[0])
        assert kd.real[g] == pytest.approx(kernel_distance(x, y[j])[0])
        assert fd.fake[g] == pytest.approx(frechet(fit(x[i]), fit(y)), rel=1e-9)
        assert fd.real[g] == pytest.approx(frechet(fit(x), fit(y[j])), rel=1e-9)
        for k, (a, b) in enumerate(
            zip(manifold(y, x[i], 3)[0], manifold(y[j], x, 3)[0], strict=True)
        ):
            assert balls[k].fake[g] == pytest.approx(a, abs=1e-9)
            assert balls[k].real[g] == pytest.approx(b, abs=1e-9)
        for h in (1, 12):
            rest = manifold(y[reals.of != h], x[i], 3)[0]
            for of, left in zip(balls, rest, strict=True):
                assert of.both[g * GROUPS + h] == pytest.approx(left, abs=1e-9)
        halves = [logits[part][i[part]] for part in (slice(0, 30), slice(30, 60))]
        assert score.fake[g] == pytest.approx(sum(class_score(h, 1)[0] for h in halves) / 2)
        assert classes.fake[g] == pytest.approx(effective_classes(logits[i])[0])
        assert balance.real[g] == pytest.approx(class_balance(logits, others[j]))
        assert balance.both[g * GROUPS + 3] == pytest.approx(
            class_balance(logits[i], others[reals.of != 3])
        )


def test_what_cannot_be_left_out_has_no_error_and_is_not_judged():
    x, y = normal(3, 2, 0), normal(50, 2, 1)
    fakes, reals = sides(3, 50)
    assert frechet_draws(x, y, fakes, reals) is None
    value, found = kernel_draws(x, y, fakes, reals)
    assert found is None
    few = estimate(value, found).named("kd", better="lower")
    assert few.error is None
    assert difference(few, Result("kd", 0.0, error=0.1, better="lower")) is None
    assert manifold(normal(8, 2, 0), normal(5, 2, 1), 4)[1] is None


def test_the_standard_error_is_how_much_fresh_images_vary():
    found: dict[str, list[float]] = {"kd": [], "fd": [], "precision": [], "density": []}
    errors: dict[str, list[float]] = {name: [] for name in found}
    fakes, reals = sides(150, 150)
    for seed in range(40):
        x, y = normal(150, 4, 2 * seed), normal(150, 4, 2 * seed + 1, 0.5)
        value, kd = kernel_draws(x, y, fakes, reals)
        balls, of_balls = manifold(y, x)
        fd = frechet_draws(x, y, fakes, reals)
        assert of_balls is not None
        for name, v, some in (
            ("kd", value, kd),
            ("fd", frechet(fit(x), fit(y)), fd),
            ("precision", balls.precision, of_balls[0]),
            ("density", balls.density, of_balls[2]),
        ):
            assert some is not None
            found[name].append(v)
            errors[name].append(standard_error(some))
    for name, values in found.items():
        assert 0.7 < np.mean(errors[name]) / np.std(values) < 1.5, name


@pytest.mark.parametrize("shift", [0.0, 0.25])
def test_the_extrapolated_distance_has_the_bias_of_neither_side(shift):
    """Against the closed form: Gaussians of equal covariance are |shift|^2 apart."""
    d, n, m = 16, 300, 500
    plain, found = [], []
    fakes, reals = sides(n, m)
    for seed in range(30):
        x, y = normal(n, d, 2 * seed), normal(m, d, 2 * seed + 1, shift)
        without = frechet_draws(x, y, fakes, reals)
        assert without is not None
        plain.append(frechet(fit(x), fit(y)))
        found.append(frechet_infinity(plain[-1], without, fakes, reals)[0])
    truth = d * shift**2
    assert np.mean(plain) - truth > 0.25
    assert abs(np.mean(found) - truth) < 3 * np.std(found) / 30**0.5 + 0.01


def test_exactness_is_said_by_an_error_of_nothing():
    exact = [Result("parameters", v, error=0.0, better="lower") for v in (3.0, 2.0, 2.0)]
    gap, same = difference(*exact[:2]), difference(*exact[1:])
    assert gap is not None
    assert (gap.low, gap.high, gap.different) == (1, 1, True)
    assert same is not None
    assert not same.different
    assert difference(exact[0], Result("parameters", 2.0, better="lower")) is None
    assert difference(Result("m", None, reason="it cannot"), exact[0]) is None


def mean_of(each: torch.Tensor, metric: str = "m", **about: object) -> Result:
    """The mean of what each of some real images gives."""
    groups = Groups(len(each), "real")
    return mean_estimate(each, groups, about).named(metric, better="lower")


def test_pairing_takes_the_luck_of_the_images_out():
    """Two models whose losses go up and down with the same images: far apart for certain, though
    the error of each is wider than the gap."""
    hard = normal(200, 1, 0)[:, 0]
    a, b = hard * 10 + 100, hard * 10 + 100.3 + 0.1 * normal(200, 1, 1)[:, 0]
    x, y = mean_of(a), mean_of(b)
    assert (x.error or 0) > 0.5
    gap = difference(x, y)
    assert gap is not None
    assert gap.different
    half = 2.09 * (a - b).std().item() / 200**0.5
    assert gap.high - gap.value == pytest.approx(half, rel=0.35)
    unpaired = difference(*(dataclasses.replace(r, draws=None) for r in (x, y)))
    assert unpaired is not None
    assert not unpaired.different
    back = difference(y, x)
    assert back is not None
    assert (back.value, back.low, back.high) == pytest.approx((-gap.value, -gap.high, -gap.low))


def test_bounds_and_exact_likelihoods_are_never_paired():
    each = normal(100, 1, 0)[:, 0] * 1e-3
    evaluations = {
        name: Evaluation(
            (dataclasses.replace(mean_of(value + each, "bits_per_dim"), relation=relation),)
        )
        for name, value, relation in (
            ("exact a", 0.2, "="),
            ("exact b", 0.3, "="),
            ("bound a", 0.1, "<="),
            ("bound b", 0.1, "<="),
        )
    }
    found = pairs(evaluations, ["bits_per_dim"])["bits_per_dim"]
    assert [(p.a, p.b, p.difference and p.difference.different) for p in found] == [
        ("exact a", "exact b", True),
        ("bound a", "bound b", False),
    ]
    table = matrix(found)
    cells = dict(zip(table.names, dict(table.rows)["exact b"], strict=True))
    assert cells["exact a"] is not None
    assert cells["exact a"].value in ("0.100", "0.1000")
    assert cells["bound a"] is None
    said = verdicts(evaluations, ["bits_per_dim"], {})
    assert any(line.startswith("It is best by bits per dim") for line in said["exact a"].good)
    assert not any(line.startswith("best") for line in said["bound a"].good)


def test_a_result_keeps_its_interval_but_not_its_draws_in_a_file():
    result = mean_of(normal(90, 1, 0)[:, 0])
    assert result.draws is not None
    written = result.to_json()
    assert "draws" not in written
    assert result.interval is not None
    low, high = result.interval
    assert written["interval_95"] == [low, high]
    assert (high - low) / 2 == pytest.approx(1.96 * (result.error or 0), rel=1e-3)
    assert Result.from_json(written) == result


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ({"samples": 300}, {"samples": 1000}, "samples 300 and 1000"),
        ({"fingerprint": "a"}, {"fingerprint": "b"}, "fingerprint a and b"),
        ({"paths": 500}, {"paths": 100}, "paths 500 and 100"),
        ({"seed": 0, "levels": 2}, {"seed": 1, "levels": 4}, "levels 2 and 4, seed 0 and 1"),
    ],
)
def test_no_pair_is_judged_across_protocols_and_it_is_said_why(one, other, said):
    """However far apart the two numbers are: neither a difference nor first or last."""
    near, far = (normal(100, 1, 0)[:, 0] + shift for shift in (0.0, 50.0))
    results = {
        "a": mean_of(near, **one),
        "b": mean_of(far, **other),
        "c": mean_of(far, **one),
    }
    evaluations = {name: Evaluation((r,)) for name, r in results.items()}
    found = {(p.a, p.b): p for p in pairs(evaluations, ["m"])["m"]}
    assert found["a", "b"].difference is None
    assert found["a", "b"].reason.startswith(f"measured differently: {said}")
    assert found["a", "b"].to_json()["not_judged"] == found["a", "b"].reason
    judged = found["a", "c"].difference
    assert judged is not None
    assert judged.different
    cells = dict(matrix(list(found.values())).rows)["b"]
    assert {c.value for c in cells if c is not None} == {"not compared"}
    verdict = verdicts(evaluations, ["m"], {})
    assert not verdict["b"].good
    assert not verdict["b"].bad
    assert verdict["a"].good[0].startswith("It is best by m")
    assert "the next is c" in verdict["a"].good[0]


def test_a_difference_of_draws_is_that_of_each_group():
    a, b = Draws((1.0, 2.0), (3.0,), (4.0, 5.0)), Draws((0.5, 0.5), (1.0,), (1.0, 1.0))
    assert a.minus(b) == Draws((0.5, 1.5), (2.0,), (3.0, 4.0))
    assert a.times(b) == Draws((0.5, 1.0), (3.0,), (4.0, 5.0))
    assert standard_error(draws(torch.full((20,), 2.0))) == 0
