"""Diffusion and flow matching: closed forms of paths, bounds, velocities and densities."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ptheta.api.training import create
from ptheta.batch import Batch
from ptheta.data.image_data import ImageDataset
from ptheta.errors import PthetaError
from ptheta.metrics.likelihood import likelihood
from ptheta.models.diffusion import ode
from ptheta.models.diffusion.base import least_deviation, most_deviation
from ptheta.models.diffusion.ddpm import DDPM, log_bin
from ptheta.models.diffusion.flow_matching import FlowMatching
from ptheta.models.diffusion.pairing import transported
from ptheta.models.diffusion.paths import PREDICTIONS, SCHEDULES, Diffused, Path, Straight
from ptheta.specs import ImageSpec, VectorSpec
from ptheta.tasks.log_p import log_p_of
from ptheta.tasks.stepped import stepped
from tests.conftest import VECTORS, examples, tiny
from tests.laws.test_flows import shaken

POINTS = VectorSpec.of(2)
IMAGES = ImageSpec(1, 7, 9, 8)
BOTH = ["ddpm", "flow-matching"]
MEAN, SPREAD = torch.tensor([0.5, -1.0]), torch.tensor([0.7, 0.3])  # of a Gaussian of points


def times(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# -- paths


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_many_small_steps_of_noise_are_one_large_one(schedule):
    """q(x_t | x) of one-step kernels q(x_t | x_{t-1}), composed by their moments."""
    path = Diffused(schedule, 50)
    mean, variance = 1.0, 0.0
    for t in range(1, 51):
        kept = float(path.kept[t] / path.kept[t - 1])
        mean, variance = mean * kept**0.5, variance * kept + 1 - kept
        c = path.at(times(t / 50), torch.zeros(1, 1, dtype=torch.float64))
        assert c.alpha.item() == pytest.approx(mean)
        assert c.sigma.item() ** 2 == pytest.approx(variance)
    assert path.kept[-1] < 1e-3


PATHS: list[Path] = [Diffused("linear", 100), Diffused("cosine", 100), Straight(0.0, "v")]


@pytest.mark.parametrize("path", PATHS)
def test_the_deviation_of_a_step_is_that_of_the_posterior(path):
    """q(x_u | x_s, x) by conditioning the joint Gaussian of x_u and x_s given x."""
    like = torch.zeros(1, 1, dtype=torch.float64)
    for s, u in ((0.9, 0.85), (0.5, 0.3), (0.02, 0.01)):
        now, then = path.at(times(s), like), path.at(times(u), like)
        share = now.alpha / then.alpha
        covariance = share * then.sigma**2  # of x_s = share x_u + noise
        variance = then.sigma**2 - covariance**2 / now.sigma**2
        torch.testing.assert_close(least_deviation(now, then) ** 2, variance)
        torch.testing.assert_close(
            most_deviation(now, then) ** 2, now.sigma**2 - share**2 * then.sigma**2
        )


@pytest.mark.parametrize("name", BOTH)
def test_a_step_of_the_chain_has_the_moments_of_the_posterior(name):
    model = tiny(name, POINTS).double().eval()
    x, n = torch.tensor([[0.3, -0.8]], dtype=torch.float64), 200_000
    s, u = 0.6, 0.5
    now = model.path.at(times(s), x)
    then = model.path.at(times(u), x)
    x_s = now.noised(x, torch.tensor([[1.1, -0.4]], dtype=torch.float64))
    share = now.alpha / then.alpha
    gain = share * then.sigma**2 / now.sigma**2
    mean = then.alpha * x + gain * (x_s - now.alpha * x)
    torch.manual_seed(0)
    many = [t.expand(n, 2) for t in (x_s, x)]
    drawn = model.step(many[0], times(s).expand(n), times(u).expand(n), many[1], 1.0)
    torch.testing.assert_close(drawn.mean(0, keepdim=True), mean, atol=5e-3, rtol=0)
    wanted = least_deviation(now, then).expand(1, 2)
    torch.testing.assert_close(drawn.std(0, keepdim=True), wanted, atol=5e-3, rtol=0)


@pytest.mark.parametrize("path", PATHS)
def test_what_is_predicted_tells_the_example_whatever_it_is(path):
    torch.manual_seed(0)
    x, e = torch.randn(6, 3).double(), torch.randn(6, 3).double()
    c = path.at(times(0.05, 0.2, 0.4, 0.6, 0.8, 0.95), x)
    x_s, near = c.noised(x, e), x + 0.01 * torch.randn(6, 3).double()
    outputs = {"noise": e, "x": x, "v": c.v(x, e)}
    others = {"noise": c.noise(x_s, near), "x": near, "v": c.v(near, c.noise(x_s, near))}
    for name, entry in PREDICTIONS.items():
        torch.testing.assert_close(entry.x(outputs[name], x_s, c), x)
        torch.testing.assert_close(entry.target(x, e, c), outputs[name])
        lost = entry.weight(c) * (near - x).square()
        torch.testing.assert_close(lost, (others[name] - outputs[name]).square())


def test_the_velocity_is_the_derivative_of_the_path():
    path, x, e = Straight(0.1, "v"), torch.tensor([[2.0]]).double(), torch.tensor([[-1.0]]).double()
    h = 1e-6
    ahead, behind = (path.at(times(s), x).noised(x, e) for s in (0.4 - h, 0.4 + h))
    torch.testing.assert_close((ahead - behind) / (2 * h), path.at(times(0.4), x).v(x, e))


# -- the bound


class Knowing(DDPM):
    """Of points that are N(MEAN, SPREAD^2): the network is the closed form of E[x | x_s]."""

    def output(self, x_s: Tensor, s: Tensor, given: Tensor | None) -> Tensor:
        c, variance = self.path.at(s, x_s), SPREAD.square().to(x_s)
        gain = c.alpha * variance / (c.alpha**2 * variance + c.sigma**2)
        mean = MEAN.to(x_s)
        return mean + gain * (x_s - c.alpha * mean)


def knowing(steps: int, **options: Any) -> Knowing:
    model = tiny("ddpm", POINTS, noise_steps=steps, prediction="x", **options)
    model.__class__ = Knowing
    return model.double().eval()


@pytest.mark.parametrize("variance", ["small", "large"])
def test_the_bound_is_below_log_p_of_a_gaussian_and_nears_it(variance):
    """With the variance of q(x_t | x_{t-1}), which is that of p where the density is smooth; the
    other one falls short by some tenths of a nat however many steps there are."""
    torch.manual_seed(0)
    x = MEAN + SPREAD * torch.randn(2000, 2)
    exact = torch.distributions.Normal(MEAN, SPREAD).log_prob(x).sum(1).double()
    gaps = []
    for steps in (4, 16, 64, 256):
        model = knowing(steps, variance=variance, bound_draws=1000)
        with torch.no_grad():
            lost = exact - model.elbo(x)
        assert lost.mean() > -3 * lost.std() / len(x) ** 0.5
        gaps.append(lost.mean().item())
    if variance == "large":
        assert gaps == sorted(gaps, reverse=True)
        assert gaps[-1] < 0.1


def test_some_terms_of_the_bound_are_all_of_them_in_the_mean():
    model = tiny("ddpm", IMAGES, noise_steps=21).eval()
    x = examples(IMAGES, 1).expand(3000, -1, -1, -1)
    shaken(model, 0.05)
    with torch.no_grad():
        every = model._terms(x, None, 20)["denoising"]
        few = model._terms(x, None, 3)["denoising"]
    error = (every.var() + few.var()).div(len(x)).sqrt()
    assert (every.mean() - few.mean()).abs() < 4 * error
    assert few.std() > every.std()


def test_terms_of_the_bound_are_kl_divergences():
    """L_T and L_{t-1}, against the KL of Gaussians of torch."""
    normal = torch.distributions.Normal
    for variance in ("small", "large"):
        model = knowing(8, variance=variance)
        w = torch.tensor([[0.4, -1.3]], dtype=torch.float64)
        c = model.path.at(times(1.0), w)
        end = torch.distributions.kl_divergence(
            normal(c.alpha * w, c.sigma.expand(1, 2)), normal(0, 1)
        )
        torch.testing.assert_close(model._last(w), end.sum(1))
        t = times(5.0)
        torch.manual_seed(0)
        found = model.term(w, t)
        torch.manual_seed(0)
        now, then = model.path.at(t / 8, w), model.path.at((t - 1) / 8, w)
        x_s = now.noised(w, torch.randn(1, 2, dtype=torch.float64))
        guess = model.denoised(x_s, t / 8, None, 1.0)
        gain = now.alpha / then.alpha * then.sigma**2 / now.sigma**2
        means = [then.alpha * x + gain * (x_s - now.alpha * x) for x in (w, guess)]
        least = least_deviation(now, then).expand(1, 2)
        own = least if variance == "small" else most_deviation(now, then).expand(1, 2)
        kl = torch.distributions.kl_divergence(normal(means[0], least), normal(means[1], own))
        torch.testing.assert_close(found, kl.sum(1))


@pytest.mark.parametrize("deviation", [0.003, 0.1, 5.0])
def test_the_probabilities_of_all_levels_sum_to_one(deviation):
    levels = torch.linspace(-1, 1, 16, dtype=torch.float64)
    for mean in (-1.0, -0.21, 0.0, 0.7, 1.0):
        p = log_bin(levels, torch.tensor(mean).double(), 1 / 15, deviation).exp()
        assert p.sum().item() == pytest.approx(1)
    far = log_bin(levels, torch.tensor(1.0).double(), 1 / 15, deviation)
    assert far.isfinite().all()


def test_a_prediction_beyond_black_costs_nothing():
    model = tiny("ddpm", IMAGES, free_edges=0.02)
    x, guess = torch.tensor([[-1.0, -1, 1, 0.2]]), torch.tensor([[-1.5, 0.5, 1.2, -1.5]])
    torch.testing.assert_close(model.error(x, guess), torch.tensor([[0.0, 1.5, 0.0, -1.7]]))
    near, guess = torch.tensor([[0.97, 0.97, 0.95, -0.97]]), torch.tensor([[1.0, 0.9, 1, -1.1]])
    torch.testing.assert_close(model.error(near, guess), torch.tensor([[0.0, -0.07, 0.05, 0]]))
    assert tiny("ddpm", IMAGES, free_edges=0.0).error(x, guess)[0, 0] == 2.0


# -- samples


def test_ddim_makes_the_same_image_of_the_same_noise():
    model = shaken(tiny("ddpm", IMAGES, sampler="ddim", sample_steps=10))
    z = model.sample_latent(3)
    torch.manual_seed(1)
    first = model.decode(z)
    torch.manual_seed(2)
    assert torch.equal(model.decode(z), first)
    chain = shaken(tiny("ddpm", IMAGES, sampler="ddim", eta=1.0, sample_steps=10))
    plain = shaken(tiny("ddpm", IMAGES, sampler="ddpm", sample_steps=10))
    made = []
    for each in (chain, plain):
        torch.manual_seed(3)
        made.append(each.sample(3))
    assert torch.equal(*made)  # eta = 1 is the chain


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_samples_of_a_known_gaussian_have_its_moments(sampler):
    model = knowing(200, sampler=sampler, sample_steps=200)
    torch.manual_seed(0)
    x = model.sample(20_000)
    torch.testing.assert_close(x.mean(0), MEAN, atol=0.02, rtol=0)
    torch.testing.assert_close(x.std(0), SPREAD, atol=0.02, rtol=0)


def test_ddim_inversion_finds_the_noise():
    model = knowing(1000, sampler="ddim", sample_steps=1000)
    z = torch.randn(5, 2, dtype=torch.float64)
    x = model.decode(z)
    torch.testing.assert_close(model.encode(x), z, atol=0.05, rtol=0.02)


def test_a_code_is_the_noise_that_guided_samples_are_made_of():
    """DDIM backwards with the weight of the condition with which it is decoded."""
    options: dict[str, Any] = {"classes": 3, "drop_condition": 0.2, "guidance": 3.0}
    model = shaken(tiny("ddpm", POINTS, sample_steps=400, sampler="ddim", **options), 0.1).double()
    torch.manual_seed(0)
    y, z = torch.tensor([0, 1, 2]), torch.randn(3, 2).double()
    x = model.decode(z, y)
    torch.testing.assert_close(model.encode(x, y), z, atol=0.05, rtol=0.02)
    model.guidance = 1.0
    assert (model.encode(x, y) - z).abs().max() > 0.1


@pytest.mark.parametrize("steps", [5, 100])
def test_a_predicted_noise_that_is_a_little_wrong_makes_no_samples_far_away(steps, monkeypatch):
    """Near pure noise the example is a quotient of small numbers: an error of 0.1 in what is
    predicted is one of many thousands in the example."""
    model = knowing(1000, sample_steps=steps)
    exact = model.output

    def wrong(x_s: Tensor, s: Tensor, given: Tensor | None) -> Tensor:
        noise = model.path.at(s, x_s).noise(x_s, exact(x_s, s, given))
        return noise + 0.1 * (7 * x_s.flip(1)).sin()

    model.config = replace(model.config, prediction="noise")
    monkeypatch.setattr(model, "output", wrong)
    torch.manual_seed(0)
    x = model.sample(2000)
    assert x.abs().max() < 10
    assert (x.std(0) < 2).all()


@pytest.mark.parametrize("name", BOTH)
def test_what_lies_far_away_is_predicted_far_away(name):
    """The limit is for what noise leads astray, and not for an outlying example."""
    model, x = tiny(name, POINTS).double(), torch.tensor([[30.0, -40.0]]).double()
    for s in (0.02, 0.3, 0.5):
        c = model.path.at(times(s), x)
        x_s = c.noised(x, torch.randn(1, 2).double())
        assert torch.equal(model.clipped(x, x_s, c), x)
    end = model.path.at(times(0.999), x)
    assert model.clipped(x, torch.randn(1, 2).double(), end).abs().max() == 8
    image = tiny(name, IMAGES)
    assert image.clipped(torch.tensor([[3.0, -0.5]]), torch.zeros(1, 2), end).tolist() == [
        [1, -0.5]
    ]


def test_guidance_of_none_and_of_one():
    for name in BOTH:
        model = shaken(tiny(name, POINTS, classes=3, drop_condition=0.2))
        y, w = torch.tensor([0, 1, 2]), torch.randn(3, 2)
        s, given = w.new_full((3,), 0.5), model.embedded(y, 3)
        plain = model.output(w, s, given)
        without = model.output(w, s, model.nothing.expand(3, -1))
        torch.testing.assert_close(model.predicted(w, s, given, 1.0), plain)
        torch.testing.assert_close(model.predicted(w, s, given, 0.0), without)
        twice = model.predicted(w, s, given, 2.0)
        torch.testing.assert_close(twice, without + 2 * (plain - without))
        assert not torch.allclose(plain, without)


@pytest.mark.parametrize("name", BOTH)
def test_samples_in_other_steps_are_those_of_a_model_made_so(name):
    y = torch.tensor([0, 1, 2])
    options: dict[str, Any] = {"classes": 3, "drop_condition": 0.2}
    model = shaken(tiny(name, IMAGES, sample_steps=8, **options))
    other = shaken(tiny(name, IMAGES, sample_steps=3, guidance=2.0, **options))
    made = []
    for drawing in (stepped(model, 3, 2.0), other, model):
        torch.manual_seed(0)
        made.append(drawing.sample(3, y))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    assert (model.sample_steps, model.guidance) == (8, 1.0)


def test_steps_that_there_are_not_are_refused_in_one_line():
    plain = tiny("ddpm", IMAGES, noise_steps=20)
    for drawing, words in (
        (stepped(plain, 21), "chain of 20 steps"),
        (stepped(plain, None, 2.0), "--drop-condition"),
    ):
        with pytest.raises(PthetaError, match=words):
            drawing.sample(2)
    for ask, words in (
        (lambda: stepped(tiny("vae", IMAGES), 3), "sample in steps"),
        (lambda: stepped(plain, 0), "1 or more"),
        (lambda: stepped(plain, None, math.nan), "finite"),
    ):
        with pytest.raises(PthetaError, match=words):
            ask()


def test_what_does_not_go_together_is_refused_in_one_line():
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"guidance": 2.0}, "given none"),
        ({"drop_condition": 0.1}, "given none"),
        ({"guidance": 2.0, "classes": 3}, "--drop-condition"),
    )
    for options, words in refused:
        with pytest.raises(PthetaError, match=words) as error:
            tiny("ddpm", POINTS, **options)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("spec", [IMAGES, VECTORS, ImageSpec(3, 5, 6, 256)])
def test_what_is_known_stays_to_the_bit(name, spec):
    model, x = shaken(tiny(name, spec)), examples(spec, 4)
    torch.manual_seed(0)
    known = torch.rand(x.shape) < 0.5
    made = model.complete(x, known)
    assert torch.equal(made[known], x[known])
    assert not torch.equal(made, x)


def test_a_completion_follows_what_is_known():
    """Two columns that are one: RePaint by the closed form of E[x | x_s]."""
    model = tiny("ddpm", POINTS, noise_steps=100, sample_steps=100, prediction="x", resample=10)
    cov = torch.tensor([[1.0, 0.95], [0.95, 1.0]])

    def output(x_s: Tensor, s: Tensor, given: Tensor | None) -> Tensor:
        c = model.path.at(s[:1], x_s)
        noised = c.alpha**2 * cov + c.sigma**2 * torch.eye(2)
        return x_s @ torch.linalg.solve(noised, c.alpha * cov)

    model.output = output
    x = torch.tensor([[1.5, 0.0]]).repeat(400, 1)
    known = torch.tensor([[True, False]]).expand(400, 2)
    torch.manual_seed(0)
    found = model.complete(x, known)[:, 1]
    assert found.mean().item() == pytest.approx(0.95 * 1.5, abs=0.15)
    assert found.std().item() == pytest.approx((1 - 0.95**2) ** 0.5, abs=0.15)


# -- flow matching


class Carrying(FlowMatching):
    """The closed form of the velocity to N(MEAN, SPREAD^2)."""

    def output(self, x_s: Tensor, s: Tensor, given: Tensor | None) -> Tensor:
        return gaussian_velocity(x_s, 1 - s[:1].view(1, 1))


def gaussian_velocity(x_t: Tensor, t: Tensor) -> Tensor:
    """E[x - e | x_t], x_t = t x + (1 - t) e."""
    mean, variance = MEAN.to(x_t), SPREAD.square().to(x_t)
    total = t**2 * variance + (1 - t) ** 2
    return mean + (t * variance - (1 - t)) / total * (x_t - t * mean)


def test_a_network_learns_the_velocity_of_a_gaussian_pair():
    torch.manual_seed(0)
    model = tiny("flow-matching", POINTS, hidden=48, layers=1, embedding=32)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
    for _ in range(400):
        x = MEAN + SPREAD * torch.randn(256, 2)
        optimizer.zero_grad()
        model.loss(Batch(x))["matching"].mean().backward()
        optimizer.step()
        rates.step()
    for t in (0.1, 0.5, 0.9):
        x, e = MEAN + SPREAD * torch.randn(1000, 2), torch.randn(1000, 2)
        x_t = t * x + (1 - t) * e
        with torch.no_grad():
            found = model.velocity(x_t, torch.full((1000,), 1 - t), None, 1.0)
        off = (found - gaussian_velocity(x_t, torch.tensor([[t]]))).square().mean()
        assert off < 0.02 * (x - e).var()


def carrying(**options: Any) -> Carrying:
    model = tiny("flow-matching", POINTS, **options)
    model.__class__ = Carrying
    return model.double().eval()


@pytest.mark.parametrize("solver", ode.SOLVERS)
def test_the_density_of_the_ode_of_a_gaussian_is_its_own(solver):
    torch.manual_seed(0)
    x = MEAN + SPREAD * torch.randn(200, 2)
    exact = torch.distributions.Normal(MEAN, SPREAD).log_prob(x).sum(1).double()
    steps = 800 if solver == "euler" else 60
    found = carrying(solver=solver, density_steps=steps).log_prob_estimate(x)
    near = 0.06 if solver == "euler" else 0.03  # of first order: more in the tails
    torch.testing.assert_close(found.value, exact, atol=near, rtol=0)
    assert not found.noise.any()
    few = carrying(solver=solver, density_steps=16).log_prob_estimate(x)
    off = (few.value - exact).abs().mean()
    assert few.bias.abs().mean() / 4 < off < 4 * few.bias.abs().mean()


@pytest.mark.parametrize("solver", ["euler", "midpoint"])
@pytest.mark.parametrize("steps", [40, 41])
def test_the_error_of_steps_is_of_the_size_that_is_said(solver, steps):
    """Also of an odd number, of which the other solution has less than half."""
    model = carrying(solver=solver, density_steps=steps)
    torch.manual_seed(0)
    x = MEAN + SPREAD * torch.randn(50, 2)
    exact = torch.distributions.Normal(MEAN, SPREAD).log_prob(x).sum(1).double()
    found = model.log_prob_estimate(x)
    left = (found.value + found.bias - exact).abs().mean()
    assert left < 0.6 * (found.value - exact).abs().mean()
    with pytest.raises(PthetaError, match="density_steps = 1"):
        create("flow-matching", POINTS, density_steps=1)


def test_the_density_of_the_ode_integrates_to_one():
    model = shaken(tiny("flow-matching", POINTS, solver="rk4", density_steps=20), 0.3).double()
    side = torch.linspace(-7, 7, 101)
    grid = torch.cartesian_prod(side, side)
    p = model.log_prob_estimate(grid).value.exp().view(101, 101)
    total = torch.trapezoid(torch.trapezoid(p, side.double()), side.double())
    assert total.item() == pytest.approx(1, abs=0.01)
    assert p.isfinite().all()


def test_random_signs_find_the_divergence_in_the_mean():
    spec = VectorSpec.of(6)
    exact = shaken(tiny("flow-matching", spec), 0.3)
    drawn = shaken(tiny("flow-matching", spec, exact_trace=0, probes=8), 0.3)
    x = torch.randn(400, 6)
    torch.manual_seed(0)
    known, found = exact.log_prob_estimate(x), drawn.log_prob_estimate(x)
    off = found.value - known.value
    assert off.abs().max() > 0
    assert off.square().mean().sqrt() == pytest.approx(
        found.noise.square().mean().sqrt().item(), rel=0.2
    )
    assert off.mean().abs() < 4 * off.std() / 20


def test_the_likelihood_of_an_ode_is_an_estimate_with_the_error_of_its_steps():
    spec = ImageSpec(1, 2, 2, 4)
    data = ImageDataset("levels", "test", examples(spec, 40).numpy(), levels=4)
    model = shaken(tiny("flow-matching", spec, solver="euler", density_steps=4), 0.3)
    found = likelihood(model, data)
    assert found is not None
    assert found.relation == "~"
    assert found.bias
    assert "4 steps of euler, exact divergence, of dequantised numbers" in found.how
    assert log_p_of(model, 1, effort=0.0) is None  # it is not to choose weights by
    several = shaken(tiny("flow-matching", ImageSpec(1, 6, 6, 4)))
    assert "by 2 random vectors" in several.estimated_by()


def test_codes_and_examples_are_one_by_the_ode():
    model = carrying(solver="rk4", sample_steps=50)
    z = torch.randn(20, 2, dtype=torch.float64)
    x = model.decode(z)
    torch.testing.assert_close(model.encode(x), z, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(x.double(), MEAN + SPREAD * z, atol=1e-4, rtol=1e-3)


def test_optimal_transport_is_the_nearest_assignment():
    torch.manual_seed(0)
    x, e = torch.randn(40, 2, 3), torch.randn(40, 2, 3)
    paired = transported(x, e)
    cost = (x.flatten(1)[:, None] - e.flatten(1)).square().sum(2)
    rows, columns = linear_sum_assignment(cost.numpy())
    total = (x - paired).square().sum().item()
    assert total == pytest.approx(cost[rows, columns].sum().item(), rel=1e-5)
    assert total <= (x - e).square().sum().item()
    flat = e.flatten(1)
    assert all((flat == row).all(1).any() for row in paired.flatten(1))


def test_levels_fill_the_range_of_a_density():
    """A uniform density of the numbers of levels is a probability of 1 / L for each pixel."""
    for levels in (2, 8, 256):
        model = tiny("flow-matching", ImageSpec(1, 4, 4, levels))
        space, x = model.space, examples(model.spec, 50)
        w = space.drawn(x)
        assert w.abs().max() <= 1
        assert torch.equal(space.examples(w), x)
        assert torch.equal(space.examples(space.middle(x)), x)
        uniform = -space.dims * math.log(2)  # of w in [-1, 1]
        unit = space.log_unit(x)[0].item()
        assert uniform - unit == pytest.approx(-space.dims * math.log(levels))
