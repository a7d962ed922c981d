"""What every distribution keeps: draws follow log_prob, KL is its definition, dequantisation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import distributions as D

import ptheta
from ptheta.distributions import dequantise, log_prob_bound, requantise
from ptheta.distributions.base import Distribution
from ptheta.distributions.kl import CLOSED_FORMS, kl_divergence
from ptheta.distributions.latents import (
    Flow,
    GaussianMixture,
    LatentDistribution,
    Mixture,
    Normal,
    StandardNormal,
)
from ptheta.distributions.pixels import DiscretisedGaussian
from ptheta.nets.flow import masked_flow
from ptheta.nets.heads import HEADS, HeadOptions, head
from ptheta.specs import ImageSpec, from_levels
from tests.laws.autoregressive import double

LATENT = 2


def normal(rows: int) -> Normal:
    draw = torch.Generator().manual_seed(rows)
    mean, log_var = torch.randn(2, rows, LATENT, generator=draw, dtype=torch.double)
    return Normal(mean, log_var)


def full_mixture() -> GaussianMixture:
    factors = torch.tensor([[[0.5, 0.0], [0.3, 0.8]], [[1.0, 0.0], [-0.6, 0.4]]]).double()
    return GaussianMixture(torch.tensor([0.3, 0.7]).double(), normal(2).mean, factors)


def flow() -> Flow:
    torch.manual_seed(0)
    return Flow(masked_flow(LATENT, 1, 8)())


LATENTS = {
    "normal": lambda: normal(1),
    "standard normal": lambda: StandardNormal(LATENT, torch.device("cpu")),
    "mixture": lambda: Mixture(normal(3)),
    "mixture of full covariances": full_mixture,
    "flow": flow,
}


def test_every_distribution_of_codes_has_its_law():
    assert {type(make()) for make in LATENTS.values()} == set(LatentDistribution.__subclasses__())


@torch.no_grad()
@pytest.mark.parametrize("name", LATENTS)
def test_draws_of_codes_follow_their_density(name):
    """E_p[q / p] = 1 for every density q whose support p covers: here a narrow Gaussian."""
    torch.manual_seed(1)
    p = LATENTS[name]().expand(20_000)
    z = p.sample()
    assert z.shape == (20_000, LATENT)
    centre, cov = z.mean(0), 0.25 * z.T.cov()
    ratio = D.MultivariateNormal(centre, cov).log_prob(z).sub(p.log_prob(z)).exp()
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / math.sqrt(len(z)) + 1e-3


@pytest.mark.parametrize("pair", CLOSED_FORMS, ids=lambda pair: "-".join(c.__name__ for c in pair))
def test_a_closed_form_is_the_mean_of_the_estimate(pair):
    made: dict[type[Distribution], LatentDistribution] = {
        Normal: normal(1),
        StandardNormal: StandardNormal(LATENT, torch.device("cpu")),
    }
    q, p = made[pair[0]].expand(20_000), made[pair[1]]
    torch.manual_seed(2)
    z = q.sample()
    each = q.log_prob(z) - p.log_prob(z)
    wanted = kl_divergence(made[pair[0]], p, z[:1]).sum()
    assert abs(each.mean() - wanted) < 5 * each.std() / math.sqrt(len(z)) + 1e-9


def test_other_pairs_are_estimated_by_the_draw():
    q, p = normal(4), Mixture(normal(3))
    z = q.sample()
    torch.testing.assert_close(kl_divergence(q, p, z), (q.log_prob(z) - p.log_prob(z))[:, None])


@pytest.mark.parametrize("name", HEADS)
def test_every_head_gives_probabilities_and_draws_by_them(name):
    """The levels sum to one, the mean lies in the range, and draws have their frequencies."""
    levels = 2
    spec = ImageSpec(1, 1, 2, levels)
    made = head(spec, name, HeadOptions(components=2))
    torch.manual_seed(3)
    out = torch.randn(1, made.per_pixel, 1, 2).double()
    with torch.no_grad():
        p = made(out)
        values = from_levels(torch.arange(levels), levels)
        each = torch.stack([p.log_prob(v.expand(p.shape)).exp() for v in values])
        torch.testing.assert_close(each.sum(0), torch.ones(p.shape, dtype=torch.double))
        assert ((p.mean >= 0) & (p.mean <= 1)).all()
        many = made(out.expand(20_000, -1, -1, -1)).sample()
    white = (many > 0).double().mean(0)
    torch.testing.assert_close(white, each[1, 0], atol=5 * 0.5 / math.sqrt(20_000), rtol=0)


@pytest.mark.parametrize("levels", [2, 5, 256])
def test_dequantised_images_lie_in_their_bins(levels):
    x = from_levels(torch.arange(levels).repeat(50).view(-1, 1, 1, 2), levels)
    u = dequantise(x, levels)
    assert ((u >= 0) & (u < 1)).all()
    assert torch.equal(requantise(u, levels), x)


def test_a_density_of_dequantised_images_bounds_the_probability():
    """A Gaussian density against the probabilities of its bins: E[bound] <= log P, and nearly
    equal where a bin is narrow."""
    torch.manual_seed(4)
    for levels, gap in ((3, 1.0), (256, 1e-2)):
        with double():
            inner = torch.randint(1, levels - 1, (1, 1, 2, 2))  # the outer bins reach to infinity
            x = from_levels(inner, levels).expand(20_000, -1, -1, -1)
            u = dequantise(x, levels)
            # levels at 0..1 in dequantised units have their centres half a bin from the edges
            width = (levels - 1) / levels
            s = (2 * u - 1) / width
            loc, log_sigma = torch.zeros(x.shape), torch.full(x.shape, -1.0)
            exact = DiscretisedGaussian(loc[:1], log_sigma[:1], levels).log_prob_of_example(x[:1])
            density = D.Normal(loc, log_sigma.exp()).log_prob(s) + math.log(2 / width)
            bound = log_prob_bound(density.flatten(1).sum(1), 4, levels)
        slack = 4 * bound.std() / math.sqrt(len(bound))
        assert exact - gap < bound.mean() - slack
        assert bound.mean() < exact + slack


def test_distributions_are_offered_by_name():
    for name in ptheta.distributions.__all__:
        assert getattr(ptheta.distributions, name).__module__.startswith("ptheta.distributions.")
