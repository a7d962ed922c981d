"""Normalising flows: inverses, log-determinants, densities that integrate to one, bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn

import ptheta
from ptheta.batch import Batch
from ptheta.errors import PthetaError
from ptheta.models.flows import dequantisation
from ptheta.nets.flows import conditioners, couplings, elementwise, laws, mixing, shapes
from ptheta.nets.flows.actnorm import ActNorm
from ptheta.nets.flows.masked import Autoregressive
from ptheta.nets.flows.transform import Chain, Transform
from ptheta.nets.modules import Layer
from ptheta.runs import plan
from ptheta.specs import Column, DataSpec, ImageSpec, VectorSpec, from_levels
from tests.conftest import MODELS, VECTORS, config_options, examples, tiny

FLOWS = [name for name in MODELS if "dequantisation" in config_options(name)]
IMAGES = ImageSpec(2, 4, 4, 8)
POINTS = VectorSpec.of(2)


M = TypeVar("M", bound=nn.Module)


def shaken(module: M, size: float = 0.2, seed: int = 1) -> M:
    """The module with weights far from those of its start, in which couplings are the identity."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(size * torch.randn(p.shape, generator=draw))
    return module.eval()


def net(seen: int, law: laws.Law, moved: int, image: bool) -> Layer:
    out = law.numbers * moved
    if image:
        return conditioners.residual(seen, out, 6, 1)
    return conditioners.perceptron(seen, out, (8,))


def coupled(parting: couplings.Parting, law: laws.Law, image: bool) -> Transform:
    return couplings.Coupling(parting, net(parting.seen, law, parting.moved, image), law)


AFFINE, SIGMOID, MIXED = laws.Affine("tanh"), laws.Affine("sigmoid"), laws.MixtureCDF(3, "tanh")
VECTOR, MAPS = (5,), (4, 2, 6)
# Each transform by the shape of what it takes.
TRANSFORMS: dict[str, tuple[tuple[int, ...], Callable[[], Transform]]] = {
    "squeeze": (MAPS, shapes.Squeeze),
    "flatten": (MAPS, lambda: shapes.Flatten(MAPS)),
    "reversed": (VECTOR, lambda: shapes.Permutation.reversing(5)),
    "permutation": (MAPS, lambda: shapes.Permutation.drawn(4, 3)),
    "actnorm": (MAPS, lambda: ActNorm(4)),
    "actnorm of vectors": (VECTOR, lambda: ActNorm(5)),
    "mixing": (MAPS, lambda: mixing.Mixing(4)),
    "mixing of vectors": (VECTOR, lambda: mixing.Mixing(5)),
    "scaling": (VECTOR, lambda: elementwise.Scaling(VECTOR)),
    "shift": (MAPS, lambda: elementwise.Shift(0.3, 2.0)),
    "logit": (MAPS, lambda: Chain([elementwise.Sigmoid(), elementwise.Logit(0.05)])),
    "sigmoid": (VECTOR, elementwise.Sigmoid),
    "mixture-cdf": (MAPS, lambda: elementwise.ElementwiseMixtureCDF(MAPS, 3)),
    "additive": (VECTOR, lambda: coupled(couplings.Halves(5, True), laws.Additive(), False)),
    "halves": (MAPS, lambda: coupled(couplings.Halves(4, False), AFFINE, True)),
    "halves, sigmoid": (VECTOR, lambda: coupled(couplings.Halves(5, False), SIGMOID, False)),
    "halves, mixture": (MAPS, lambda: coupled(couplings.Halves(4, True), MIXED, True)),
    "interleaved": (VECTOR, lambda: coupled(couplings.Interleaved(5, False), MIXED, False)),
    "interleaved, flipped": (
        VECTOR,
        lambda: coupled(couplings.Interleaved(5, True), AFFINE, False),
    ),
    "one number": ((1,), lambda: coupled(couplings.Halves(1, False), AFFINE, False)),
    "checkerboard": (MAPS, lambda: coupled(couplings.Checkerboard(MAPS, False), AFFINE, True)),
    "checkerboard, mixture": (
        MAPS,
        lambda: coupled(couplings.Checkerboard(MAPS, True), MIXED, True),
    ),
    "factored out": (
        MAPS,
        lambda: couplings.FactoredOut(
            MAPS,
            Chain([ActNorm(2), shapes.Flatten((2, 2, 6))]),
            couplings.Coupling(couplings.Halves(4, False), net(2, AFFINE, 2, True), AFFINE),
        ),
    ),
    "masked": (VECTOR, lambda: Autoregressive(5, (9, 7), AFFINE, 0, reverse=False)),
    "masked, reversed": (VECTOR, lambda: Autoregressive(5, (9,), MIXED, 0, reverse=True)),
}


def check_log_det(f: Callable[[Tensor], tuple[Tensor, Tensor]], x: Tensor) -> None:
    """Against the determinant of the Jacobian by autograd, in float64."""
    _, log_det = f(x)
    for i in range(len(x)):
        jacobian = torch.autograd.functional.jacobian(lambda v: f(v[None])[0].flatten(), x[i])
        jacobian = jacobian.flatten(1)
        assert jacobian.shape[0] == jacobian.shape[1]
        assert torch.linalg.slogdet(jacobian)[1].item() == pytest.approx(
            log_det[i].item(), abs=1e-4, rel=1e-4
        )


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_has_its_inverse_and_its_log_determinant(name):
    shape, make = TRANSFORMS[name]
    torch.manual_seed(0)
    f, x = shaken(make()), torch.randn(3, *shape)
    with torch.no_grad():
        z, log_det = f(x)
        assert log_det.shape == (3,)
        torch.testing.assert_close(f.inverse(z), x, atol=1e-4, rtol=1e-4)
        y = f.inverse(z.flip(0))  # the other way round, at points that it was not made of
        torch.testing.assert_close(f(y)[0], z.flip(0), atol=1e-4, rtol=1e-4)
    check_log_det(f.double(), x.double())


def test_every_law_scale_and_part_is_tried():
    assert {*laws.LAWS} == {"affine", "mixture"}
    assert {*laws.SCALES} == {"tanh", "sigmoid"}
    assert {*conditioners.CONDITIONERS} == {"plain", "residual"}


def shook(name: str, spec: DataSpec, **options: Any) -> Any:
    return shaken(tiny(name, spec, **options), 0.1)


def laws_of(name: str) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = [{}]
    if "transform" in config_options(name):
        table.append({"transform": "mixture"})
    return table


@pytest.mark.parametrize("spec", [IMAGES, VECTORS, POINTS], ids=["images", "table", "points"])
@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_has_its_inverse_and_its_log_determinant(name, spec):
    for options in ({}, {"input": "mixture-cdf"}, *laws_of(name)[1:]):
        model = shook(name, spec, **options)
        x = examples(spec, 6)
        with torch.no_grad():
            v, _ = model.drawn(x)
            z = model.flow(v)[0]
            scale = spec.levels if isinstance(spec, ImageSpec) else 1
            torch.testing.assert_close(model.flow.inverse(z), v, atol=1e-4 * scale, rtol=1e-4)
            far = model.sample_latent(6)
            # a sample lies within the levels but for rounding, and comes back to its code
            near = model.flow(model.flow.inverse(far))[0]
            torch.testing.assert_close(near, far, atol=1e-3, rtol=1e-3)
        check_log_det(model.double().flow, v[:2].double())


def grid(points: int, side: float) -> tuple[Tensor, float]:
    at = torch.linspace(-side, side, points)
    x, y = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1), (2 * side / (points - 1)) ** 2


@pytest.mark.parametrize("name", FLOWS)
def test_a_density_integrates_to_one_and_is_that_of_samples(name):
    """In two dimensions: over a grid, and over the cells of a coarse histogram."""
    for options in laws_of(name):
        model = shook(name, POINTS, **options)
        x, area = grid(401, 12.0)
        with torch.no_grad():
            p = model.elbo(x).exp().double() * area
            assert model.exact()
            assert p.sum().item() == pytest.approx(1, abs=5e-3)
            torch.manual_seed(2)
            drawn = model.sample(20_000)
        edges = torch.linspace(-4, 4, 9)
        cell = torch.bucketize(x, edges) @ torch.tensor([10, 1])
        expected = torch.zeros(100, dtype=torch.float64).index_add_(0, cell, p)
        found = torch.bincount(torch.bucketize(drawn, edges) @ torch.tensor([10, 1]), minlength=100)
        error = (expected * (1 - expected) / 20_000).clamp_min(1e-8).sqrt()
        assert ((found / 20_000 - expected).abs() < 5 * error + 3e-3).all()


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("kind", ["uniform", "variational"])
def test_a_bound_is_below_the_probability_and_tightens_to_it(name, kind):
    """One sub-pixel beside another, 3 levels each: P(x) is the integral of p(v) over its bin."""
    spec = ImageSpec(1, 1, 2, 3) if name != "glow" else ImageSpec(2, 1, 1, 3)
    model = tiny(name, spec, dequantisation=kind)
    shaken(model.flow, 0.1)  # noise far from uniform would make weights of long tails
    k = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    x = from_levels(k.view(9, *spec.shape), 3)
    at = (torch.arange(60) + 0.5) / 60
    v = (k[:, None] + torch.cartesian_prod(at, at)).view(-1, *spec.shape)
    with torch.no_grad():
        exact = model.log_density(v).double().exp().view(9, -1).mean(1).log()
        torch.manual_seed(0)
        elbo = model.elbo(x.repeat(3000, 1, 1, 1)).double().view(3000, 9)
        tight = elbo.logsumexp(0) - math.log(3000)
        few = model.importance_bound(x.repeat(300, 1, 1, 1), 10).double().view(300, 9)
    error, of_few = elbo.std(0) / 3000**0.5, few.std(0) / 300**0.5
    assert (elbo.mean(0) < exact + 4 * error).all()
    assert (few.mean(0) > elbo.mean(0) - 4 * (error + of_few)).all()
    assert (few.mean(0) < exact + 4 * of_few).all()
    torch.testing.assert_close(tight, exact, atol=0.1, rtol=0.0)


def test_learned_noise_is_uniform_at_first_and_tightens_the_bound():
    """log q of the noise alone is learned: the bound grows from that of uniform noise, and stays
    below the probability."""
    spec = ImageSpec(1, 1, 2, 3)
    model, uniform = tiny("nice", spec, dequantisation="variational"), tiny("nice", spec)
    uniform.flow.load_state_dict(shaken(model.flow, 0.3).state_dict())
    k = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    x = from_levels(k.view(9, *spec.shape), 3)
    many = x.repeat(2000, 1, 1, 1)

    def bound(of: Any) -> float:
        torch.manual_seed(0)
        with torch.no_grad():
            found: float = of.elbo(many).mean().item()
        return found

    first = bound(uniform)
    assert bound(model) == pytest.approx(first, abs=0.02)
    adam = torch.optim.Adam(model.noise.parameters(), lr=1e-2)
    for _ in range(150):
        adam.zero_grad()
        (-model.elbo(x.repeat(20, 1, 1, 1)).mean()).backward()
        adam.step()
    at = (torch.arange(60) + 0.5) / 60
    v = (k[:, None] + torch.cartesian_prod(at, at)).view(-1, *spec.shape)
    with torch.no_grad():
        exact = model.log_density(v).double().exp().view(9, -1).mean(1).log().mean().item()
    assert first + 0.3 * (exact - first) < bound(model) < exact


@pytest.mark.parametrize("shape", [(1, 4, 6), (1, 3, 3), (3, 5, 4)])
def test_the_noise_of_images_has_the_density_that_it_says(shape):
    """log q by autograd, u in the unit cube."""
    torch.manual_seed(0)
    noise = shaken(dequantisation.of_images(shape, 5))
    check_noise(noise, torch.randn(2, *shape))


def test_the_noise_of_vectors_has_the_density_that_it_says():
    torch.manual_seed(0)
    check_noise(shaken(dequantisation.of_vectors(3, 4, (8,))), torch.randn(2, 4))


def check_noise(noise: dequantisation.Noise, context: Tensor) -> None:
    with torch.no_grad():
        u, _ = noise.drawn(context)
        assert ((u >= 0) & (u <= 1)).all()
    context = context.double()
    noise.double()
    if noise.squeeze is not None:
        context = noise.squeeze(context)[0]
    shape = context.shape[1:] if len(noise.shape) == 3 else noise.shape
    e = torch.randn(2, *shape, dtype=torch.float64)
    for i in range(2):
        given = partial(noise.flow, context=context[i : i + 1])
        check_log_det(given, e[i : i + 1])


def test_activation_normalisation_starts_once_and_from_the_whole_batch():
    layer, x = ActNorm(3), 4 + 3 * torch.randn(64, 3, 5, 5)
    assert torch.equal(layer(x)[0], x)  # not asked to start
    layer.listening = True
    y, _ = layer(x)
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std((0, 2, 3), correction=0), torch.ones(3))
    before = layer.bias.clone()
    layer(2 * x - 7)
    assert torch.equal(layer.bias, before)


@pytest.mark.parametrize("name", [n for n in FLOWS if n != "nice"])
def test_a_game_starts_activation_normalisation_once(name):
    """Every layer meets mean 0 and variance 1 on the first batch, and no second batch moves it, in
    a copy that was saved and loaded neither."""
    x = examples(IMAGES, 64)
    model = tiny(name, IMAGES)
    game = model.game()
    assert game.start is not None
    torch.manual_seed(4)
    game.start(Batch(x))
    seen: list[tuple[Tensor, Tensor]] = []
    for layer in model.modules():
        if isinstance(layer, ActNorm):
            assert bool(layer.started)
            layer.register_forward_hook(
                lambda _, __, out: seen.append(
                    (out[0].transpose(0, 1).flatten(1).mean(1), out[0].transpose(0, 1).flatten(1))
                )
            )
    torch.manual_seed(4)
    with torch.no_grad():
        model.loss(Batch(x))
    assert seen
    for mean, rows in seen:
        torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-3, rtol=0)
        std = rows.std(1, correction=0)
        torch.testing.assert_close(std, torch.ones_like(std), atol=1e-3, rtol=0)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    other = tiny(name, IMAGES)
    other.load_state_dict(state)
    for again in (model, other):
        again.start(Batch(x.flip(0)[:9]))
        for key, value in again.state_dict().items():
            assert torch.equal(value, state[key]), key


def test_a_masked_flow_is_the_product_of_its_conditionals():
    """log p = sum_d log N((x_d + t_d) s_d) + log s_d with t and s of a plain masked network, and
    what is drawn number by number is the inverse of one pass."""
    torch.manual_seed(0)
    f = shaken(Autoregressive(6, (20, 20), AFFINE, 0, reverse=True), 0.3)
    x = torch.randn(4, 6)
    ranks = f.masks.ranks
    z, log_det = torch.empty(4, 6), torch.zeros(4)
    for d in range(6):
        seen = torch.where(ranks < ranks[d], x, 1e3)  # what comes later changes nothing
        h = seen
        for k, (layer, weight) in enumerate(zip(f.layers, f._weights(), strict=True)):
            h = (h if k == 0 else h.relu()) @ weight.t() + layer.bias
        t, raw = h[:, 2 * d], h[:, 2 * d + 1]
        log_s = 2 * torch.tanh(raw / 2)
        z[:, d] = (x[:, d] + t) * log_s.exp()
        log_det += log_s
    found, log_d = f(x)
    torch.testing.assert_close(found, z, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(log_d, log_det, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(f.inverse(z), x, atol=1e-4, rtol=1e-4)


class ZukosLaw(laws.Law):
    """y = x s + t, with the bound that zuko has for log s."""

    numbers = 2

    def forward(self, x: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        shift, raw = p.unbind(1)
        log_s = raw / (1 + (raw / math.log(1e-3)).abs())
        return x * log_s.exp() + shift, log_s

    def inverse(self, y: Tensor, p: Tensor) -> Tensor:
        raise NotImplementedError


def test_the_density_of_a_masked_flow_is_that_of_zuko():
    """The same weights and masks in another library, whose law of a number is other than ours."""
    flows = pytest.importorskip("zuko.flows")
    from zuko.nn import MaskedLinear

    torch.manual_seed(0)
    theirs = shaken(flows.MAF(5, transforms=1, hidden_features=(16, 16)), 0.3)
    layers = [m for m in theirs.modules() if isinstance(m, MaskedLinear)]
    ours = Autoregressive(5, (16, 16), ZukosLaw(), 0, reverse=False)
    for layer, other in zip(ours.layers, layers, strict=True):
        layer.weight.data, layer.bias.data = other.weight.data, other.bias.data
    ours.kept = [other.mask.float() for other in layers]
    x = torch.randn(7, 5)
    with torch.no_grad():
        z, log_det = ours(x)
        log_p = -0.5 * (z.square() + math.log(2 * math.pi)).sum(1) + log_det
        torch.testing.assert_close(theirs().log_prob(x), log_p, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", FLOWS)
def test_columns_that_never_vary_are_left_out_and_drawn_as_they_are(name):
    spec = VectorSpec((Column("a"), Column("b", low=2.0, high=2.0, center=2.0), Column("c")))
    two = VectorSpec((Column("a"), Column("c")))
    x = torch.tensor([[0.3, 2.0, -1.0], [1.2, 2.0, 0.4]])
    model, other = shook(name, spec), shook(name, two)
    with torch.no_grad():
        torch.testing.assert_close(model.elbo(x), other.elbo(x[:, [0, 2]]))
        assert (model.sample(5)[:, 1] == 2.0).all()


def test_what_cannot_be_is_one_line():
    with pytest.raises(PthetaError, match=r"has one channel and an odd side.*realnvp"):
        tiny("glow", ImageSpec(1, 5, 6))
    with pytest.raises(PthetaError, match="have no bins; leave it out"):
        tiny("maf", POINTS, dequantisation="variational")
    with pytest.raises(PthetaError, match="is constant"):
        tiny("maf", VectorSpec((Column("b", low=2.0, high=2.0, center=2.0),)))


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("shape", [(1, 5, 5), (3, 7, 7), (1, 6, 20), (2, 1, 1), (1, 28, 28)])
def test_sides_limit_the_scales(name, shape):
    spec = ImageSpec(*shape)
    if name == "glow" and shape == (1, 5, 5):
        return
    model, x = tiny(name, spec), examples(spec, 3)
    with torch.no_grad():
        assert model.elbo(x).isfinite().all()
        assert model.encode(x).shape == (3, spec.dims)
        found = model.decode(model.encode(x)).int() - x.int()
        assert (found.abs() <= 1).all()


TABLE = VectorSpec(
    (
        Column("age", "integer", low=0, high=4, center=2.0, scale=1.3),
        Column("pet", "category", ("cat", "dog", "owl")),
    )
)
FEW = torch.cartesian_prod(torch.arange(3), torch.arange(3), torch.arange(3), torch.arange(3))
EVERY: dict[str, tuple[DataSpec, Tensor]] = {
    "images": (ImageSpec(1, 2, 2, 3), from_levels(FEW.view(-1, 1, 2, 2), 3)),
    "table": (TABLE, torch.cartesian_prod(torch.arange(5.0), torch.arange(3.0))),
}


@pytest.mark.parametrize("kind", ["uniform", "variational"])
@pytest.mark.parametrize("given", EVERY)
@pytest.mark.parametrize("name", FLOWS)
def test_probabilities_of_all_examples_sum_to_no_more_than_one_after_training(name, given, kind):
    """What is missing is the mass that the density puts beyond the bins."""
    spec, x = EVERY[given]
    options = laws_of(name)[-1]
    model = tiny(name, spec, dequantisation=kind, input="mixture-cdf", **options)
    torch.manual_seed(0)
    model.start(Batch(x))
    adam = torch.optim.Adam(model.parameters(), lr=2e-2)
    for _ in range(12):
        adam.zero_grad()
        torch.stack(list(model.loss(Batch(x)).values())).sum(0).mean().backward()
        adam.step()
    with torch.no_grad():
        each = model.elbo(x.repeat(100, *[1] * (x.ndim - 1))).double().exp().view(100, -1)
    error = (each.var(0) / 100).sum().sqrt().item()
    low = 0.7 if given == "images" else 0.01  # cubes of words leave much room between them
    assert low < each.mean(0).sum().item() < 1 + 4 * error + 1e-3


@pytest.mark.parametrize("name", FLOWS)
def test_one_number_alone_is_learned_without_a_word(name, recwarn):
    """Where a coupling has nothing to see, or nothing to move."""
    spec = VectorSpec.of(1)
    model = shook(name, spec)
    assert model.elbo(examples(spec, 3)).isfinite().all()
    assert not recwarn.list


def test_a_share_that_leaves_levels_nothing_is_refused():
    with pytest.raises(PthetaError, match="edge = 1"):
        ptheta.create("maf", IMAGES, edge=1)
    with pytest.raises(
        PthetaError, match=r"--edge 0\.1 only applies to --input, which is none here"
    ):
        plan.make("maf", "digits", {"steps": 1, "input": "none", "edge": 0.1})
