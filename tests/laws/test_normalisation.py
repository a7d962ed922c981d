"""A density sums to one; a likelihood sums to one over every pixel value."""

from __future__ import annotations

import pytest
import torch

from ptheta.distributions.pixels import Bernoulli, Categorical, LogisticMixture, PixelDistribution
from ptheta.specs import ImageSpec, from_levels
from tests.laws.autoregressive import FAMILY, all_images, lively


@pytest.mark.parametrize(
    "spec",
    [
        ImageSpec(1, 3, 4, 2),
        ImageSpec(3, 2, 2, 2),
        ImageSpec(1, 2, 3, 4),
        ImageSpec(3, 1, 2, 3),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", FAMILY)
def test_sums_to_one_over_all_images(name, spec):
    model = lively(name, spec, factor=2)  # far from the nearly uniform start
    with torch.no_grad():
        total = model.log_prob(all_images(spec)).double().exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-5)


def test_an_ensemble_of_orders_sums_to_one():
    spec = ImageSpec(1, 2, 4, 2)
    model = lively("made", spec, orders=3, hidden=(20, 20))
    with torch.no_grad():
        x = all_images(spec)
        each = [model.of_order(m, x).log_prob(x).sum((1, 2, 3)).exp() for m in range(3)]
        assert model.log_prob(x).exp().sum().item() == pytest.approx(1, abs=1e-5)
        torch.testing.assert_close(model.log_prob(x).exp(), sum(each) / 3)
    assert not torch.allclose(each[0], each[1])


@pytest.mark.parametrize("name", FAMILY)
def test_sums_to_one_for_each_label(name):
    spec = ImageSpec(1, 2, 3, 2)
    model = lively(name, spec, classes=2)
    x = all_images(spec)
    with torch.no_grad():
        a, b = (model.log_prob(x, torch.full((len(x),), label)).exp() for label in (0, 1))
    assert a.sum().item() == pytest.approx(1, abs=1e-5)
    assert b.sum().item() == pytest.approx(1, abs=1e-5)
    assert not torch.allclose(a, b)


def check_frequencies(model, spec: ImageSpec) -> None:
    """Chi-square over all 64 images of 2x3 binary pixels."""
    with torch.no_grad():
        x = all_images(spec)
        expected = model.log_prob(x).exp() * 20_000
        torch.manual_seed(1)
        drawn = model.sample(20_000)
    codes = (drawn.view(-1, 6) > 0).long() @ (2 ** torch.arange(6))
    order = (x.view(-1, 6) > 0).long() @ (2 ** torch.arange(6))
    counts = torch.bincount(codes, minlength=64)[order]
    often = expected > 5  # the rest is one cell
    o = torch.cat([counts[often], counts[~often].sum()[None]])
    e = torch.cat([expected[often], expected[~often].sum()[None]]).clamp(min=1e-9)
    chi2 = ((o - e).square() / e.clamp(min=1)).sum().item()
    assert chi2 < 103.4  # the 99.9 % point with 63 degrees of freedom


@pytest.mark.parametrize("name", FAMILY)
def test_sample_frequencies_follow_log_prob(name):
    spec = ImageSpec(1, 2, 3, 2)
    check_frequencies(lively(name, spec), spec)


def test_sample_frequencies_of_an_ensemble_follow_log_prob():
    spec = ImageSpec(1, 2, 3, 2)
    check_frequencies(lively("made", spec, orders=2), spec)


def likelihoods(levels: int) -> list[PixelDistribution]:
    torch.manual_seed(levels)
    shape = (2, 3, 1, 2, 2)
    found: list[PixelDistribution] = [
        Categorical(torch.randn(2, levels, 1, 2, 2, dtype=torch.double) * 3),
        LogisticMixture(
            torch.randn(shape, dtype=torch.double),
            torch.randn(shape, dtype=torch.double),
            torch.randn(shape, dtype=torch.double) * 3 - 3,
            levels,
        ),
    ]
    if levels == 2:
        found.append(Bernoulli(torch.randn(2, 1, 2, 2, dtype=torch.double) * 3))
    return found


@pytest.mark.parametrize("levels", [2, 4, 16, 256])
def test_likelihoods_sum_to_one_over_the_levels(levels):
    values = from_levels(torch.arange(levels), levels)
    for p in likelihoods(levels):
        total = sum(
            p.log_prob(torch.full(p.shape, int(v), dtype=torch.uint8)).exp() for v in values
        )
        torch.testing.assert_close(total, torch.ones(p.shape, dtype=torch.double))


@pytest.mark.parametrize("levels", [2, 4, 256])
def test_noise_maps_to_samples_by_the_cumulative_distribution(levels):
    """Evenly spaced noise gives each level its probability."""
    n = 4000
    u = ((torch.arange(n) + 0.5) / n).view(n, 1, 1, 1).double()
    values = from_levels(torch.arange(levels), levels).long()
    for p in likelihoods(levels):
        one = _first_pixel(p, n)
        drawn = one.icdf(u).flatten().long()
        share = torch.bincount(drawn, minlength=256)[values].double() / n
        probability = torch.stack(
            [
                _first_pixel(p, 1).log_prob(torch.full((1, 1, 1, 1), int(v), dtype=torch.uint8))
                for v in values
            ]
        ).exp()
        # a mixture's noise is used twice, so each component rounds to 1 / n on its own
        torch.testing.assert_close(share, probability.flatten(), atol=4 / n, rtol=0)


def _first_pixel(p: PixelDistribution, n: int) -> PixelDistribution:
    def pick(t: torch.Tensor) -> torch.Tensor:
        return t[:1, ..., :1, :1].expand(n, *t.shape[1:-2], 1, 1)

    if isinstance(p, Bernoulli):
        return Bernoulli(pick(p.logits))
    if isinstance(p, Categorical):
        return Categorical(pick(p.logits))
    assert isinstance(p, LogisticMixture)
    return LogisticMixture(pick(p.weights), pick(p.loc), pick(p.log_scale), p.levels)


def test_logistic_log_prob_is_finite_far_from_the_data():
    p = LogisticMixture(
        torch.zeros(1, 1, 1, 1, 1),
        torch.full((1, 1, 1, 1, 1), 50.0),
        torch.full((1, 1, 1, 1, 1), -7.0),
        256,
    )
    for value in (0, 128, 255):
        assert p.log_prob(torch.full((1, 1, 1, 1), value, dtype=torch.uint8)).isfinite().all()
