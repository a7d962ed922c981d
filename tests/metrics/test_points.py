"""Measures of vectors against closed forms, brute force, and what they must not depend on."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.measures.divergence import Grid, LogDensity, divergences
from ptheta.measures.intervals import Groups, estimate
from ptheta.measures.kernel import gaussian
from ptheta.measures.mmd import median_distance, mmd_draws, permutation_p
from ptheta.measures.modes import Mixture, mode_divergence, reached
from ptheta.measures.points import some
from ptheta.measures.two_sample import area, two_sample


def normal(n: int, d: int, seed: int = 0, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64) * scale + shift


# -- divergences on a grid


def density(mean: list[float], deviation: list[float]) -> LogDensity:
    of = torch.distributions.Normal(torch.tensor(mean).double(), torch.tensor(deviation).double())
    return lambda x: of.log_prob(x).sum(1)


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (([0.0], [1.0]), ([1.0], [1.0])),
        (([0.3], [0.5]), ([-1.0], [2.0])),
        (([0.0, 1.0], [1.0, 0.7]), ([0.5, 0.5], [0.8, 1.5])),
    ],
)
def test_divergences_of_gaussians_are_those_of_the_closed_form(p, q):
    def kl(a: tuple[list[float], list[float]], b: tuple[list[float], list[float]]) -> float:
        return sum(
            math.log(t / s) + (s**2 + (m - n) ** 2) / (2 * t**2) - 0.5
            for m, s, n, t in zip(*a, *b, strict=True)
        )

    grid = Grid.over([(-16, 16)] * len(p[0]), 0.5)
    found = divergences(density(*p), density(*q), grid)
    assert found.kl == pytest.approx(kl(p, q), rel=1e-6)
    assert found.reverse_kl == pytest.approx(kl(q, p), rel=1e-6)
    assert (found.outside_p, found.outside_q) == pytest.approx((0, 0), abs=1e-9)
    turned = divergences(density(*q), density(*p), grid)
    assert (turned.kl, turned.reverse_kl) == (found.reverse_kl, found.kl)
    assert turned.total_variation == pytest.approx(found.total_variation)
    # Pinsker, and Bretagnolle and Huber
    least = min(found.kl, found.reverse_kl)
    assert found.total_variation <= min(math.sqrt(least / 2), math.sqrt(1 - math.exp(-least)))


@pytest.mark.parametrize("d", [1, 2])
def test_total_variation_of_shifted_gaussians(d):
    """2 Phi(|m| / 2) - 1 of N(0, I) and N(m, I)."""
    found = divergences(
        density([0.0] * d, [1.0] * d), density([0.8] * d, [1.0] * d), Grid.over([(-10, 10)] * d)
    )
    wanted = 2 * norm.cdf(0.8 * math.sqrt(d) / 2) - 1
    assert found.total_variation == pytest.approx(wanted, rel=1e-4)


def test_the_mass_beyond_the_grid_is_said_and_counted():
    p, far = density([0.0], [1.0]), density([50.0], [1.0])
    found = divergences(p, far, Grid((-10.0,), (0.0,), 2000))
    assert found.outside_p == pytest.approx(0.5)
    assert found.outside_q == pytest.approx(1)
    assert found.total_variation == pytest.approx(0.5)  # of cells and the rest: half of p is seen
    whole = divergences(p, density([0.5], [1.0]), Grid.over([(-12, 12)]))
    part = divergences(p, density([0.5], [1.0]), Grid((-12.0,), (0.3,), 20_000))
    assert 0 < part.kl < whole.kl == pytest.approx(0.125)
    # what only the other has outside takes nothing away
    wide = divergences(p, density([0.0], [10.0]), Grid.over([(-9, 9)]))
    assert wide.outside_q > 0.3
    assert wide.kl == pytest.approx(math.log(10) + 1 / 200 - 0.5)
    assert 0 < wide.reverse_kl < 50 - math.log(10) - 0.5
    itself = divergences(p, p, Grid((-1.0,), (2.0,), 100))
    assert (itself.kl, itself.total_variation) == (0, 0)


def test_where_the_other_has_no_mass_the_divergence_is_infinite():
    def uniform(x: Tensor) -> Tensor:
        return torch.where((x > 0) & (x < 1), 0.0, -math.inf)[:, 0]

    found = divergences(density([0.0], [1.0]), uniform, Grid((-8.0,), (8.0,), 1600))
    assert found.kl == math.inf
    assert math.isfinite(found.reverse_kl)
    wanted = 1 - (norm.cdf(1) - norm.cdf(0))
    assert found.total_variation == pytest.approx(wanted, rel=1e-3)


def test_grids_follow_the_finest_length():
    assert Grid.over([(-1, 1)]).cells == 20_000
    assert Grid.over([(-5, 5), (-5, 5)], 0.01).cells == 2000
    assert Grid.over([(-5, 5), (-5, 5)], 1e-9).cells == 2000  # no more than there is room for
    assert Grid((0.0, 0.0), (1.0, 2.0), 4).volume == pytest.approx(2 / 16)
    assert Grid((0.0, 0.0), (1.0, 2.0), 4).centres()[[0, 1, -1]].tolist() == [
        [0.125, 0.25],
        [0.125, 0.75],
        [0.875, 1.75],
    ]


# -- modes


def grid25() -> Mixture:
    at = torch.arange(-4.0, 5.0, 2.0)
    return Mixture(torch.cartesian_prod(at, at), torch.full((25,), 0.05))


def drawn(mixture: Mixture, n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    part = torch.multinomial(mixture.shares, n, replacement=True, generator=generator)
    noise = torch.randn(n, mixture.means.shape[1], generator=generator)
    return mixture.means[part] + mixture.deviations[part, None] * noise


def test_samples_of_the_mixture_itself():
    """Good is chi^2 of D degrees of freedom below 9: 0.9889 for D = 2; all modes are found, and the
    divergence of their shares is (K - 1) / 2N by chance."""
    mixture, n = grid25(), 20_000
    found = reached(drawn(mixture, n), mixture)
    assert found.good.double().mean().item() == pytest.approx(chi2.cdf(9, 2), abs=0.003)
    assert (found.found, found.missing) == (25, [])
    value, without = mode_divergence(found)
    assert 0 < value < 3 * 24 / (2 * n)
    assert without is not None
    assert estimate(value, without).error == pytest.approx(math.sqrt(24 / 2) / n, rel=1)


def test_samples_of_some_modes():
    """Of k of 25 modes alike: k found, and log(25 / k)."""
    mixture = grid25()
    for k in (1, 3, 10):
        x = mixture.means[:k].repeat(40, 1)
        found = reached(x, mixture)
        assert found.found == k
        assert found.missing == list(range(k, 25))
        assert mode_divergence(found)[0] == pytest.approx(math.log(25 / k))
    weights = torch.ones(25)
    weights[0] = 25.0
    heavy = reached(mixture.means[:1].repeat(9, 1), Mixture(*_parts(mixture), weights))
    assert mode_divergence(heavy)[0] == pytest.approx(math.log(49 / 25))


def _parts(mixture: Mixture) -> tuple[Tensor, Tensor]:
    return mixture.means, mixture.deviations


def test_between_the_modes_nothing_is_good():
    mixture = grid25()
    found = reached(mixture.means + 1.0, mixture)
    assert not found.good.any()
    assert found.found == 0
    with pytest.raises(PthetaError, match="no sample is near a mode"):
        mode_divergence(found)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.booleans())
def test_good_is_three_deviations_of_the_nearest_mode(seed, of_each_number):
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(4, 3, generator=generator) * 3
    shape = (4, 3) if of_each_number else (4,)
    mixture = Mixture(means, torch.rand(shape, generator=generator) + 0.2)
    x = torch.randn(40, 3, generator=generator) * 4
    found = reached(x, mixture)
    for i, point in enumerate(x.double()):
        distances = [
            ((point - m).double() / s.double()).norm().item()
            for m, s in zip(means, mixture.deviations, strict=True)
        ]
        assert found.mode[i] == distances.index(min(distances))
        assert found.good[i] == (min(distances) < 3)


# -- the two-sample test


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 5), min_size=1))
def test_the_area_is_the_share_of_pairs(a, b):
    pairs = [(x > y) + 0.5 * (x == y) for x in a for y in b]
    found = area(torch.tensor(a).double(), torch.tensor(b).double())
    assert found == pytest.approx(sum(pairs) / len(pairs))


def test_equal_samples_are_not_told_apart():
    """The area is 1/2 on average, within its interval, and p is uniform: below 0.1 in a tenth."""
    areas, ps, held = [], [], 0
    for seed in range(40):
        x, y = normal(40, 3, seed), normal(60, 3, seed + 1000)
        found = two_sample(x, y, permutations=19, seed=seed)
        assert found.draws is not None
        auc = estimate(found.scores.auc, found.draws[0]).named("auc")
        assert auc.interval is not None
        held += auc.interval[0] <= 0.5 <= auc.interval[1]
        areas.append(found.scores.auc)
        ps.append(found.p_value)
    spread = torch.tensor(areas).std().item()
    assert abs(sum(areas) / 40 - 0.5) < 3 * spread / math.sqrt(40)
    assert held >= 36
    assert sum(p <= 0.1 for p in ps) <= 10


def test_different_samples_are_told_apart():
    x, y = normal(60, 2, 1), normal(80, 2, 2)
    apart = two_sample(x + 20, y, permutations=49)
    assert apart.scores == (1, 1)
    assert apart.p_value == pytest.approx(1 / 50)
    near, nearer = (two_sample(x + by, y, permutations=49) for by in (1.5, 0.7))
    assert 1 > near.scores.auc > nearer.scores.auc > 0.5
    # another spread about the same mean, which no linear classifier sees
    assert two_sample(normal(150, 2, 3, 2.5), normal(150, 2, 4), permutations=49).p_value < 0.05


def test_the_test_knows_no_axes_and_no_unit():
    x, y = normal(40, 3, 1), normal(50, 3, 2, 1.5)
    rotation = torch.linalg.qr(normal(3, 3, 9)).Q
    found = two_sample(x, y, permutations=9)
    moved = two_sample(7 * x @ rotation + 3, 7 * y @ rotation + 3, permutations=9)
    assert moved.scores == pytest.approx(found.scores)
    assert moved.p_value == found.p_value


# -- maximum mean discrepancy


def test_mmd_is_the_double_sum():
    x, y, s = normal(13, 2, 1), normal(17, 2, 2, 1.5), 0.8

    def k(a: Tensor, b: Tensor) -> float:
        return math.exp(-(a - b).square().sum().item() / (2 * s**2))

    xx = sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / (13 * 12)
    yy = sum(k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / (17 * 16)
    xy = sum(k(a, b) for a in x for b in y) / (13 * 17)
    assert mmd_draws(x, y, s)[0] == pytest.approx(xx + yy - 2 * xy, rel=1e-9)


def test_mmd_of_gaussians_is_that_of_the_closed_form():
    """E k(x, y) = (s^2 / (s^2 + a^2 + b^2))^(D/2) exp(-|m|^2 / 2(s^2 + a^2 + b^2))."""
    s, d, shift, scale = 1.2, 3, 0.4, 1.5

    def mean(a: float, b: float, m: float) -> float:
        total = s**2 + a**2 + b**2
        return (s**2 / total) ** (d / 2) * math.exp(-d * m**2 / (2 * total))

    wanted = mean(1, 1, 0) + mean(scale, scale, 0) - 2 * mean(1, scale, shift)
    found = []
    for seed in range(30):
        x, y = normal(100, d, seed), normal(80, d, seed + 99, scale, shift)
        value, without = mmd_draws(x, y, s)
        assert without is not None
        found.append((value, estimate(value, without).error or 0.0))
    values, errors = torch.tensor(found).unbind(1)
    assert abs(values.mean() - wanted) < 3 * values.std() / math.sqrt(30)
    assert 0.7 < errors.mean() / values.std() < 1.5


def test_permutations_are_all_as_likely_where_nothing_is_between_the_two():
    ps = [
        permutation_p(normal(30, 2, s), normal(40, 2, s + 500), gaussian(1.0), 19, s)
        for s in range(60)
    ]
    assert sum(p <= 0.1 for p in ps) <= 14
    assert 0.35 < sum(ps) / 60 < 0.65
    apart = permutation_p(normal(30, 2), normal(40, 2, 1) + 3, gaussian(1.0), 49)
    assert apart == pytest.approx(1 / 50)


def test_the_p_value_is_the_share_of_permutations():
    x, y, kernel = normal(6, 2, 1), normal(9, 2, 2, 1.3), gaussian(0.7)
    both = torch.cat([x, y])
    own, beyond = mmd_draws(x, y, 0.7)[0], 1
    generator = torch.Generator().manual_seed(5)
    for _ in range(30):
        mask = torch.zeros(15, dtype=torch.bool)
        mask[torch.randperm(15, generator=generator)[:6]] = True
        beyond += mmd_draws(both[mask], both[~mask], 0.7)[0] >= own
    assert permutation_p(x, y, kernel, 30, seed=5) == pytest.approx(beyond / 31)


def test_the_bandwidth_is_the_median_distance():
    x = torch.tensor([[0.0], [1.0], [3.0]])
    assert median_distance(x) == 2
    assert median_distance(5 * normal(200, 2)) == pytest.approx(5 * median_distance(normal(200, 2)))
    with pytest.raises(PthetaError, match="half of all points coincide"):
        median_distance(torch.zeros(5, 2))


# -- what is refused


HOLES = normal(30, 2).clone()
HOLES[3, 1] = math.nan

REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: mmd_draws(HOLES, normal(30, 2), 1.0), "1 of 60 numbers of samples are NaN"),
    (lambda: two_sample(normal(30, 2), HOLES), "1 of 60 numbers of real points are NaN"),
    (lambda: reached(HOLES, grid25()), "NaN or infinite: leave such rows out"),
    (lambda: reached(normal(9, 3), grid25()), "samples have 3 dimensions and modes 2"),
    (lambda: mmd_draws(normal(9, 2), normal(9, 3), 1.0), "samples have 2 dimensions"),
    (lambda: mmd_draws(normal(9, 2), normal(9, 2), 0.0), "bandwidth = 0.0"),
    (lambda: mmd_draws(normal(1, 2), normal(9, 2), 1.0), "1 of samples is too few"),
    (lambda: mmd_draws(torch.zeros(9, 2, dtype=torch.uint8), normal(9, 2), 1.0), "uint8 tensor"),
    (lambda: two_sample(normal(9, 2), normal(30, 2)), "needs 10 of each or more"),
    (lambda: Mixture(torch.zeros(3, 2), torch.ones(2)), "want .K, D., and"),
    (lambda: Mixture(torch.zeros(3, 2), torch.zeros(3)), "standard deviations must be above 0"),
    (lambda: Mixture(torch.zeros(2, 2), torch.ones(2), torch.zeros(2)), "one above 0 for each"),
    (lambda: Grid((0.0,) * 3, (1.0,) * 3, 5), "a grid of 3 dimensions"),
    (lambda: Grid((0.0,), (0.0,), 5), "want low below high"),
    (
        lambda: divergences(lambda x: x, lambda x: x[:, 0], Grid((0.0,), (1.0,), 5)),
        "a log density of shape .5, 1. for 5 points",
    ),
]


@pytest.mark.parametrize("i", range(len(REFUSED)))
def test_what_is_no_set_of_points_is_one_line(i):
    call, words = REFUSED[i]
    with pytest.raises(PthetaError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_some_points_are_always_the_same():
    x = normal(50, 2)
    assert torch.equal(some(x, 10), some(x, 10))
    assert some(x, 50) is x
    assert len(some(x, 10).unique(dim=0)) == 10
    assert Groups(10, "fake").count == 10
