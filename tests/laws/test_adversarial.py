"""Adversarial losses, penalties and tricks against their closed forms."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

import ptheta
from ptheta.batch import Batch
from ptheta.errors import PthetaError
from ptheta.games import END, Clock
from ptheta.losses.adversarial import LOSSES, accuracy, convergence, equilibrium
from ptheta.losses.penalties import (
    PENALTIES,
    POINTS,
    Evaluation,
    interpolate,
    one_centred,
    squared_grad_norm,
)
from ptheta.measures.clustering import matched_accuracy
from ptheta.models.adversarial.conditioning import CONDITIONING
from ptheta.models.adversarial.latents import PRIORS, on_sphere
from ptheta.models.adversarial.monitor import FALL, FEW, LOW, STILL, GANMonitor
from ptheta.models.adversarial.replay import Generated, Replay
from ptheta.models.adversarial.tricks import History, pairwise_mse
from ptheta.nets.adversarial.layers import ACTIVATIONS, DOWNSAMPLING, Dropout, GaussianNoise
from ptheta.nets.augment import AUGMENTATIONS, cutout, translation
from ptheta.nets.convolutional import pyramid
from ptheta.nets.minibatch import (
    MINIBATCH,
    STATISTICS,
    MinibatchDiscrimination,
    MinibatchStddev,
)
from ptheta.nets.norms import NORMS, VirtualBatchNorm, normalisation
from ptheta.specs import ImageSpec
from ptheta.tasks.interpolate import slerp
from tests.conftest import tiny

SPEC = ImageSpec(1, 16, 16)
P = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)  # p_data
Q = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)  # p_model


def outputs(seed: int = 0, n: int = 50) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return tuple(3 * torch.randn(2, n, generator=g, dtype=torch.float64))


def best(cost) -> torch.Tensor:
    """The outputs on the four points that minimise a convex cost."""
    d = torch.full((4,), 0.3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([d], max_iter=500, tolerance_grad=1e-13, tolerance_change=0)

    def closure():
        optimizer.zero_grad()
        value = cost(d)
        value.backward()
        return value

    optimizer.step(closure)
    return d.detach()


def evaluated(formula: str, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """What the formula of a loss gives for outputs a = d(x) and b = d(G(z)), read as it stands."""
    text = formula.replace("^", "**").replace("k L", "L").replace("log sigmoid", "log_sigmoid")
    text = re.sub(r"\b([dDL])\(G\(z\)\)", r"\1_fake", text)
    text = re.sub(r"\b([dDL])\(x\)", r"\1_real", text)
    text = re.sub(r"log (\w+)", r"log(\1)", text)
    text = re.sub(r"E\[(\w+)\]", r"mean(\1)", text)
    names = {
        "d_real": a,
        "d_fake": b,
        "D_real": a.sigmoid(),
        "D_fake": b.sigmoid(),
        "L_real": -a,
        "L_fake": -b,
        "sigmoid": torch.sigmoid,
        "log_sigmoid": torch.nn.functional.logsigmoid,
        "log": torch.log,
        "max": lambda low, u: u.clamp(min=low),
        "mean": torch.mean,
    }
    return eval(text, {"__builtins__": {}}, names)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_its_formula(name):
    a, b = outputs()
    loss = LOSSES[name]
    for cost, formula in zip(
        (loss.discriminator(a, b), loss.generator(b, a)), loss.formula, strict=True
    ):
        torch.testing.assert_close(cost, evaluated(formula, a, b), msg=f"{name}: {formula}")
        assert cost.shape == a.shape


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_says_whether_an_example_depends_on_the_batch(name):
    a, b = outputs()
    loss = LOSSES[name]
    part = [loss.discriminator(a[:20], b[:20]), loss.generator(b[:20], a[:20])]
    whole = [loss.discriminator(a, b)[:20], loss.generator(b, a)[:20]]
    same = all(torch.allclose(p, w) for p, w in zip(part, whole, strict=True))
    assert same != loss.batchwise


@pytest.mark.parametrize("name", LOSSES)
def test_extreme_outputs_give_finite_losses_and_gradients(name):
    d = torch.tensor([-1e4, -50.0, 0.0, 50.0, 1e4], requires_grad=True)
    loss = LOSSES[name]
    total = loss.discriminator(d, d.flip(0)) + loss.generator(d, d.flip(0))
    (grad,) = torch.autograd.grad(total.sum(), d)
    assert total.isfinite().all()
    assert grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_labels_add_up_to_the_discriminators(name):
    a, b = outputs()
    loss = LOSSES[name]
    assert (loss.labelled is None) == ("soft_labels" in loss.excludes)
    if loss.labelled is not None:
        one, zero = torch.ones_like(a), torch.zeros_like(a)
        both = loss.labelled(a, one) + loss.labelled(b, zero)
        torch.testing.assert_close(both, loss.discriminator(a, b))


@pytest.mark.parametrize("name", LOSSES)
def test_an_output_on_the_boundary_is_as_probably_real_as_not(name):
    loss = LOSSES[name]
    assert (loss.boundary is None) == (loss.labelled is None)
    if loss.boundary is not None and loss.labelled is not None:
        d = torch.tensor([loss.boundary])
        torch.testing.assert_close(
            loss.labelled(d, torch.ones(1)), loss.labelled(d, torch.zeros(1))
        )
        if loss.log_ratio is not None:
            assert loss.log_ratio(d, 1.0).item() == pytest.approx(0, abs=1e-6)


def test_accuracy_is_the_share_of_right_answers():
    real, fake = torch.tensor([2.0, -1.0, 0.5, 3.0]), torch.tensor([1.0, -2.0, 0.5, -3.0])
    assert accuracy(real, fake, 0.0).item() == pytest.approx((3 + 2) / 8)
    assert accuracy(real, fake, 0.5).item() == pytest.approx((2 + 0.5 + 2 + 0.5) / 8)
    assert accuracy(real, fake, None).item() == pytest.approx(3.5 / 4)  # pairs, one of them equal


def test_minimax_value_at_the_best_discriminator_is_the_jensen_shannon_divergence():
    """V(D*, G) = 2 JSD(p_data, p_model) - log 4."""
    d = P.log() - Q.log()
    loss = LOSSES["minimax"]
    value = -(P[:, None] * Q * loss.discriminator(d[:, None], d[None])).sum()
    m = (P + Q) / 2
    jsd = 0.5 * (P * (P / m).log()).sum() + 0.5 * (Q * (Q / m).log()).sum()
    torch.testing.assert_close(value, 2 * jsd - math.log(4))
    found = best(lambda d: (P[:, None] * Q * loss.discriminator(d[:, None], d[None])).sum())
    torch.testing.assert_close(found, d, atol=1e-6, rtol=1e-6)


def test_the_likelihood_loss_at_the_best_discriminator_has_the_gradient_of_maximum_likelihood():
    """Of E_q[loss(d*(x))] in the parameters of q, d* held: that of KL(p_data || q)."""
    theta = Q.log().clone().requires_grad_()
    q = theta.softmax(0)
    d = (P / Q).log()
    loss = LOSSES["maximum_likelihood"]
    (found,) = torch.autograd.grad((q * loss.generator(d, d)).sum(), theta)
    again = theta.softmax(0)
    (wanted,) = torch.autograd.grad((P * (P / again).log()).sum(), theta)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("name", [n for n, loss in LOSSES.items() if loss.log_ratio])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_best_discriminator_tells_the_ratio_of_densities(name, smoothing):
    """With one-sided smoothing D* = (1 - s) p_data / (p_data + p_model) (Salimans et al. 2016)."""
    loss, t = LOSSES[name], 1 - smoothing
    assert loss.labelled is not None
    labelled = loss.labelled

    def cost(d):
        on_real = labelled(d, torch.full_like(d, t))
        return (P * on_real + Q * labelled(d, torch.zeros_like(d))).sum()

    d = best(cost)
    optimum = t * P / (P + Q)
    torch.testing.assert_close(d.sigmoid() if loss.probability else d, optimum, atol=1e-7, rtol=0)
    assert loss.log_ratio is not None
    torch.testing.assert_close(loss.log_ratio(d, t), (P / Q).log(), atol=1e-5, rtol=1e-5)


def test_the_best_relativistic_critic_is_the_ratio_up_to_a_constant():
    loss = LOSSES["relativistic"]
    d = best(lambda d: (P[:, None] * Q * loss.discriminator(d[:, None], d[None])).sum())
    ratio = (P / Q).log()
    torch.testing.assert_close(d - d.mean(), ratio - ratio.mean(), atol=1e-5, rtol=1e-5)


def test_the_best_hinge_discriminator_is_the_sign():
    loss = LOSSES["hinge"]
    levels = torch.linspace(-2, 2, 401, dtype=torch.float64)
    zero, one = torch.zeros_like(levels), torch.ones_like(levels)
    assert loss.labelled is not None
    for p, q in zip(P, Q, strict=True):
        cost = p * loss.labelled(levels, one) + q * loss.labelled(levels, zero)
        assert levels[cost.argmin()].item() == pytest.approx(1.0 if p > q else -1.0)


def test_the_wasserstein_critic_measures_a_shift():
    """Two distributions of which one is the other moved by s: the 1-Lipschitz d(x) = x gives s."""
    x = torch.randn(100, dtype=torch.float64)
    assert -LOSSES["wasserstein"].discriminator(x + 1.5, x).mean().item() == pytest.approx(1.5)


def test_began_holds_its_equilibrium():
    k = torch.tensor(0.3)
    assert equilibrium(k, torch.tensor(2.0), torch.tensor(1.0), 0.5, 0.01) == k
    assert equilibrium(k, torch.tensor(4.0), torch.tensor(1.0), 0.5, 0.01) == k + 0.01
    assert equilibrium(k, torch.tensor(0.0), torch.tensor(90.0), 0.5, 0.01) == 0
    assert equilibrium(k, torch.tensor(900.0), torch.tensor(0.0), 0.5, 0.01) == 1
    assert convergence(torch.tensor(2.0), torch.tensor(1.0), 0.5) == 2
    assert convergence(torch.tensor(2.0), torch.tensor(1.5), 0.5) == 2.5


A = torch.randn(48, 48, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 6


def quadratic(x: torch.Tensor) -> torch.Tensor:
    """d = |A x|^2 / 2, of which the gradient is A^T A x."""
    return 0.5 * (x.flatten(1) @ A.T).square().sum(1)


def at_points(name: str) -> Evaluation:
    """The quadratic critic where a penalty is taken."""
    torch.manual_seed(0)
    real, fake = torch.randn(2, 7, 3, 4, 4, dtype=torch.float64)
    at = PENALTIES[name].at
    points = POINTS[at](real, fake) if at in POINTS else {"real": real, "fake": fake}[at]
    points.requires_grad_()
    return Evaluation(points, quadratic(points), quadratic)


def own_test(kind: str, name: str) -> bool:
    """Whether an entry that no formula describes has a file of tests of its own."""
    return (Path(__file__).parent / f"test_{kind}_{name}.py").exists()


@pytest.mark.parametrize("name", PENALTIES)
def test_every_penalty_is_its_formula(name):
    """In a formula |grad d(...)| is the norm of the gradient where the penalty is taken."""
    penalty = PENALTIES[name]
    text = re.sub(r"\|grad d\(.*?\)\|(?=[\s)^/*+-]|$)", "norm", penalty.formula)
    if "norm" not in text:
        assert own_test("penalty", name), f"penalty {name}: its law is missing"
        return
    found = at_points(name)
    norm = (found.points.detach().flatten(1) @ A.T @ A).norm(dim=1).float()
    wanted = eval(text.replace("^", "**"), {"__builtins__": {}}, {"norm": norm})
    torch.testing.assert_close(penalty.cost(found), wanted, msg=penalty.formula)


def test_penalties_take_each_examples_own_slope_and_reach_the_weights():
    """d = |a x|^2 / 2 has the slope a^2 x."""
    a = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    x = torch.randn(5, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    squared = squared_grad_norm(0.5 * (a * x).square().flatten(1).sum(1), x)
    sizes = x.flatten(1).square().sum(1)
    torch.testing.assert_close(squared, (a**4 * sizes).float())
    (grad,) = torch.autograd.grad(squared.sum(), a)
    torch.testing.assert_close(grad, (4 * a**3 * sizes.sum()).detach(), rtol=1e-5, atol=0)
    flat = torch.zeros(3, requires_grad=True)
    (grad,) = torch.autograd.grad(one_centred(flat).sum(), flat)
    assert grad.isfinite().all()


def test_points_between_lie_on_the_segment_with_one_place_for_each_pair():
    torch.manual_seed(0)
    real, fake = torch.randn(2, 6, 3, 5, 5)
    e = (interpolate(real, fake) - fake) / (real - fake)
    torch.testing.assert_close(
        e, e.flatten(1).median(1).values[:, None, None, None].expand_as(e), atol=1e-2, rtol=1e-2
    )
    places = e.flatten(1).median(1).values
    assert ((places >= 0) & (places <= 1)).all()
    assert len(places.unique()) == 6


def test_points_around_the_data_have_half_its_deviation():
    torch.manual_seed(0)
    real = torch.randn(64, 1, 16, 16) * 0.7
    noise = POINTS["perturbed"](real, real) - real
    assert noise.std().item() == pytest.approx(0.35, rel=0.02)


# -- tricks


@pytest.mark.parametrize("net", ["mlp", "conv", "resnet"])
@pytest.mark.parametrize("options", [{"g_dropout": 0.4}, {"g_noise": 0.3}])
def test_noise_between_the_generators_layers_is_in_sampling_where_asked_for(net, options):
    """Nothing else of a generator without batch statistics is random."""
    shared: dict[str, Any] = {"net": net, "g_norm": "layer", "g_hidden": (8, 8), **options}
    for in_sampling in (False, True):
        model = tiny("gan", SPEC, noise_in_sampling=in_sampling, **shared)
        plain = tiny("gan", SPEC, **{**shared, "g_dropout": 0.0, "g_noise": 0.0})
        plain.load_state_dict(model.state_dict())  # the names of weights are the same
        z = plain.sample_latent(4)
        with torch.no_grad():
            wanted = plain.eval().generate(z)
            for training in (False, True):
                made = [model.train(training).generate(z) for _ in range(2)]
                noisy = training or in_sampling
                assert torch.equal(made[0], made[1]) != noisy
                assert torch.equal(made[0], wanted) != noisy


def test_dropout_keeps_the_mean_and_drops_as_often_as_asked():
    torch.manual_seed(0)
    out = Dropout(0.3, in_sampling=True).eval()(torch.ones(100_000))
    assert out.mean().item() == pytest.approx(1, abs=0.01)
    assert (out == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert torch.equal(Dropout(0.3, in_sampling=False).eval()(out), out)
    noise = GaussianNoise(0.5, in_sampling=False).train()(torch.zeros(100_000))
    assert noise.std().item() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("net", ["mlp", "conv", "resize", "resnet"])
def test_the_generators_activation_is_the_one_that_was_asked_for(net):
    options: dict[str, Any] = {"net": net, "g_hidden": (8, 8), "d_hidden": (8,)}
    own = tiny("gan", SPEC, **options).generator
    for name in ACTIVATIONS:
        generator = tiny("gan", SPEC, g_activation=name, **options).generator
        kind = type(ACTIVATIONS[name].make())
        kinds = {type(m) for m in generator.modules() if isinstance(m, nn.ReLU | nn.LeakyReLU)}
        assert kinds == {kind}
        assert {k: v.shape for k, v in generator.state_dict().items()} == {
            k: v.shape for k, v in own.state_dict().items()
        }


@pytest.mark.parametrize("name", DOWNSAMPLING)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 11, 14)])
def test_every_way_to_halve_a_map_gives_maps_of_the_same_size(name, shape):
    spec = ImageSpec(*shape)
    trunk = tiny("gan", spec, downsampling=name).discriminator.trunk.body
    x = torch.rand(2, *shape)
    sizes = []
    for layer in trunk:
        x = layer(x)
        if isinstance(layer, nn.LeakyReLU):
            sizes.append(tuple(x.shape[2:]))
    assert sizes == pyramid(*shape[1:])[1:]


def test_batch_statistics_are_of_real_or_fake_images_or_of_both_by_option():
    """Batch normalisation with a learned bias of 0 and gain of 1 gives each batch mean 0."""
    x = torch.randint(0, 256, (8, *SPEC.shape), dtype=torch.uint8)
    for joint in (False, True):
        model = tiny("gan", SPEC, d_norm="batch", net="mlp", d_hidden=(8, 8), joint_batches=joint)
        found: list[torch.Tensor] = []
        norm = next(m for m in model.discriminator.modules() if isinstance(m, nn.BatchNorm1d))
        norm.register_forward_hook(
            lambda m, inputs, output, found=found: found.append(output.clone())
        )
        shared = model.prepare(Batch(x), Clock(1, frozenset({"generator"})))
        for move in model.game().moves:
            found.clear()
            move.loss(Batch(x), shared)
            sizes = [len(output) for output in found]
            alone = [8, 8] if move.player == "discriminator" else [8]
            assert sizes == ([16] if joint else alone)
            for output in found:
                torch.testing.assert_close(output.mean(0), torch.zeros(8), atol=1e-5, rtol=0)


@pytest.mark.parametrize("condition", [None, ptheta.Labels(("a", "b", "c"))])
def test_past_fakes_are_half_of_what_the_discriminator_learns_from(condition):
    torch.manual_seed(0)
    replay = Replay(5, (1, 2, 2), 3, condition)

    def fakes(number: float, n: int = 6) -> Generated:
        """Images, codes and labels that tell which step they are of."""
        labels = torch.full((n,), int(number) % 3) if condition else None
        return Generated(torch.full((n, 1, 2, 2), number), torch.full((n, 3), number), labels)

    assert replay.mixed(fakes(0.0)) is not None
    assert torch.equal(replay.mixed(fakes(7.0)).x, fakes(7.0).x)  # none are kept yet
    for step in range(1, 9):
        replay.update(fakes(float(step)))
        assert replay.filled == min(5, 3 * step)
        kept = replay.images.flatten(1)
        assert (kept[:, :1] == kept).all()
        mixed = replay.mixed(fakes(100.0))
        numbers = mixed.x[:, 0, 0, 0]
        assert (numbers[:3] == 100).all()
        assert ((numbers[3:] >= 1) & (numbers[3:] <= step)).all()
        torch.testing.assert_close(mixed.z[:, 0], numbers)  # codes and labels go with their images
        if isinstance(mixed.condition, torch.Tensor):
            assert torch.equal(mixed.condition, (numbers % 3).long())
        assert (mixed.condition is None) == (condition is None)
    again = Replay(5, (1, 2, 2), 3, condition)
    again.load_state_dict(replay.state_dict())
    rows = torch.arange(5)
    assert torch.equal(again.stored(rows).x, replay.stored(rows).x)


def test_a_generator_moves_against_its_new_fakes_alone_whatever_is_replayed():
    model = tiny("acgan", SPEC, replay=4, classes=3)
    x = torch.randint(0, 256, (6, *SPEC.shape), dtype=torch.uint8)
    batch = Batch(x, torch.arange(6) % 3)
    for step in (1, 2):
        shared = model.prepare(batch, Clock(step, frozenset({"generator"})))
        with torch.no_grad():
            model.after(step)
    assert torch.equal(shared.rated.x[:3], shared.fake.detach()[:3])
    assert not torch.equal(shared.rated.x[3:], shared.fake.detach()[3:])
    assert not shared.rated.x.requires_grad
    terms = model.discriminator_loss(batch, shared)
    assert {"class_of_real", "class_of_fake"} <= terms.keys()


def test_an_option_left_to_the_optimizer_is_none_of_it():
    """As of a GAN, whose beta1 is another than Adam's, where SGD is chosen."""
    players = tiny("gan", SPEC, optimizer="sgd", beta1=None).game().players
    assert isinstance(
        players["generator"].optimizer([nn.Parameter(torch.ones(1))]), torch.optim.SGD
    )


def test_the_discriminators_optimizer_may_be_another():
    players = tiny("gan", SPEC, d_optimizer="sgd", momentum=0.5, beta1=0.3).game().players
    made = {name: p.optimizer(p.parameters()) for name, p in players.items()}
    assert isinstance(made["generator"], torch.optim.Adam)
    assert isinstance(made["discriminator"], torch.optim.SGD)
    assert made["generator"].param_groups[0]["betas"][0] == 0.3
    assert made["discriminator"].param_groups[0]["momentum"] == 0.5
    with pytest.raises(PthetaError, match="which adam does not have"):
        tiny("gan", SPEC, momentum=0.5).game()


def test_virtual_batch_norm_is_its_definition_and_ignores_the_batch():
    torch.manual_seed(0)
    layer = VirtualBatchNorm(3, 4)
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2)
        layer.bias.normal_()
    for shape in ((9, 3, 5, 5), (9, 3)):
        x = torch.randn(shape)
        out = layer(x)
        for i in (4, 8):
            members = torch.cat([x[:4], x[i : i + 1]])
            members = members.transpose(0, 1).flatten(1)  # channel by channel
            mean, var = members.mean(1), members.var(1, correction=0)
            view = (-1, *(1 for _ in shape[2:]))
            wanted = (x[i] - mean.view(view)) / (var.view(view) + 1e-5).sqrt()
            wanted = wanted * layer.weight.view(view) + layer.bias.view(view)
            torch.testing.assert_close(out[i], wanted, atol=1e-5, rtol=1e-4)
        alone = layer(torch.cat([x[:4], x[6:7]]))
        torch.testing.assert_close(alone[4], out[6])


@pytest.mark.parametrize("net", ["mlp", "conv", "resnet"])
def test_with_virtual_normalisation_an_image_does_not_depend_on_its_batch(net):
    """In training mode, too, which is where batch normalisation looks at the others."""
    options: dict[str, Any] = {"g_norm": "virtual", "d_norm": "virtual"}
    options |= {"reference": 5, "g_hidden": (8, 8)}
    model = tiny("gan", SPEC, net=net, d_hidden=(8, 8), **options).train()
    x = torch.randint(0, 256, (6, *SPEC.shape), dtype=torch.uint8)
    y = torch.zeros(6, dtype=torch.int64)
    before = model.discriminator.reference_images.clone()
    model.game().start(Batch(x[:3], y))
    assert not torch.equal(model.discriminator.reference_images, before)
    z = model.sample_latent(6)
    with torch.no_grad():
        many, few = model.generate(z), model.generate(z[2:4])
        torch.testing.assert_close(few, many[2:4], atol=1e-5, rtol=1e-4)
        d = model.discriminate(x)
        torch.testing.assert_close(model.discriminate(x[2:4]), d[2:4], atol=1e-5, rtol=1e-4)
    batch_norm = tiny("gan", SPEC).train()
    with torch.no_grad():
        assert not torch.allclose(batch_norm.generate(z)[2:4], batch_norm.generate(z[2:4]))


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("dims", [2, 4])
def test_a_norm_says_whether_an_image_depends_on_its_batch(name, dims):
    torch.manual_seed(0)
    entry = NORMS[name]
    layer = normalisation(name, 3, dims, 4)
    if layer is None:
        assert not entry.traits
        return
    x = torch.randn(12, 3, *(5, 5)[: dims - 2])
    other = torch.cat([x[:6], 3 * x[6:] + 1])
    first = slice(4 if entry.refers else 0, 6)
    same = torch.allclose(layer(x)[first], layer(other)[first])
    assert same != ("batchwise" in entry.traits)
    assert layer(x).shape == x.shape


@pytest.mark.parametrize("name", MINIBATCH)
def test_minibatch_statistics_tell_a_batch_of_equal_images_from_others(name):
    torch.manual_seed(0)
    layer = MINIBATCH[name].layer(6)
    f = torch.randn(5, 6)
    out = layer(f)
    assert out.shape == (5, layer.width)
    assert torch.equal(out[:, :6], f)
    torch.testing.assert_close(layer(f.flip(0)), out.flip(0))
    alike = layer(f[:1].expand(5, 6))
    assert not torch.allclose(alike[0, 6:], out[0, 6:])
    assert not MINIBATCH[name].traits.isdisjoint({"batchwise", STATISTICS})


@pytest.mark.parametrize("name", PRIORS)
def test_codes_have_mean_square_one_and_are_independent(name):
    torch.manual_seed(0)
    z = PRIORS[name].sample(4000, 6, torch.device("cpu"))
    torch.testing.assert_close(z.T @ z / 4000, torch.eye(6), atol=0.08, rtol=0)


@pytest.mark.parametrize("name", [n for n, way in CONDITIONING.items() if way.takes])
def test_a_label_changes_what_is_generated_and_what_the_discriminator_learns(name):
    model = tiny("gan", SPEC, conditioning=name, classes=3).eval()
    z = model.sample_latent(4)
    x = torch.randint(0, 256, (4, *SPEC.shape), dtype=torch.uint8)
    images, losses = [], []
    for label in (0, 2):
        y = torch.full((4,), label)
        with torch.no_grad():
            images.append(model.generate(z, y))
            on_real = model.discriminate_batch(images[0], y)
            terms = [on_real.logits, *model.conditioning.real_terms(on_real.aux, y, 1.0).values()]
            losses.append(torch.stack(terms))
    assert not torch.allclose(images[0], images[1])
    assert not torch.allclose(losses[0], losses[1])
    with pytest.raises(PthetaError, match="conditional on labels and got none"):
        model.discriminate(x)


def test_minibatch_discrimination_is_its_definition():
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(6, kernels=3, dims=2)
    f = torch.randn(5, 6)
    out = layer(f)
    m = layer.project(f).view(5, 3, 2)
    for i in range(5):
        for k in range(3):
            others = [(m[i, k] - m[j, k]).abs().sum().neg().exp() for j in range(5) if j != i]
            torch.testing.assert_close(out[i, 6 + k], sum(others))
    assert torch.equal(out[:, :6], f)
    torch.testing.assert_close(layer(f.flip(0)), out.flip(0))
    assert out.shape[1] == layer.width
    collapsed = layer(f[:1].expand(5, 6))
    torch.testing.assert_close(collapsed[:, 6:], torch.full((5, 3), 4.0))


def test_minibatch_stddev_is_its_definition():
    f = torch.randn(8, 6)
    layer = MinibatchStddev(6)
    torch.testing.assert_close(
        layer(f)[:, 6], f.std(0, correction=0).mean().expand(8), atol=1e-5, rtol=1e-5
    )
    alone = f[:1].requires_grad_()
    layer(alone).sum().backward()
    assert alone.grad is not None
    assert alone.grad.isfinite().all()


@pytest.mark.parametrize("net", ["mlp", "conv", "resnet"])
def test_spectral_norm_bounds_every_layer(net):
    model = tiny("gan", SPEC, net=net, spectral_norm=True, d_hidden=(8, 8)).train()
    x = torch.randint(0, 256, (4, *SPEC.shape), dtype=torch.uint8)
    with torch.no_grad():
        for _ in range(60):
            model.discriminate(x)
    layers = [m for m in model.discriminator.modules() if hasattr(m, "parametrizations")]
    assert len(layers) >= 3
    for layer in layers:
        size = torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
        assert size == pytest.approx(1, abs=2e-3)


def test_weights_are_clipped_after_each_step_and_only_the_discriminators():
    model = tiny("wgan", SPEC)
    with torch.no_grad():
        model.game().after(1)
    assert all(p.abs().max() <= 0.01 for p in model.discriminator.parameters())
    assert any(p.abs().max() > 0.01 for p in model.generator.parameters())


def test_history_is_the_mean_of_all_past_weights():
    layer = torch.nn.Linear(3, 2)
    history, seen = History(layer), [layer.weight.detach().clone()]
    for step in range(1, 5):
        with torch.no_grad():
            layer.weight += torch.randn(2, 3)
            history.update(layer, step)
        seen.append(layer.weight.detach().clone())
    mean = torch.stack(seen).mean(0)
    torch.testing.assert_close(next(iter(history.buffers())), mean)
    torch.testing.assert_close(history.distance(layer), (layer.weight - mean).square().sum())


def test_codes_on_the_sphere_stay_there_along_great_circles():
    z = on_sphere(torch.randn(6, 20, dtype=torch.float64))
    walk = slerp(z[:3], z[3:], torch.linspace(0, 1, 9, dtype=torch.float64))
    torch.testing.assert_close(walk.norm(dim=-1), torch.full((3, 9), 20**0.5).double())
    model = tiny("gan", SPEC, prior="sphere")
    torch.testing.assert_close(model.sample_latent(5).norm(dim=1), torch.full((5,), 6**0.5))


def test_a_great_circle_never_leads_farther_out_than_its_ends():
    """Codes of two numbers are often about opposite, and of unequal norm."""
    a, b = torch.randn(2, 20_000, 2, generator=torch.Generator().manual_seed(0))
    walk = slerp(a, b, torch.linspace(0, 1, 5))
    far = walk.norm(dim=-1) / torch.maximum(a.norm(dim=1), b.norm(dim=1))[:, None]
    assert far.max() < 1.001
    torch.testing.assert_close(walk[:, 0], a)
    torch.testing.assert_close(walk[:, -1], b)
    opposite = slerp(a[:9], -a[:9], torch.tensor([0.25]))
    torch.testing.assert_close(opposite[:, 0], a[:9] / 2)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_pass_gradients_and_are_drawn_for_each_image(name):
    torch.manual_seed(0)
    x = torch.rand(1, 3, 12, 16).expand(6, -1, -1, -1).clone().requires_grad_()
    out = AUGMENTATIONS[name].apply(x)
    assert out.shape == x.shape
    assert len(out.detach().flatten(1).unique(dim=0)) > 1
    weights = torch.randn_like(out)
    (grad,) = torch.autograd.grad((out * weights).sum(), x)
    # linear in the image: the gradient is exact along any direction
    direction = torch.randn_like(x)
    torch.manual_seed(1)
    a = AUGMENTATIONS[name].apply(x.detach())
    torch.manual_seed(1)
    b = AUGMENTATIONS[name].apply(x.detach() + direction)
    torch.manual_seed(1)
    y = x.detach().requires_grad_()
    (grad,) = torch.autograd.grad((AUGMENTATIONS[name].apply(y) * weights).sum(), y)
    torch.testing.assert_close(
        ((b - a) * weights).sum(), (grad * direction).sum(), rtol=1e-3, atol=1e-3
    )


def test_translation_shifts_and_cutout_cuts():
    torch.manual_seed(0)
    x = torch.zeros(200, 1, 16, 16)
    x[:, :, 8, 8] = 1
    at = translation(x).flatten(1).argmax(1)
    rows, columns = at // 16 - 8, at % 16 - 8
    assert (int(rows.min()), int(rows.max())) == (-2, 2)
    assert (int(columns.min()), int(columns.max())) == (-2, 2)
    assert translation(x).sum() == 200
    share = cutout(torch.ones(500, 1, 16, 16)).mean((1, 2, 3))
    assert share.min() == 0.75
    assert share.max() > 0.9


def test_instance_noise_falls_to_nothing():
    model = tiny("gan", SPEC, instance_noise=0.5, instance_noise_steps=100)
    x = torch.zeros(50, *SPEC.shape)
    for step, deviation in ((0, 0.5), (50, 0.25), (100, 0.0), (200, 0.0)):
        with torch.no_grad():
            model.after(step)
        assert model.augmented(x).std().item() == pytest.approx(deviation, rel=0.05, abs=1e-9)


def test_labels_are_smoothed_on_one_side_and_turned_round_as_often_as_asked():
    d = torch.zeros(20_000)
    model = tiny("gan", SPEC, label_smoothing=0.1)
    assert (model.labels.targets(d, 0.9) == 0.9).all()
    flipped = tiny("gan", SPEC, label_flips=0.25).labels.targets(d, 0.0)
    assert flipped.mean().item() == pytest.approx(0.25, abs=0.02)
    noisy = tiny("gan", SPEC, label_noise=0.3)
    up, down = noisy.labels.targets(d, 0.0), noisy.labels.targets(d, 1.0)
    assert 0 <= up.min() < up.max() <= 0.3
    assert 0.7 <= down.min() < down.max() <= 1.0


def test_feature_matching_alone_is_the_squared_gap_of_mean_features():
    model = tiny("gan", SPEC, feature_matching=1.0).eval()
    x = torch.randint(0, 256, (6, *SPEC.shape), dtype=torch.uint8)
    batch = Batch(x)
    shared = model.prepare(batch, Clock(1, frozenset({"generator"})))
    terms = model.generator_loss(batch, shared)
    assert terms.keys() == {"features"}
    on = model.discriminator.features
    gap = on(shared.fake).mean(0) - on(shared.real).mean(0)
    torch.testing.assert_close(terms["features"].mean(), gap.square().sum())


def test_projection_adds_the_inner_product_of_label_and_features():
    model = tiny("projection-gan", SPEC, spectral_norm=False).eval()
    x = torch.rand(4, *SPEC.shape)
    y = torch.tensor([0, 1, 2, 1])
    d = model.discriminator
    found = d(x, None, y)
    wanted = d.output(found.features).squeeze(1) + (d.project.weight[y] * found.features).sum(1)
    torch.testing.assert_close(found.logits, wanted)


def test_the_ratio_of_densities_is_read_off_or_refused_with_the_reason():
    x = torch.randint(0, 256, (3, *SPEC.shape), dtype=torch.uint8)
    model = tiny("gan", SPEC).eval()
    assert torch.equal(model.log_ratio(x), model.discriminate(x))
    with pytest.raises(PthetaError, match="not a function of p_data / p_model"):
        tiny("sngan", SPEC).log_ratio(x)
    changes: dict[str, Any] = {
        "label_flips": 0.1,
        "penalty": ("r1",),
        "minibatch": "stddev",
        "spectral_norm": True,
    }
    for name, value in changes.items():
        with pytest.raises(PthetaError, match=f"{name} changes what"):
            tiny("gan", SPEC, **{name: value}).log_ratio(x)


def test_infogan_terms_bound_the_information():
    """-log Q is at least the entropy of the code on average; of a Gaussian it is its density."""
    model = tiny("infogan", SPEC).eval()
    z = model.sample_latent(40)
    assert z.shape == (40, 6 + 3 + 1)
    assert (z[:, 6:9].sum(1) == 1).all()
    assert z[:, 9].abs().max() <= 1
    aux = torch.randn(40, 5)
    terms = model.auxiliary_terms(aux, z, None)
    logits, mean, log_var = model.inferred(aux)
    log_q = torch.distributions.Categorical(logits=logits).log_prob(z[:, 6:9].argmax(1))
    torch.testing.assert_close(terms["category"], -log_q)
    normal = torch.distributions.Normal(mean, (0.5 * log_var).exp())
    torch.testing.assert_close(terms["continuous"], -0.1 * normal.log_prob(z[:, 9:]).sum(1))
    x = torch.randint(0, 256, (5, *SPEC.shape), dtype=torch.uint8)
    p, u = model.codes(x)
    assert torch.equal(p.argmax(1), model.cluster(x))
    assert u.shape == (5, 1)


def test_matched_accuracy_finds_the_best_names():
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    assert matched_accuracy((labels + 1) % 3, labels) == 1
    assert matched_accuracy(torch.zeros(6, dtype=torch.int64), labels) == pytest.approx(1 / 3)
    assert matched_accuracy(torch.tensor([5, 5, 5, 1, 2, 2]), labels) == pytest.approx(5 / 6)


# -- what a run says of itself


def test_the_watch_warns_of_falling_diversity_and_of_none():
    monitor = GANMonitor(True)
    assert monitor({"generator/diversity": 0.9}) == {}
    assert monitor({"generator/diversity": 0.5}) == {}
    (said,) = monitor({"generator/diversity": 0.4}).values()
    assert "mode collapse: the diversity of samples is 0.4" in said
    never = GANMonitor(True)
    for _ in range(STILL - 1):
        assert never({"generator/diversity": FEW / 2}) == {}
    assert "mode collapse" in never({"generator/diversity": FEW / 2})


def test_the_watch_warns_of_vanishing_classes():
    monitor = GANMonitor(False)
    assert monitor({"held_out/classes_digits": 8.0}) == {}
    assert monitor({"held_out/classes_digits": 5.0}) == {}
    assert "3.9 effective classes" in monitor({"held_out/classes_digits": 3.9})["mode collapse"]


def scored(classes: float, real: float) -> dict[str, float]:
    return {"held_out/classes_digits": classes, "held_out/real_classes_digits": real}


@given(
    real=st.floats(2, 100), share=st.floats(0, 1), before=st.lists(st.floats(0, 0.4), max_size=4)
)
def test_a_run_that_ends_with_too_few_classes_is_told_by_its_end(real, share, before):
    """Share of the classes beyond the first; below a half at the last evaluation is a collapse,
    whether or not there ever was more."""
    assume(abs(share - FALL) > 1e-6)
    monitor = GANMonitor(True)
    said: dict[str, str] = {}
    for low in before:
        said |= monitor(scored(1 + low * (real - 1), real))
    assert ("mode collapse" in said) or len(before) < LOW
    monitor(scored(1 + share * (real - 1), real))
    ended = monitor({END: 1.0})
    assert ("mode collapse" in ended) == (share < FALL)
    if ended:
        assert f"real images {real:.2g}" in ended["mode collapse"]


@given(diversity=st.lists(st.floats(0, 2), min_size=1, max_size=STILL - 1))
def test_a_run_that_ends_with_alike_samples_is_told_at_its_end(diversity):
    monitor = GANMonitor(False)
    for value in diversity:
        monitor({"generator/diversity": value})
    assert ("mode collapse" in monitor({END: 1.0})) == (diversity[-1] < FEW)


def test_a_sound_run_and_one_that_measured_nothing_end_in_silence():
    monitor = GANMonitor(True)
    for classes in (1.2, 6.0, 9.5):
        assert monitor(scored(classes, 9.9) | {"generator/diversity": 0.9}) == {}
    assert monitor({END: 1.0}) == {}
    assert GANMonitor(True)({END: 1.0}) == {}


def test_the_classes_of_a_score_stand_beside_those_of_the_real_images():
    from ptheta.data import open_images
    from ptheta.metrics.selection import Selection

    held = open_images("digits", "test").subset(slice(0, 60))
    model = tiny("infogan", held.spec).eval()
    found = Selection(held, "digits")(model)
    assert found is not None
    others = found.others
    assert 1 <= others["classes_digits"] <= 10
    assert others["real_classes_digits"] > 8
    monitor = GANMonitor(True)
    collapsed = {f"held_out/{k}": v for k, v in others.items()} | {"held_out/classes_digits": 1.0}
    assert monitor(collapsed) == {}
    assert "samples have 1 effective classes" in monitor({END: 1.0})["mode collapse"]


@given(smoothing=st.floats(0, 0.4))
def test_the_stopping_signal_is_the_loss_of_a_discriminator_that_cannot_tell(smoothing):
    loss = LOSSES["non_saturating"]
    assert loss.labelled is not None
    labelled = loss.labelled
    t = torch.tensor(1 - smoothing, dtype=torch.float64)
    p = t / 2
    d = torch.log(p / (1 - p))
    blind = (labelled(d, t) + labelled(d, torch.zeros_like(d))).item()
    monitor = GANMonitor(True, smoothing)
    said: dict[str, str] = {}
    for _ in range(STILL):
        assert said == {}
        told = {"discriminator/critic_gap": 0.1, "discriminator/adversarial": blind}
        said = monitor(told)
    assert "cannot tell real from fake" in said["stopping signal"]
    assert GANMonitor(True)(told) == {}


def test_a_critics_stopping_signal_is_a_gap_that_stays():
    still, moving = GANMonitor(False), GANMonitor(False)
    for i in range(STILL):
        told = {"discriminator/adversarial": -3.0}
        a = still(told | {"discriminator/critic_gap": 3.0 + 0.01 * (i % 2)})
        b = moving(told | {"discriminator/critic_gap": 3.0 + 0.1 * i})
    assert "stayed at 3" in a["stopping signal"]
    assert b == {}


def test_spread_is_twice_the_variance_in_expectation():
    torch.manual_seed(0)
    x = torch.randn(20_000, 1, 2, 2) * 0.6
    assert pairwise_mse(x).item() == pytest.approx(2 * 0.36, rel=0.03)
