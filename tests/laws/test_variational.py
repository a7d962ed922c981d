"""The variational family: closed forms, bounds in their order, gradients, conditions, schedules."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import distributions as D

import ptheta
from ptheta.batch import Batch
from ptheta.capabilities import HasBound
from ptheta.distributions.active_units import ACTIVE_KL, ACTIVE_VARIANCE, active_units
from ptheta.distributions.kl import kl_divergence, kl_normal
from ptheta.distributions.latents import Flow, Mixture, Normal, StandardNormal
from ptheta.errors import PthetaError
from ptheta.games import Clock
from ptheta.metrics.ais import ais, annealed_log_mean, temperatures
from ptheta.models.variational.collapse import CollapseMonitor
from ptheta.models.variational.iwae import GRADIENTS
from ptheta.models.variational.priors import PRIORS
from ptheta.nets.flow import masked_flow
from ptheta.specs import ImageSpec
from tests.conftest import tiny
from tests.laws.test_bounds import LinearGaussian

SPEC = ImageSpec(1, 8, 8, 2)


def binary(n: int = 6, spec: ImageSpec = SPEC) -> torch.Tensor:
    torch.manual_seed(5)
    return torch.randint(0, 2, (n, *spec.shape), dtype=torch.uint8) * 255


def posterior(n: int = 6, size: int = 3) -> Normal:
    torch.manual_seed(1)
    return Normal(torch.randn(n, size).double(), torch.randn(n, size).double())


def test_general_kl_matches_torch_distributions():
    q, p = posterior(), Normal(torch.randn(6, 3).double(), torch.randn(6, 3).double())
    wanted = D.kl_divergence(
        D.Normal(q.mean, (0.5 * q.log_var).exp()), D.Normal(p.mean, (0.5 * p.log_var).exp())
    )
    torch.testing.assert_close(kl_normal(q.mean, q.log_var, p.mean, p.log_var), wanted)
    torch.testing.assert_close(kl_divergence(q, p, q.sample()), wanted)


def test_a_mixture_prior_is_its_density():
    parts = posterior(5)
    mixture = Mixture(parts)
    wanted = D.MixtureSameFamily(
        D.Categorical(torch.ones(5).double()),
        D.Independent(D.Normal(parts.mean, (0.5 * parts.log_var).exp()), 1),
    )
    z = torch.randn(7, 3).double()
    torch.testing.assert_close(mixture.log_prob(z), wanted.log_prob(z))
    torch.manual_seed(0)
    drawn = mixture.expand(20_000).sample()
    torch.testing.assert_close(drawn.mean(0), parts.mean.mean(0), atol=0.05, rtol=0)


def test_a_flow_prior_is_a_density():
    torch.manual_seed(0)
    flow = Flow(masked_flow(1, 2, 8)())
    z = torch.linspace(-12, 12, 4001)[:, None]
    with torch.no_grad():
        total = torch.trapezoid(flow.log_prob(z).exp(), z[:, 0])
        assert flow.expand(5).sample().shape == (5, 1)
    assert total.item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("prior", PRIORS)
def test_kl_estimates_agree_with_the_definition(prior):
    """E_q[log q - log p] over many draws, and the term that the model trains on."""
    model = tiny("vae", SPEC, prior=prior, pseudo_inputs=4).eval()
    x = binary(1)
    wide = x.expand(20_000, -1, -1, -1)
    with torch.no_grad():
        kl = model.negative_elbo(wide, model.posterior(wide))["kl"].sum(1)
        q, p = model.posterior(x), model.prior()
        z = q.expand(20_000).sample()
        wanted = q.log_prob(z) - p.log_prob(z)
    slack = 4 * math.hypot(kl.std().item(), wanted.std().item()) / math.sqrt(20_000) + 1e-5
    assert abs(kl.mean() - wanted.mean()).item() < slack


@pytest.mark.parametrize("prior", PRIORS)
def test_every_prior_learns(prior):
    model = tiny("vae", SPEC, prior=prior, pseudo_inputs=4)
    terms = model.loss(Batch(binary()))
    sum(t.sum() for t in terms.values()).backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name


@pytest.mark.parametrize("prior", PRIORS)
def test_several_draws_have_the_mean_of_one_and_less_noise(prior):
    """The mean over draws is the same, the variance that of one over their number."""
    one = tiny("vae", SPEC, prior=prior, pseudo_inputs=4)
    many = tiny("vae", SPEC, prior=prior, pseudo_inputs=4, draws=8)
    many.load_state_dict(one.state_dict())
    x = binary(1).repeat(2000, 1, 1, 1)
    with torch.no_grad():
        a, b = (model.loss(Batch(x))["reconstruction"] for model in (one, many))
        kl = many.loss(Batch(x))["kl"]
    assert kl.shape[0] == len(x)
    slack = 4 * math.hypot(a.std().item(), b.std().item()) / math.sqrt(len(x))
    assert abs(a.mean() - b.mean()).item() < slack
    assert 5 < (a.var() / b.var()).item() < 12


TERMS: dict[str, dict[str, Any]] = {"kl": {"kl_only": True}, "error": {"beta": 0.0}, "both": {}}


def test_kl_only_learns_the_prior_and_beta_0_codes_without_one(tmp_path, strokes):
    """Where one term of the ELBO is left out: posteriors that are the prior, and narrow ones."""
    found = {}
    for name, options in TERMS.items():
        run = ptheta.train(
            "vae", strokes, tmp_path / name, hidden=(32,), latent=2, steps=150, lr=5e-3, **options
        )
        model, x = run.model(), run.data("test").batch(slice(0, 20)).x
        assert isinstance(model, HasBound)
        with torch.no_grad():
            found[name] = model.bound_terms(x)
        assert not (run.path / "warnings.jsonl").exists()
    assert found["kl"]["kl"].mean() < 0.01
    assert found["error"]["kl"].mean() > 1.2 * found["both"]["kl"].mean()
    assert found["kl"]["reconstruction"].mean() > found["both"]["reconstruction"].mean()


def test_bounds_of_a_decoder_are_ordered():
    """E[ELBO] <= E[IWAE-5] <= log p for a network with two latent dimensions."""
    model = tiny("iwae", SPEC, latent=2, samples=5).eval()
    x = binary(4)
    many = x.repeat(2000, 1, 1, 1)
    with torch.no_grad():
        elbo = model.elbo(many).view(2000, 4)
        iwae = -model.loss(Batch(many))["bound"].view(2000, 4)
        exact = model.importance_bound(x, 20_000)
    assert (elbo.mean(0) < iwae.mean(0)).all()
    assert (iwae.mean(0) < exact + 4 * iwae.std(0) / math.sqrt(2000)).all()


def test_iwae_with_one_sample_is_the_elbo():
    """The same noise, KL by the sample: exactly; in expectation: the closed form."""
    model = tiny("iwae", SPEC, samples=1).eval()
    x = binary(3)
    with torch.no_grad():
        q = model.posterior(x)
        torch.manual_seed(3)
        bound = model.bound(x, q)
        torch.manual_seed(3)
        z = q.sample()
        single = model.log_likelihood(x, z) + model.log_prior(z) - q.log_prob(z)
        torch.testing.assert_close(bound, single)
        wide = x[:1].expand(20_000, -1, -1, -1)
        a, b = model.bound(wide, model.posterior(wide)), model.elbo(wide)
    spread = 4 * math.hypot(a.std().item(), b.std().item()) / math.sqrt(20_000)
    assert abs(a.mean() - b.mean()).item() < spread


def encoder_gradients(gradient: str, repeats: int) -> torch.Tensor:
    """Gradients of the bound of one image in a parameter of the encoder: (repeats, size)."""
    model = tiny("iwae", SPEC, samples=8, gradient=gradient)
    x, found = binary(1), []
    weight = list(model.encoder.parameters())[-1]  # means and log-variances
    torch.manual_seed(2)
    for _ in range(repeats):
        model.zero_grad()
        model.bound(x, model.posterior(x)).sum().backward()
        assert weight.grad is not None
        found.append(weight.grad.clone())
    return torch.stack(found)


def test_doubly_reparametrised_gradient_has_the_same_mean_and_less_variance():
    a = encoder_gradients("standard", 1500)
    b = encoder_gradients("doubly-reparametrised", 1500)
    error = ((a.var(0) + b.var(0)) / 1500).sqrt() + 1e-7
    assert ((a.mean(0) - b.mean(0)).abs() / error).mean() < 1.5
    assert b.var(0).sum() < a.var(0).sum()


def test_every_gradient_of_the_bound_has_its_value_and_the_decoder_gradient():
    found = []
    for gradient in GRADIENTS:
        model = tiny("iwae", SPEC, samples=8, gradient=gradient)
        torch.manual_seed(4)
        bound = model.bound(binary(), model.posterior(binary())).sum()
        bound.backward()
        found.append((bound.detach(), [p.grad.clone() for p in model.decoder.parameters()]))
    for value, gradients in found[1:]:
        torch.testing.assert_close(value, found[0][0])
        for g, h in zip(gradients, found[0][1], strict=True):
            torch.testing.assert_close(g, h, rtol=1e-3, atol=1e-4)


# -- conditions

ATTRIBUTES = ptheta.Attributes(("round", "red"))


@pytest.mark.parametrize(
    "options", [{"classes": 3}, {"condition": ATTRIBUTES}, {"learned_prior": True}]
)
def test_a_conditional_vae_uses_its_condition_in_both_networks(options):
    model = tiny("cvae", SPEC, **options).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    x, z = binary(2), torch.randn(2, 3)
    if "condition" in options:
        a, b = torch.tensor([[1.0, 0.0]] * 2), torch.tensor([[0.0, 1.0]] * 2)
    else:
        a, b = torch.tensor([0, 0]), torch.tensor([1, 1])
    with torch.no_grad():
        assert not torch.allclose(model.posterior(x, a).mean, model.posterior(x, b).mean)
        assert not torch.allclose(
            model.likelihood(z, a).log_prob(x), model.likelihood(z, b).log_prob(x)
        )
        same = torch.allclose(model.log_prior(z, a), model.log_prior(z, b))
        assert same == (not options.get("learned_prior"))
        # the bound holds for each condition
        wide = x[:1].expand(4000, -1, -1, -1)
        elbo = model.elbo(wide, a[:1].expand(4000, *a.shape[1:]))
        tight = model.importance_bound(x[:1], 20_000, a[:1])
    assert elbo.mean() < tight[0] + 4 * elbo.std() / math.sqrt(4000)


def test_a_conditional_vae_refuses_what_it_cannot_use():
    model = tiny("cvae", SPEC, condition=ATTRIBUTES)
    for call in (model.elbo, model.encode):
        with pytest.raises(PthetaError, match="attributes and got none"):
            call(binary())
    with pytest.raises(PthetaError, match="this model takes"):
        model.elbo(binary(), torch.zeros(6, 5))
    with pytest.raises(PthetaError, match="cannot depend on a condition"):
        tiny("cvae", SPEC, prior="vamp")


# -- the discretised Gaussian


@pytest.mark.parametrize("sigma", ["pixel", "shared", "fixed"])
@pytest.mark.parametrize("levels", [2, 16, 256])
def test_gaussian_decoders_give_probabilities(sigma, levels):
    model = tiny("vae", ImageSpec(1, 4, 4, levels), likelihood="gaussian", sigma=sigma)
    z = torch.randn(3, 3)
    values = torch.arange(levels).mul(255 / (levels - 1)).round().byte()
    p = model.likelihood(z)
    total = sum(p.log_prob(torch.full(p.shape, int(v), dtype=torch.uint8)).exp() for v in values)
    torch.testing.assert_close(total, torch.ones(p.shape), rtol=1e-4, atol=1e-4)
    learned = [n for n, _ in model.named_parameters() if "sigma" in n]
    assert bool(learned) == (sigma == "shared")
    x = torch.zeros(p.shape, dtype=torch.uint8)
    p.log_prob(x).sum().backward()
    assert all(q.grad.isfinite().all() for q in model.parameters() if q.grad is not None)


def test_rows_of_an_image_share_its_pixels():
    for spec, kind in ((SPEC, "bernoulli"), (ImageSpec(3, 4, 4), "logistic")):
        model = tiny("vae", spec, likelihood=kind)
        x, z = torch.randint(0, 2, (2, *spec.shape), dtype=torch.uint8) * 255, torch.randn(6, 3)
        p = model.likelihood(z)
        wanted = p.log_prob(x.repeat(3, 1, 1, 1)).flatten(1).sum(1)
        torch.testing.assert_close(p.log_prob_of_example(x), wanted)


# -- annealed importance sampling


def test_annealing_finds_a_known_integral():
    """A Gaussian target with mass e^3, from N(0, I)."""
    torch.manual_seed(0)
    start = StandardNormal(2, torch.device("cpu"))
    target = Normal(torch.tensor([[1.5, -1.0]]), torch.tensor([[-2.0, -1.0]]))
    z = start.expand(64 * 2).sample()
    found, rate = annealed_log_mean(
        start.log_prob, lambda z: target.log_prob(z) + 3, z, 2, steps=200
    )
    torch.testing.assert_close(found, torch.full((2,), 3.0).double(), atol=0.1, rtol=0)
    assert ((rate > 0.4) & (rate < 0.95)).all()
    b = temperatures(10)
    assert b[0] == 0
    assert b[-1] == 1
    assert (b.diff() > 0).all()


@pytest.mark.parametrize("start", ["prior", "posterior"])
def test_annealing_finds_the_closed_form_of_a_linear_gaussian_model(start):
    model = LinearGaussian(0.2)
    torch.manual_seed(1)
    x = torch.randint(60, 200, (4, 1, 2, 2), dtype=torch.uint8)
    found, _ = ais(model, x, chains=32, steps=200, start=start)
    torch.testing.assert_close(found, model.exact(x), atol=0.1, rtol=0)


def test_annealing_leaves_the_model_as_it_was():
    model = tiny("avb", SPEC)
    frozen = next(model.parameters()).requires_grad_(False)
    ais(model, binary(2), chains=2, steps=5)
    assert not frozen.requires_grad
    assert all(p.requires_grad and p.grad is None for p in list(model.parameters())[1:])


# -- adversarial variational Bayes


def test_the_moments_of_avb_are_those_of_its_draws():
    model = tiny("avb", SPEC).eval()
    with torch.no_grad():
        share, a, _ = model.parts(binary(1).float() / 127.5 - 1)
        share = torch.full_like(share, 0.7)  # much of what is not Gaussian
        u = model.mixed(share.expand(50_000, -1), a.expand(50_000, -1, -1))
    torch.testing.assert_close(u.mean(0), torch.zeros(3), atol=0.08, rtol=0)
    torch.testing.assert_close(u.var(0), torch.ones(3), atol=0.15, rtol=0)
    correlated = u.T.corrcoef() - torch.eye(3)
    assert correlated.abs().max() > 0.05  # the dimensions share their noise


def test_avb_with_its_best_discriminator_is_the_elbo():
    """All Gaussian (share 0), T = 0 is right, and the bound is that of its Gaussian."""
    model = tiny("avb", SPEC, gaussian=1.0).eval()
    with torch.no_grad():
        for p in model.critic["rest"][-1].parameters():
            p.zero_()
    wide = binary(1).repeat(20_000, 1, 1, 1)
    with torch.no_grad():
        batch = Batch(wide)
        terms = model.inference_loss(batch, model.prepare(batch, Clock(1, frozenset({"avb"}))))
        a, b = -(terms["reconstruction"] + terms["kl"].sum(1)), model.elbo(wide)
    slack = 4 * math.hypot(a.std().item(), b.std().item()) / math.sqrt(20_000)
    assert abs(a.mean() - b.mean()).item() < slack


# -- what belongs to the training


def test_collapse_is_named():
    of_vae, of_iwae = CollapseMonitor("vae"), CollapseMonitor("iwae")
    assert of_vae({"vae/kl": 25.0, "vae/active_units": 20.0}) == {}
    (said,) = of_vae({"vae/kl": 0.01, "vae/active_units": 0.0}).values()
    assert "posterior collapse" in said
    assert of_iwae({"iwae/bound": 90.0, "iwae/active_units": 3.0}) == {}
    assert (
        "posterior collapse: 0 dimensions"
        in of_iwae({"iwae/bound": 90.0, "iwae/active_units": 0.2})["posterior collapse"]
    )
    assert of_vae({"generator/diversity": 0.5, "iwae/active_units": 0.2}) == {}


@pytest.mark.parametrize("name", ["vae", "iwae", "cvae", "avb", "vae-gan"])
def test_the_monitor_reads_what_its_game_logs(name):
    """By the names that the training gives them: player/term and player/number logged."""
    model = tiny(name, SPEC)
    game = model.game()
    y = torch.arange(6) % 3 if name == "cvae" else None
    batch = Batch(binary(), y)
    shared = game.prepare(batch, Clock(1, frozenset(game.players))) if game.prepare else None
    logged: dict[str, float] = {}
    for move in game.moves:
        batch.logs.clear()
        found = {**move.loss(batch, shared), **batch.logs}
        logged |= {f"{move.player}/{key}": value.mean().item() for key, value in found.items()}
    assert f"{game.monitor.player}/active_units" in logged
    assert (f"{game.monitor.player}/kl" in logged) == (name != "iwae")


@given(signal=st.floats(0, 0.99))
def test_a_unit_is_active_where_it_moves_and_carries_information(signal):
    """Of a Gaussian channel z = s + noise of variance 1 - Var s, the mean KL is -log(1 - Var s) / 2
    nats: a Var s of 0.01 to 0.18 moves and carries less than a tenth of a nat."""
    n = 20_001
    s = torch.special.ndtri((torch.arange(n, dtype=torch.double) + 0.5) / n)[:, None]
    s = s / s.std() * math.sqrt(signal)
    q = Normal(s, torch.full_like(s, math.log(1 - signal)))
    kl = -0.5 * math.log(1 - signal)
    assume(abs(signal - ACTIVE_VARIANCE) > 1e-3 and abs(kl - ACTIVE_KL) > 1e-3)
    counts = {name: value.item() for name, value in active_units(q).items()}
    assert counts["active_by_variance"] == (signal > ACTIVE_VARIANCE)
    assert counts["active_units"] == (signal > ACTIVE_VARIANCE and kl > ACTIVE_KL)


def test_nothing_to_learn_by_is_refused(tmp_path):
    with pytest.raises(PthetaError, match="beta = 0 removes the kl term"):
        ptheta.train("vae", "points-moons", tmp_path / "r", kl_only=True, beta=0.0)
    assert not (tmp_path / "r").exists()
