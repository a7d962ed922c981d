"""Networks that grow: their sizes, their fading, their learning rates, their pauses."""

from __future__ import annotations

import math
import os
import signal
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, linear

import ptheta
from ptheta.batch import Batch
from ptheta.capabilities import stage_of
from ptheta.dynamics import DYNAMICS
from ptheta.errors import Interrupted, PthetaError
from ptheta.files.captions import titled
from ptheta.games import Clock
from ptheta.models.adversarial.growth import position
from ptheta.nets.adversarial.equalised import Scaled, equalise, fan_in
from ptheta.nets.adversarial.growing import (
    GrowingGenerator,
    GrowingTrunk,
    no_norm,
    plan,
)
from ptheta.nets.minibatch import MinibatchStddev
from ptheta.nets.norms import PixelNorm
from ptheta.nets.resize import doubled, halved
from ptheta.specs import ImageSpec
from ptheta.training import checkpoint
from ptheta.training.ema import EMA
from ptheta.training.engine import Engine
from ptheta.training.group import Group
from ptheta.training.loop import Trainer
from ptheta.training.pictures import ImageGrid
from tests.conftest import tiny
from tests.contracts.gan_parts import build, choosable, unsupported
from tests.training.test_runs import same, train

SPEC = ImageSpec(1, 16, 16)
SIZES = [(16, 16), (28, 20), (33, 64)]
STAGES = 3  # of 16 pixels: 4, 8, 16
TWO = ImageSpec(1, 8, 8)  # 4 and 8


def pixel_norm(channels: int, dims: int) -> nn.Module:
    return PixelNorm()


def generator(height: int, width: int, features: int = 3, stages: int = 0) -> GrowingGenerator:
    torch.manual_seed(0)
    return GrowingGenerator(plan(height, width, stages, features, 6), 5, 2, pixel_norm)


def trunk(height: int, width: int, features: int = 3, stages: int = 0) -> GrowingTrunk:
    torch.manual_seed(0)
    return GrowingTrunk(plan(height, width, stages, features, 6), 2, no_norm, MinibatchStddev)


def growing(**options: Any) -> Any:
    """The model with all of its parts, of 16 pixels."""
    return tiny("progressive-gan", SPEC, **{"minibatch": "stddev", **options})


# -- fading


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_generator_fades_from_the_smaller_images_enlarged_to_the_larger(height, width):
    net, z = generator(height, width), torch.randn(4, 5)
    with torch.no_grad():
        for stage in range(1, net.plan.stages):
            size = net.plan.sizes[stage]
            small, large = net.at(z, stage - 1, 1.0), net.at(z, stage, 1.0)
            assert large.shape == (4, 2, *size)
            assert torch.equal(net.at(z, stage, 0.0), doubled(small, size))
            nearly = net.at(z, stage, 1 - 1e-6)
            torch.testing.assert_close(nearly, large, atol=1e-5, rtol=0)
            mean = (doubled(small, size) + large) / 2
            torch.testing.assert_close(net.at(z, stage, 0.5), mean)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_discriminator_fades_from_what_it_makes_of_the_halved_image(height, width):
    net = trunk(height, width)
    with torch.no_grad():
        for stage in range(1, net.plan.stages):
            x = torch.randn(4, 2, *net.plan.sizes[stage])
            assert torch.equal(net.at(x, stage, 0.0), net.at(halved(x), stage - 1, 1.0))
            torch.testing.assert_close(net.at(x, stage, 1 - 1e-6), net.at(x, stage, 1.0))
            assert not torch.allclose(net.at(x, stage, 0.5), net.at(x, stage, 1.0))


def test_the_networks_of_a_stage_are_those_of_images_of_that_size():
    """With the weights of the larger ones: the smaller network is a part of the larger."""
    z, x = torch.randn(4, 5), torch.randn(4, 2, 16, 16)
    for make, given_ in ((generator, z), (trunk, x)):
        large, small = make(32, 32, features=3), make(16, 16, features=6)
        wanted = small.state_dict()
        small.load_state_dict({k: v for k, v in large.state_dict().items() if k in wanted})
        with torch.no_grad():
            assert torch.equal(small.at(given_, 2, 1.0), large.at(given_, 2, 1.0))


def test_fewer_stages_begin_at_a_larger_size_with_the_same_network():
    z = torch.randn(4, 5)
    every, last = generator(32, 32), generator(32, 32, stages=1)
    wanted = {k: v for k, v in every.state_dict().items() if not k.startswith("to_image")}
    wanted |= {f"to_image.0.{k}": v for k, v in every.to_image[-1].state_dict().items()}
    last.load_state_dict(wanted)
    with torch.no_grad():
        assert last.size() == (32, 32)
        assert torch.equal(last(z), every.at(z, 3, 1.0))
    with pytest.raises(PthetaError, match=r"have 3 sizes .*: give 3 or less"):
        growing(stages=4)
    with pytest.raises(PthetaError, match="net = conv cannot grow: use --net growing"):
        tiny("gan", SPEC, stages=2, net="conv")
    with pytest.raises(PthetaError, match="d_norm = virtual does not go with stages = 2"):
        tiny("gan", SPEC, stages=2, net="growing", d_norm="virtual")


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_images_are_made_small_and_enlarged_again(height, width):
    net = generator(height, width)
    x = torch.randn(2, 1, height, width)
    for stage in range(net.plan.stages):
        net.grow(stage)
        small = net.sized(x)
        assert tuple(small.shape[2:]) == net.size() == net.plan.sizes[stage]
        assert torch.equal(net.presented(x), small)
        assert net.enlarged(small).shape == x.shape
        torch.testing.assert_close(net.sized(net.enlarged(small)), small)
    fading = generator(height, width)
    fading.grow(0.25)
    small = fading.sized(x)
    coarse = doubled(halved(small), fading.size())
    torch.testing.assert_close(fading.presented(x), 0.75 * coarse + 0.25 * small)


# -- when they grow


@given(st.floats(0, 1), st.integers(1, 8), st.floats(0, 1), st.floats(0, 1))
def test_the_position_rises_from_the_first_stage_to_the_last(share, stages, growth, fade):
    here = position(share, stages, growth, fade)
    assert 0 <= here <= stages - 1
    assert here <= position(min(1.0, share + 0.01), stages, growth, fade) + 1e-9
    assert position(0, stages, growth, fade) == (0 if growth and fade < 1 else here - here) or (
        growth == 0
    )
    assert position(1, stages, growth, fade) == stages - 1


def test_each_stage_is_learned_alone_before_the_next_fades_in():
    found = [position(k / 16, 3, 0.5, 0.5) for k in range(10)]
    assert found == [0, 0, 0, 0.5, 1, 1, 1, 1.5, 2, 2]
    assert [position(k / 16, 3, 0.5, 0.0) for k in (3, 4, 7, 8)] == [0, 1, 1, 2]


def test_a_network_does_not_shrink_and_its_size_is_kept_with_the_weights():
    net, other = generator(16, 16), generator(16, 16)
    net.grow(1.25)
    net.grow(0.5)
    assert net.now() == (2, 0.25)
    other.load_state_dict(net.state_dict())
    assert other.now() == (2, 0.25)
    net.grow(9)
    assert net.now() == (2, 1)


# -- what moves


def played(model: Any, shares: list[float], n: int = 6) -> Engine:
    """A model after a step at each of these shares of a run."""
    game = model.train().game()
    engine = Engine(model, game, Group())
    torch.manual_seed(5)
    y = None if model.condition is None else model.condition.examples(n)
    for share in shares:
        engine.step, engine.share = engine.step + 1, share
        x = torch.randint(0, 256, (n, *model.spec.shape), dtype=torch.uint8)
        DYNAMICS["alternating"].rule(engine, game, engine.step, Batch(x, y))
        with torch.no_grad():
            game.after(engine.step)
    return engine


# share of a run -> of the layers to and from images those that learn then, and the blocks
LEARNING = {0.0: ({0}, 1), 0.2: ({0, 1}, 2), 0.26: ({1}, 2), 0.45: ({1, 2}, 3), 0.9: ({2}, 3)}


@pytest.mark.parametrize("share", LEARNING)
def test_gradients_reach_the_mover_and_of_it_what_is_in_use(share):
    model = growing()
    game, batch = model.train().game(), Batch(torch.randint(0, 256, (6, *SPEC.shape)).byte())
    engine = Engine(model, game, Group())
    engine.step, engine.share = 1, share
    shared = engine.prepare(game, 1, batch)
    images, blocks = LEARNING[share]
    for move in game.moves:
        model.zero_grad()
        engine.gradients(move, batch, shared)
        reached = {name for name, p in model.named_parameters() if p.grad is not None}
        assert all(name.startswith(move.player) for name in reached)
        body = "generator.body" if move.player == "generator" else "discriminator.trunk.body"
        ends = "to_image" if move.player == "generator" else "from_image"
        for k in range(STAGES):
            assert any(f"{body}.{ends}.{k}." in name for name in reached) == (k in images)
            assert any(f"{body}.blocks.{k}." in name for name in reached) == (k < blocks)


def test_moving_means_are_of_the_present_weights_until_a_layer_learns():
    model = growing()
    game = model.train().game()
    engine, ema = Engine(model, game, Group()), EMA(model, 0.9)
    wanted = {name: p.detach().clone() for name, p in model.named_parameters()}
    for step, share in enumerate([0.0, 0.1, 0.3, 0.4, 0.6, 0.9], start=1):
        engine.step, engine.share = step, share
        x = torch.randint(0, 256, (4, *SPEC.shape), dtype=torch.uint8)
        DYNAMICS["alternating"].rule(engine, game, step, Batch(x))
        ema.update()
        d = min(0.9, (1 + step) / (10 + step))
        for name, p in model.named_parameters():
            wanted[name] = d * wanted[name] + (1 - d) * p.detach()
            torch.testing.assert_close(ema.state()[name], wanted[name], atol=1e-6, rtol=1e-5)
        last = [n for n in wanted if ".blocks.2." in n or "image.2." in n]
        live = dict(model.named_parameters())
        resting = [torch.equal(ema.state()[name], live[name]) for name in last]
        assert all(resting) == (share < 0.4)
    with ema.in_use():
        images = model.eval().sample(3)
    assert len(images.flatten(1).unique(dim=0)) == 3


def games() -> list[dict[str, Any]]:
    """A few GANs that grow, so that each part is in one of them; those refused, alone."""
    base = {"net": "growing", "stages": 2, "d_norm": "none", "reference": 4, "code": 3}
    left = [given for part in choosable().values() for given in part.values()]
    found = []
    while left:
        game = base | left[0]
        for given_ in left[1:]:
            new = game.keys() - base.keys() | {"net"}
            free = new.isdisjoint(given_) and unsupported(game, TWO) is None
            if free and unsupported(game | given_, TWO) is None:
                game = game | given_
        left = [given_ for given_ in left[1:] if not given_.items() <= game.items()]
        found.append(game)
    return found


@pytest.mark.parametrize("options", games(), ids=lambda game: "-".join(map(str, game.values())))
def test_every_part_goes_with_growth_or_is_refused(options):
    if unsupported(options, TWO):
        with pytest.raises(PthetaError, match=r"use --stages 1|use --net growing"):
            build(options, TWO)
        return
    model = build(options, TWO)
    played(model, [0.0, 0.4, 0.6])
    assert all(p.isfinite().all() for p in model.parameters())
    with torch.no_grad():
        y = None if model.condition is None else model.condition.examples(3)
        x = model.eval().sample(3, y)
        assert x.shape == (3, *TWO.shape)
        assert model.discriminate(x, y).isfinite().all()


# -- the parts


LAYERS: dict[str, tuple[Any, Any]] = {
    "linear": (lambda: nn.Linear(6, 4), lambda m, w, x: linear(x.flatten(1), w, m.bias)),
    "convolution": (lambda: nn.Conv2d(6, 4, 3), lambda m, w, x: conv2d(x, w, m.bias)),
    "grouped": (
        lambda: nn.Conv2d(6, 4, 3, groups=2),
        lambda m, w, x: conv2d(x, w, m.bias, groups=2),
    ),
    "transposed": (
        lambda: nn.ConvTranspose2d(6, 4, 4, 2, 1),
        lambda m, w, x: conv_transpose2d(x, w, m.bias, 2, 1),
    ),
}
INPUTS = {"linear": 6, "convolution": 6 * 9, "grouped": 3 * 9, "transposed": 6 * 4}


@pytest.mark.parametrize("kind", LAYERS)
def test_an_equalised_layer_is_its_definition(kind):
    torch.manual_seed(0)
    make, applied = LAYERS[kind]
    layer = make()
    assert fan_in(layer) == INPUTS[kind]
    equalise(layer)
    constant = math.sqrt(2 / INPUTS[kind])
    v = layer.parametrizations.weight.original
    x = torch.randn(3, 6, 5, 5) if kind != "linear" else torch.randn(3, 6)
    torch.testing.assert_close(layer(x), applied(layer, constant * v, x))
    assert torch.equal(layer.weight, constant * v)
    (grad,) = torch.autograd.grad(layer(x).square().sum(), v)
    w = (constant * v).detach().requires_grad_()
    (plain,) = torch.autograd.grad(applied(layer, w, x).square().sum(), w)
    torch.testing.assert_close(grad, constant * plain)


def test_equalised_weights_are_normal_and_all_move_by_the_same_share_of_their_size():
    model = growing(features=16, lr=1e-2)
    layers = {n: m for n, m in model.named_modules() if hasattr(m, "parametrizations")}
    scaled = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert layers.keys() == set(scaled)
    numbers = torch.cat([m.parametrizations.weight.original.flatten() for m in layers.values()])
    assert numbers.mean().item() == pytest.approx(0, abs=0.02)
    assert numbers.std().item() == pytest.approx(1, abs=0.02)
    before = {n: m.weight.detach().clone() for n, m in layers.items()}
    played(model, [0.9])
    moved = {
        n: ((m.weight - before[n]).abs().max() / math.sqrt(2 / fan_in(m))).item()
        for n, m in layers.items()
    }
    learning = [share for n, share in moved.items() if share > 0]
    assert len(learning) > 12  # Adam's first step is as long everywhere
    assert all(share == pytest.approx(1e-2, rel=1e-3) for share in learning)
    assert isinstance(layers["generator.body.to_image.0"].parametrizations.weight[0], Scaled)


@pytest.mark.parametrize("shape", [(4, 7), (4, 7, 3, 5)])
def test_pixel_norm_is_its_formula(shape):
    torch.manual_seed(0)
    a = torch.randn(shape)
    n = a.shape[1]
    wanted = a / ((a**2).sum(1, keepdim=True) / n + 1e-8).sqrt()
    torch.testing.assert_close(PixelNorm()(a), wanted)
    assert PixelNorm()(torch.zeros(shape)).isfinite().all()


def test_the_deviation_of_maps_is_its_formula():
    torch.manual_seed(0)
    maps = torch.randn(5, 3, 4, 2)
    told = MinibatchStddev(3)(maps)
    each = [
        math.sqrt(sum((x - sum(v) / 5) ** 2 for x in v) / 5) for v in maps.flatten(1).T.tolist()
    ]
    assert told.shape == (5, 4, 4, 2)
    assert torch.equal(told[:, :3], maps)
    torch.testing.assert_close(told[:, 3], torch.full((5, 4, 2), sum(each) / len(each)))


# -- pauses


# after which steps, and what is learned then
PAUSES = {4: "8x8 of 16x16 pixels, fading", 2: "4x4 of", 6: "8x8 of", 9: "16x16 of", 10: ""}


@pytest.mark.parametrize(
    "pause", [4, *(pytest.param(p, marks=pytest.mark.slow) for p in PAUSES if p != 4)]
)
def test_a_run_that_stops_in_any_phase_goes_on_bit_for_bit(pause, strokes, tmp_path, monkeypatch):
    """Of 12 steps, 9 in growth: 4 pixels, fading in of 8, 8, fading in of 16, 16."""
    options = {"ema": 0.9, "growth": 0.75, "batch_size": 6, "steps": 12, "minibatch": "stddev"}
    whole = train("progressive-gan", strokes, tmp_path / "whole", **options)
    kept = Trainer._at_intervals
    stages: list[str] = []

    def press_ctrl_c(self: Trainer, step: int) -> None:
        kept(self, step)
        if step == pause:
            stages.append(stage_of(self.model))
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Trainer, "_at_intervals", press_ctrl_c)
    with pytest.raises(Interrupted):
        train("progressive-gan", strokes, tmp_path / "parts", **options)
    assert PAUSES[pause] in stages[0]
    assert ("fading" in stages[0]) == (pause in (4, 9))
    paused: Any = ptheta.load(tmp_path / "parts")
    assert paused.present_stage() == stages[0]  # what is used is what was learned
    monkeypatch.setattr(Trainer, "_at_intervals", kept)
    parts = train("progressive-gan", strokes, tmp_path / "parts", resume=True, **options)
    assert same(whole.path, parts.path)
    a, b = (checkpoint.latest(r.path / "state") for r in (whole, parts))
    assert a is not None
    assert b is not None
    for file in ("model", "ema", "optimizers", "rng-0"):
        assert same(a, b, f"{file}.safetensors"), file


def test_a_longer_run_begins_with_the_size_that_was_reached():
    model = growing()
    played(model, [0.9, 0.1])
    assert {part.position for part in model.growing()} == {2.0}


def test_the_best_weights_are_of_full_size(strokes, tmp_path):
    options = {"evaluate_every": 1, "held_out": 24, "growth": 0.6}
    run = train("progressive-gan", strokes, tmp_path / "r", steps=8, **options)
    scored = [line["step"] for line in run.metrics() if any("held_out" in key for key in line)]
    assert scored == [6, 7, 8]


# -- pictures


def test_a_picture_of_training_says_which_size_is_learned(tmp_path):
    model, sizes = growing().eval(), []
    for share in (0.0, 0.2, 0.9):
        model.grow(share)
        with torch.no_grad():
            ImageGrid().write(tmp_path / "x.png", model)
        with Image.open(tmp_path / "x.png") as picture:
            sizes.append(picture.size)
    assert sizes[0] == sizes[1]
    assert sizes[0][1] > sizes[2][1]  # a line above it until it has grown
    plain = Image.new("L", (200, 100), 0)
    told = titled(plain, "8x8 of 64x64 pixels, fading in: 40%")
    assert told.crop((0, told.height - 100, 200, told.height)).tobytes() == plain.tobytes()


def test_samples_of_a_stage_are_of_its_pixels():
    model = growing().eval()
    for part in model.growing():
        part.grow(1.0)
    with torch.no_grad():
        x: Tensor = model.sample(3).float()
        z = model.sample_latent(2)
        assert model.decode(z).shape == (2, *SPEC.shape)
    assert torch.equal(x, doubled(x[:, :, ::2, ::2], (16, 16)))
    assert model.present_stage() == "8x8 of 16x16 pixels"


def test_both_networks_stand_at_the_same_size_whoever_moves():
    model = growing(critic_steps=3)
    engine = played(model, [0.0, 0.2, 0.3, 0.31])
    places = {part.position for part in model.growing()}
    assert places == {position(0.31, 3, 0.5, 0.5)}
    told = engine.averages.take()
    assert told["discriminator/size"] == pytest.approx((4 + 8 + 8 + 8) / 4)
    clock = Clock(5, frozenset({"discriminator"}), 0.9)
    batch = Batch(torch.zeros(2, *SPEC.shape, dtype=torch.uint8))
    assert model.prepare(batch, clock).fake.shape == (2, *SPEC.shape)
