"""ELBO <= importance bound <= log p, against a linear-Gaussian model with a closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import distributions as D

from ptheta.distributions.gaussian import log_normal, log_standard_normal
from ptheta.distributions.kl import kl_standard_normal
from ptheta.distributions.latents import Normal
from ptheta.distributions.pixels import PixelDistribution
from ptheta.games import freeze_others
from ptheta.losses.adversarial import LOSSES, non_saturating
from ptheta.models.variational.vae import VAE, VAEConfig
from ptheta.specs import ImageSpec
from tests.conftest import tiny

PIXELS, LATENT, SIGMA = 4, 2, 40.0


class Gaussian(PixelDistribution):
    """N(loc, SIGMA^2) on the pixel values 0..255 taken as reals."""

    levels = 256

    def __init__(self, loc: torch.Tensor) -> None:
        self.loc = loc

    @property
    def shape(self) -> torch.Size:
        return self.loc.shape

    @property
    def device(self) -> torch.device:
        return self.loc.device

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        return D.Normal(self.loc, SIGMA).log_prob(x.double())

    def icdf(self, u: torch.Tensor) -> torch.Tensor:
        return D.Normal(self.loc, SIGMA).icdf(u).round().clamp(0, 255).byte()

    @property
    def mean(self) -> torch.Tensor:
        return self.loc / 255


class LinearGaussian(VAE):
    """x = W z + b + SIGMA e: log p(x) = log N(x; b, W W^T + SIGMA^2 I) exactly."""

    def __init__(self, offset: float) -> None:
        super().__init__(ImageSpec(1, 2, 2), VAEConfig(latent=LATENT, hidden=(4,)))
        torch.manual_seed(0)
        self.w = 60 * torch.randn(PIXELS, LATENT, dtype=torch.double)
        self.b = torch.full((PIXELS,), 128.0, dtype=torch.double)
        # the exact posterior is N(S W^T (x - b) / s^2, S), S = (I + W^T W / s^2)^-1;
        # offset 0 gives a diagonal approximation of it, offset > 0 a worse one
        self.cov = torch.linalg.inv(
            torch.eye(LATENT, dtype=torch.double) + self.w.T @ self.w / SIGMA**2
        )
        self.offset = offset

    def posterior(self, x, condition=None):
        mean = (x.double().flatten(1) - self.b) @ self.w @ self.cov / SIGMA**2
        variance = 1 / torch.linalg.inv(self.cov).diagonal()  # the best diagonal one
        return Normal(mean + self.offset, variance.log().expand_as(mean))

    def likelihood(self, z, condition=None):
        return Gaussian((z.double() @ self.w.T + self.b).view(-1, 1, 2, 2))

    def exact(self, x):
        cov = self.w @ self.w.T + SIGMA**2 * torch.eye(PIXELS, dtype=torch.double)
        return D.MultivariateNormal(self.b, cov).log_prob(x.double().flatten(1))


@pytest.mark.parametrize("offset", [0.0, 0.2])
def test_bounds_are_ordered_and_tighten_to_the_closed_form(offset):
    model = LinearGaussian(offset)
    torch.manual_seed(1)
    x = torch.randint(60, 200, (8, 1, 2, 2), dtype=torch.uint8)
    exact = model.exact(x)
    repeats = 400
    wide = x.repeat(repeats, 1, 1, 1)
    elbo = model.elbo(wide).view(repeats, -1)
    ten = model.importance_bound(wide, 10).view(repeats, -1)
    many = model.importance_bound(x, 20_000)
    slack = 4 * elbo.std(0) / math.sqrt(repeats)
    assert (elbo.mean(0) < ten.mean(0) + slack).all()
    assert (ten.mean(0) < exact + slack).all()
    torch.testing.assert_close(many, exact, atol=0.05, rtol=0)
    if offset:
        assert (elbo.mean(0) < ten.mean(0)).all()


def test_importance_bound_with_one_sample_is_the_elbo_in_expectation():
    model = LinearGaussian(0.3)
    x = torch.randint(60, 200, (1, 1, 2, 2), dtype=torch.uint8).repeat(20_000, 1, 1, 1)
    torch.manual_seed(2)
    a, b = model.elbo(x), model.importance_bound(x, 1)
    spread = 4 * math.hypot(a.std().item(), b.std().item()) / math.sqrt(len(x))
    assert abs(a.mean() - b.mean()).item() < spread


@pytest.mark.parametrize("k", [1, 3, 7, 64])
def test_importance_bound_uses_exactly_k_samples(k, monkeypatch):
    model = tiny("vae", ImageSpec(1, 8, 8, 2))
    used = []
    kept = model.likelihood

    def counted(z, condition=None):
        used.append(len(z))
        return kept(z)

    monkeypatch.setattr(model, "likelihood", counted)
    model.importance_bound(torch.zeros(5, 1, 8, 8, dtype=torch.uint8), k)
    assert sum(used) == 5 * k


def test_kl_matches_torch_distributions():
    torch.manual_seed(0)
    mean, log_var = torch.randn(6, 5).double(), torch.randn(6, 5).double()
    q = D.Normal(mean, (0.5 * log_var).exp())
    prior = D.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    wanted = D.kl_divergence(q, prior)
    torch.testing.assert_close(kl_standard_normal(mean, log_var), wanted)
    z = torch.randn(6, 5).double()
    torch.testing.assert_close(log_normal(z, mean, log_var), q.log_prob(z).sum(-1))
    torch.testing.assert_close(log_standard_normal(z), prior.log_prob(z).sum(-1))


def test_elbo_is_a_sum_over_pixels_without_hidden_weights():
    """With a posterior equal to the prior and a decoder that gives p = 1/2: -D log 2."""
    model = tiny("vae", ImageSpec(1, 8, 8, 2))
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    x = torch.randint(0, 2, (4, 1, 8, 8), dtype=torch.uint8) * 255
    torch.testing.assert_close(model.elbo(x), torch.full((4,), -64 * math.log(2)))


def test_discriminator_at_its_optimum_gives_the_jensen_shannon_divergence():
    """E[loss] = 2 log 2 - 2 JSD(p, q) for D = p / (p + q) on discrete distributions."""
    p, q = torch.tensor([0.5, 0.3, 0.2, 0.0]).double(), torch.tensor([0.1, 0.2, 0.3, 0.4]).double()
    d = torch.log(p + 1e-300) - torch.log(q)  # logits of the optimal D
    loss = LOSSES["non_saturating"].discriminator
    zero = torch.zeros_like(d)
    # the loss is a sum of a part on real and a part on fake data
    real = loss(d, zero) - math.log(2)
    fake = loss(zero, d) - math.log(2)
    m = (p + q) / 2
    jsd = 0.5 * (torch.xlogy(p, p / m).sum() + torch.xlogy(q, q / m).sum())
    expected = 2 * math.log(2) - 2 * jsd
    torch.testing.assert_close((p * real).sum() + (q * fake).sum(), expected)


def test_generator_loss_is_minus_log_d():
    d = torch.linspace(-50, 50, 11).double()
    wanted = -torch.log(torch.sigmoid(d))
    torch.testing.assert_close(non_saturating(d), wanted)


def test_only_restores_what_the_user_froze():
    model = tiny("dcgan", ImageSpec(1, 16, 16))
    game = model.game()
    chosen = next(iter(model.generator.parameters()))
    chosen.requires_grad_(False)
    with freeze_others(model, game.players["discriminator"]):
        assert not any(p.requires_grad for p in model.generator.parameters())
        assert all(p.requires_grad for p in model.discriminator.parameters())
    assert not chosen.requires_grad
    assert sum(p.requires_grad for p in model.generator.parameters()) == (
        len(list(model.generator.parameters())) - 1
    )
