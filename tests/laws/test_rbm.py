"""The restricted Boltzmann machine against enumeration of all its states."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

import ptheta
from ptheta.batch import Batch
from ptheta.compute import streams
from ptheta.data.image_data import ImageDataset
from ptheta.data.vector_data import VectorDataset
from ptheta.distributions.partition import LogPartition
from ptheta.games import Clock
from ptheta.metrics.likelihood import likelihood
from ptheta.models.energy.annealing import (
    anneal,
    both_sides,
    inverse_temperatures,
    log_mean,
)
from ptheta.models.energy.boltzmann import Binary, Boltzmann, Normal, Visible, all_states
from ptheta.models.energy.negative import (
    LADDERS,
    NEGATIVES,
    Chains,
    swap_log_odds,
    swapped,
)
from ptheta.models.energy.rbm import RBM
from ptheta.specs import ImageSpec, VectorSpec
from tests.conftest import examples, tiny

SPEC = ImageSpec(1, 2, 3, 2)
EXACT: Any = {"rtol": 1e-9, "atol": 1e-9}
V, H = 5, 4


def machine(kind: str = "binary", d: int = V, h: int = H, seed: int = 0) -> Boltzmann:
    """Of weights that matter, in float64."""
    torch.manual_seed(seed)
    with in_double():
        bias, base = torch.randn(d), 0.5 * torch.randn(d)
        visible: Visible = Binary(bias, base)
        if kind == "normal":
            visible = Normal(bias, base, 0.5 + torch.rand(d))
        return Boltzmann(visible, torch.randn(d, h), torch.randn(h))


class in_double:
    def __enter__(self) -> None:
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *_: object) -> None:
        torch.set_default_dtype(torch.float32)


def states(n: int) -> Tensor:
    return torch.cat(list(all_states(n, torch.zeros((), dtype=torch.float64))))


def pairs(m: Boltzmann, v: Tensor) -> tuple[Tensor, Tensor]:
    """E(v, h) of all pairs, (V, H), and all h."""
    h = states(m.sides[1])
    energies = [m.energy(v, one.expand(len(v), -1)) for one in h]
    return torch.stack(energies, 1), h


@pytest.fixture
def model() -> Any:
    made = tiny("rbm", SPEC, hidden=4, chains=2000, sweeps=30).double()
    torch.manual_seed(1)
    with torch.no_grad():
        for p in made.parameters():
            p.copy_(torch.randn_like(p))
        made.mu.uniform_(0.2, 0.8)
    return made


def every_image() -> Tensor:
    return (states(6) * 255).to(torch.uint8).view(-1, *SPEC.shape)


# -- the distribution


@pytest.mark.parametrize("kind", ["binary", "normal"])
def test_the_free_energy_is_the_sum_over_hidden_states(kind):
    m = machine(kind)
    v = states(V) if kind == "binary" else torch.randn(9, V, dtype=torch.float64)
    energy, _ = pairs(m, v)
    torch.testing.assert_close(m.free_energy(v), -(-energy).logsumexp(1), **EXACT)
    for beta in (0.0, 0.3, 1.0):
        own = (1 - beta) * replace(m.visible, bias=m.visible.base).energy(v)[:, None]
        path = own + beta * energy
        torch.testing.assert_close(m.free_energy_at(v, beta), -(-path).logsumexp(1), **EXACT)


@pytest.mark.parametrize("step", [1e-3, 0.4, -1e-3, -0.4])
@pytest.mark.parametrize("kind", ["binary", "normal"])
def test_a_rise_is_a_difference_of_free_energies(kind, step):
    m = machine(kind)
    v = m.base(9) if kind == "binary" else torch.randn(9, V, dtype=torch.float64)
    wanted = m.free_energy_at(v, 0.5) - m.free_energy_at(v, 0.5 + step)
    torch.testing.assert_close(m.rise(v, m.field(v), 0.5, 0.5 + step), wanted, **EXACT)


@pytest.mark.parametrize("end", [0.49, 0.4999, 0.5001, 0.51, 0.9])
def test_a_rise_has_its_digits_at_any_field(end):
    """In single precision, where a small step of a large field would overflow or vanish."""
    field = torch.tensor([0.0, 1e-3, 1.0, 30.0, 2e3, 1e5]).repeat_interleave(2)[:, None]
    field[::2] *= -1
    m = Boltzmann(Binary(torch.zeros(1), torch.zeros(1)), torch.zeros(1, 1), torch.zeros(1))
    x = field.double()
    wanted = torch.logaddexp(end * x, 0 * x) - torch.logaddexp(0.5 * x, 0 * x)
    found = m.rise(torch.zeros(12, 1), field, 0.5, end)
    torch.testing.assert_close(found, wanted[:, 0], rtol=1e-5, atol=1e-9)


def test_the_error_of_log_z_knows_how_far_apart_its_sides_are():
    near, apart = (LogPartition(10.0, 10.0 + gap, (0.3, 0.4)) for gap in (0.0, 6.0))
    assert near.error == pytest.approx(0.25)
    assert apart.error == pytest.approx(math.hypot(0.25, 6 / math.sqrt(12)))
    assert LogPartition(3.0, 3.0).error == 0


def test_log_z_by_either_side_and_by_all_pairs():
    for d, h in ((5, 4), (3, 7)):
        m = machine(d=d, h=h)
        energy, _ = pairs(m, states(d))
        assert m.log_sum() == pytest.approx((-energy).logsumexp((0, 1)).item(), rel=1e-9)
    base = Boltzmann(Binary(m.visible.base, m.visible.base), 0 * m.weight, 0 * m.hidden_bias)
    assert m.log_base() == pytest.approx(base.log_sum(), rel=1e-9)


def test_log_z_of_gaussian_units_is_the_integral():
    m = machine("normal", d=2, h=3)
    axis = torch.linspace(-40, 40, 1601, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    cell = (axis[1] - axis[0]).item() ** 2
    wanted = (-m.free_energy(grid)).logsumexp(0).item() + math.log(cell)
    assert m.log_sum() == pytest.approx(wanted, abs=1e-6)
    flat = Boltzmann(replace(m.visible, bias=m.visible.base), 0 * m.weight, 0 * m.hidden_bias)
    assert m.log_base() == pytest.approx(flat.log_sum(), rel=1e-9)


# -- the chain


def kernel(m: Boltzmann, beta: float = 1.0) -> tuple[Tensor, Tensor]:
    """P(v' | v) of one sweep where binary units are all enumerated, and p_beta(v)."""
    v, h = states(m.sides[0]), states(m.sides[1])

    def law(p: Tensor, s: Tensor) -> Tensor:
        return torch.stack([(p * b + (1 - p) * (1 - b)).prod(1) for b in s], 1)

    up = law((beta * m.field(v)).sigmoid(), h)
    down = law((m.visible.at(beta) + beta * h @ m.weight.T).sigmoid(), v)
    return up @ down, (-m.free_energy_at(v, beta)).softmax(0)


@pytest.mark.parametrize("beta", [0.0, 0.6, 1.0])
def test_a_sweep_is_in_detailed_balance_and_draws_its_kernel(beta):
    m = machine(d=3)
    step, p = kernel(m, beta)
    flow = p[:, None] * step
    torch.testing.assert_close(flow, flow.T, **EXACT)
    torch.testing.assert_close(p @ step, p, **EXACT)
    torch.manual_seed(0)
    v, bits = states(3), 2.0 ** torch.arange(3, dtype=torch.float64)
    for start in (0, 5):
        drawn = m.sweep(v[start].expand(40_000, -1), beta)
        share = (drawn @ bits).long().bincount(minlength=8) / len(drawn)
        assert (share - step[start]).abs().max() < 0.012


def test_the_chain_of_gaussian_units_has_their_moments():
    m = machine("normal", d=2, h=2, seed=3)
    h = states(2)
    log_p = m.visible.log_sum(h @ m.weight.T, m.visible.bias) + h @ m.hidden_bias
    sd = m.visible.sd  # type: ignore[attr-defined]
    mean = (log_p.softmax(0)[:, None] * (m.visible.bias + sd * (h @ m.weight.T))).sum(0)
    torch.manual_seed(0)
    v = m.base(20_000)
    for _ in range(60):
        v = m.sweep(v)
    torch.testing.assert_close(v.mean(0), mean, atol=0.05, rtol=0)


def test_swaps_leave_the_product_of_the_tempered_distributions():
    """pi(a, b) P(swap) is symmetric, by enumeration of both states."""
    m, betas = machine(d=3), torch.tensor([1.0, 0.4], dtype=torch.float64)
    v = states(3)
    log_p = torch.stack([(-m.free_energy_at(v, b)).log_softmax(0) for b in betas.tolist()])
    a, b = torch.cartesian_prod(torch.arange(8), torch.arange(8)).T
    odds = swap_log_odds(m, Chains(torch.stack([v[a], v[b]]), betas))[0]
    joint = log_p[0, a] + log_p[1, b]
    back = log_p[0, b] + log_p[1, a]
    torch.testing.assert_close(odds, back - joint, **EXACT)
    flow = (joint + odds.clamp(max=0)).exp()
    torch.testing.assert_close(flow.view(8, 8), flow.view(8, 8).T, **EXACT)


@pytest.mark.parametrize("first", [0, 1])
def test_swapped_states_are_those_of_their_pairs(first):
    """Whichever are exchanged, no state is lost, and pairs that are not due stay."""
    m, betas = machine(), LADDERS["linear"].betas(4, 0.0).double()
    torch.manual_seed(0)
    held = torch.stack([m.base(50) + 10 * t for t in range(4)])  # told apart by where they began
    m = replace(m, weight=0 * m.weight)
    after = swapped(m, Chains(held, betas), first)
    assert torch.equal(after.sort(0).values, held.sort(0).values)
    due = [(0, 1), (2, 3)] if first == 0 else [(1, 2)]
    for t in range(4):
        if not any(t in pair for pair in due):
            assert torch.equal(after[t], held[t])


def test_tempered_chains_have_the_distribution_of_the_machine():
    m = machine(d=3)
    _, p = kernel(m)
    torch.manual_seed(0)
    betas = LADDERS["linear"].betas(3, 0.0).double()
    chains = Chains(torch.zeros(3, 20_000, 3, dtype=torch.float64), betas)
    for step in range(20):
        _, chains = NEGATIVES["tempered"].draw(m, chains.cold, chains, 1, step)
    bits = 2.0 ** torch.arange(3, dtype=torch.float64)
    share = (chains.cold @ bits).long().bincount(minlength=8) / 20_000
    assert (share - p).abs().max() < 0.015


@pytest.mark.parametrize("name", LADDERS)
def test_ladders_fall_from_one(name):
    betas = LADDERS[name].betas(6, 0.1)
    assert betas[0] == 1
    assert betas[-1] == pytest.approx(0.1)
    assert (betas.diff() < 0).all()


# -- annealed importance sampling


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["binary", "normal"])
def test_both_sides_are_within_their_errors_of_the_sum(kind, seed):
    """By temperatures so few that the errors are of some size."""
    m = machine(kind, d=8, h=6, seed=seed)
    m = replace(m, weight=0.7 * m.weight)
    truth = m.log_sum()
    v = m.base(200)
    for _ in range(500):
        v = m.sweep(v)
    z = both_sides(m, 200, 200, v)
    assert abs(z.lower - truth) < 3 * z.errors[0]
    assert abs(z.upper - truth) < 3 * z.errors[1]
    assert not z.exact
    assert max(z.errors) < 0.3


def test_weights_are_unbiased_on_the_way_up_and_down():
    """Of two temperatures only: importance sampling, whose mean is known by enumeration."""
    m = machine(d=4, h=3)
    torch.manual_seed(0)
    up = anneal(m, [0.0, 0.3, 1.0], m.base(200_000), "up")
    assert m.log_base() + log_mean(up)[0] == pytest.approx(m.log_sum(), abs=0.1)
    v = m.base(200_000)
    for _ in range(30):
        v = m.sweep(v)
    down = anneal(m, [1.0, 0.3, 0.0], v, "down")
    assert m.log_base() - log_mean(down)[0] == pytest.approx(m.log_sum(), abs=0.1)


def test_inverse_temperatures_are_dense_where_the_paper_has_them():
    betas = inverse_temperatures(14_500)
    assert betas[0] == 0
    assert betas[-1] == 1
    assert betas[500] == pytest.approx(0.5)
    assert betas[4500] == pytest.approx(0.9)
    assert all(a < b for a, b in pairwise(betas))


def test_the_error_is_that_of_the_mean_over_the_mean():
    w = torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64)
    value, error = log_mean(w.log() + 900)
    assert value == pytest.approx(math.log(3) + 900)
    assert error == pytest.approx((w.std() / 2 / 3).item())


# -- learning


def exact_gradient(model: Any, data: Tensor) -> dict[str, Tensor]:
    """Of -mean log p(v), by the sum over all images."""
    m, v = model.machine(), model.seen.of(every_image()).double()
    log_z = (-m.free_energy(v)).logsumexp(0)
    loss = m.free_energy(data).mean() + log_z
    grads = torch.autograd.grad(loss, list(model.parameters()))
    return dict(zip((name for name, _ in model.named_parameters()), grads, strict=True))


def test_the_gradient_of_the_loss_is_that_of_log_p(model):
    """Negative examples are all images, as often as they are likely."""
    model.config = replace(model.config, centred=False)
    data = model.seen.of(examples(SPEC, 7)).double()
    wanted = exact_gradient(model, data)
    with torch.no_grad():
        v = model.seen.of(every_image()).double()
        share = (-model.machine().free_energy(v)).softmax(0)
    free = model.machine(learning=True).free_energy(v)
    surrogate = model.machine(learning=True).free_energy(data).mean() - (share * free).sum()
    found = torch.autograd.grad(surrogate, list(model.parameters()))
    for name, grad in zip(wanted, found, strict=True):
        torch.testing.assert_close(grad, wanted[name], **EXACT)


@pytest.mark.parametrize("negative", ["pcd", "tempered", "cd"])
def test_long_chains_give_the_gradient_of_log_p(negative, model):
    """By the game itself, as the trainer plays it."""
    options = {"negative": negative, "gibbs": 30, "hidden": 4, "chains": 4000, "centred": False}
    made = tiny("rbm", SPEC, **options, tempering=3).double()
    made.load_state_dict({**made.state_dict(), **dict(model.named_parameters())})
    x = examples(SPEC, 7)
    if negative == "cd":  # its chains are as many as the examples
        x = x.repeat(600, 1, 1, 1)
    torch.manual_seed(5)
    with in_double():
        game = made.game()
        batch = Batch(x)
        shared = game.prepare(batch, Clock(1, frozenset({"rbm"})))
        game.moves[0].loss(batch, shared)["energy_gap"].mean().backward()
    wanted = exact_gradient(model, model.seen.of(x).double())
    for name, p in made.named_parameters():
        torch.testing.assert_close(p.grad, wanted[name], atol=0.035, rtol=0)


def test_a_centred_step_is_that_of_centred_units(model):
    """A step of W, b' and c' of (v - mu) W (h - lambda) is the one that W, b and c make."""
    data, other = (model.seen.of(examples(SPEC, 7, seed)).double() for seed in (1, 2))
    with torch.no_grad():
        model.lam.uniform_(0.2, 0.8)
    m = model.machine(learning=True)
    (m.free_energy(data).mean() - m.free_energy(other).mean()).backward()
    w, b, c = (p.detach() for p in (model.weight, model.bias, model.hidden_bias))
    mu, lam, rate = model.mu, model.lam, 0.1
    centred = [w.clone(), b + w @ lam, c + mu @ w]
    for p in centred:
        p.requires_grad_()

    def plain(weight: Tensor, bias: Tensor, hidden: Tensor) -> Boltzmann:
        visible = Binary(bias - weight @ lam, model.mu)
        return Boltzmann(visible, weight, hidden - mu @ weight)

    m = plain(*centred)
    gap = m.free_energy(data).mean() - m.free_energy(other).mean()
    # what both machines differ by is a constant: the gradient is of the same function
    grads = torch.autograd.grad(gap, centred)
    moved = plain(*(p.detach() - rate * g for p, g in zip(centred, grads, strict=True)))
    torch.testing.assert_close(model.weight - rate * model.weight.grad, moved.weight, **EXACT)
    torch.testing.assert_close(model.bias - rate * model.bias.grad, moved.visible.bias, **EXACT)
    here = model.hidden_bias - rate * model.hidden_bias.grad
    torch.testing.assert_close(here, moved.hidden_bias, **EXACT)


FLIPPED = 0.15  # of the pixels of the tiny world


def truth() -> Tensor:
    """p of every image of 3x2 pixels: one column of two is white, but for flipped pixels."""
    white = states(6).view(-1, 3, 2)
    sides = torch.stack([white[..., 0] == 1 - side for side in (0, 1)], 1).double()
    other = torch.stack([white[..., 1] == side for side in (0, 1)], 1).double()
    right = torch.cat([sides, other], -1).sum(-1)
    return 0.5 * ((1 - FLIPPED) ** right * FLIPPED ** (6 - right)).sum(1)


@pytest.mark.parametrize("negative", list(NEGATIVES))
def test_it_learns_a_tiny_world(negative, tmp_path):
    p = truth()
    torch.manual_seed(0)
    drawn = streams.categorical(p.log().expand(3000, -1))
    images = (states(6)[drawn] * 255).to(torch.uint8).view(-1, 1, 3, 2)
    options = {"negative": negative, "hidden": 6, "gibbs": 3}
    if negative == "tempered":
        options["tempering"] = 3
    learning: dict[str, Any] = {"steps": 600, "lr": 0.2, "batch_size": 100, "held_out": 0}
    data = ImageDataset("bits", "train", images.numpy(), levels=2)
    run = ptheta.train("rbm", data, tmp_path / "run", **options, **learning)
    model, every = run.model(), (states(6) * 255).to(torch.uint8).view(-1, 1, 3, 2)
    assert isinstance(model, RBM)
    with torch.no_grad():
        log_p = -model.energy(every) - model.log_partition().value
    divergence = (p * (p.log() - log_p)).sum().item()
    assert 0 < divergence < 0.1
    found = likelihood(model, data)
    assert found is not None
    assert found.relation == "="
    assert found.nats == pytest.approx(-log_p[drawn].mean().item(), abs=1e-4)


# -- uses


def test_an_exact_sum_is_said_to_be_one_and_probabilities_add_up_to_one(model):
    z = model.log_partition()
    assert z.exact
    total = (-model.energy(every_image()) - z.value).logsumexp(0)
    assert total.item() == pytest.approx(0, abs=1e-6)


def test_a_large_machine_has_two_sides():
    model = tiny("rbm", ImageSpec(1, 5, 5, 2), hidden=21, temperatures=50, ais_chains=20)
    torch.manual_seed(0)
    z = model.log_partition()
    assert not z.exact
    assert "20 chains" in z.how
    assert abs(z.lower - model.machine().log_sum()) < 0.1


def test_samples_are_of_the_distribution(model):
    p = (-model.energy(every_image())).softmax(0)
    torch.manual_seed(0)
    with in_double():
        drawn = model.sample(4000)
    code = ((drawn > 127).flatten(1) * 2 ** torch.arange(6)).sum(1)
    assert (code.bincount(minlength=64) / 4000 - p).abs().max() < 0.03


def test_completions_are_of_the_conditional(model):
    """By enumeration of what is unknown."""
    x = every_image()[37:38]
    known = torch.tensor([1, 0, 1, 1, 0, 0]).bool().view(1, *SPEC.shape)
    torch.manual_seed(0)
    drawn = model.complete(x.expand(4000, -1, -1, -1), known)
    images = every_image()
    fit = ((images == x) | ~known).flatten(1).all(1)
    log_p = (-model.energy(images)).masked_fill(~fit, -math.inf)
    code = ((drawn > 127).flatten(1) * 2 ** torch.arange(6)).sum(1)
    share = code.bincount(minlength=64) / 4000
    assert (share - log_p.softmax(0)).abs().max() < 0.035


def test_real_numbers_have_a_density_and_its_integral_is_one():
    spec = VectorSpec.of(2)
    model = tiny("rbm", spec, hidden=3).double()
    torch.manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(0.7 * torch.randn_like(p))
    assert model.exact()
    axis = torch.linspace(-15, 15, 601)
    x = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        log_p = -model.energy(x) - model.log_partition().value
    assert log_p.exp().sum().item() * 0.05**2 == pytest.approx(1, abs=1e-3)
    found = likelihood(model, VectorDataset("p", "test", x[::999].numpy(), spec))
    assert found is not None
    assert found.density
    assert found.relation == "="


def test_levels_have_a_bound():
    spec = ImageSpec(1, 2, 2, 4)
    model = tiny("rbm", spec, hidden=3)
    images = torch.cartesian_prod(*[torch.tensor([0, 85, 170, 255])] * 4).to(torch.uint8)
    with torch.no_grad():
        z = model.log_partition().value
        energies = torch.stack([model.energy(images.view(-1, 1, 2, 2)) for _ in range(30)])
    total = (-energies.mean(0) - z).exp().sum().item()
    assert 0.2 < total < 1
    found = likelihood(model, ImageDataset("i", "test", images.view(-1, 1, 2, 2).numpy(), levels=4))
    assert found is not None
    assert found.relation == "<="


def test_a_bound_by_an_estimate_of_log_z_is_an_estimate():
    """Where log Z is estimated too low, what would be a bound lies below -log p."""
    spec = ImageSpec(1, 5, 5, 4)
    model = tiny("rbm", spec, hidden=30, ais_chains=3, temperatures=2)
    x = examples(spec, 4)
    found = likelihood(model, ImageDataset("i", "test", x.numpy(), levels=4))
    assert found is not None
    assert found.partition is not None
    assert found.relation == "~"
    assert "dequantised" in found.how
