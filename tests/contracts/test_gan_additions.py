"""A part that somebody adds is one function and one entry: no other line changes, of no test."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scripts import draw_adversarial
from torch import Tensor, nn

import ptheta
from ptheta.batch import Condition
from ptheta.errors import PthetaError
from ptheta.games import Clock
from ptheta.losses.adversarial import LOSSES, AdversarialLoss
from ptheta.losses.penalties import PENALTIES, Evaluation, Penalty, squared_grad_norm
from ptheta.models.adversarial.conditioning import CONDITIONING, Conditioning
from ptheta.models.adversarial.latents import PRIORS, LatentPrior
from ptheta.nets.adversarial.config import NetConfig
from ptheta.nets.adversarial.networks import NETWORKS, ConcatenatedVector, Network, Trunk
from ptheta.nets.augment import AUGMENTATIONS, Augmentation
from ptheta.nets.condition import Vectors
from ptheta.nets.convolutional import Norm
from ptheta.nets.minibatch import MINIBATCH, MinibatchLayer, MinibatchStatistic
from ptheta.nets.norms import NORMS, Normalisation
from ptheta.specs import DataSpec
from tests.cli.helped import help_of, offers
from tests.contracts.gan_parts import SPEC, Pairing, check_refused, choosable, examples, play


def squared(d_fake: Tensor, d_real: Tensor | None = None) -> Tensor:
    return d_fake.square()


def squares(d_real: Tensor, d_fake: Tensor) -> Tensor:
    return (d_real - 1).square() + d_fake.square()


def consistency(found: Evaluation) -> Tensor:
    """(d(x) - d(T(x)))^2: no function of a gradient."""
    return (found.outputs - found.network(found.points.flip(-1))).square()


def sixth_power(found: Evaluation) -> Tensor:
    """|grad d|^6, of which WGAN-div has twice (arXiv:1712.01026)."""
    return squared_grad_norm(found.outputs, found.points) ** 3


def path_length(found: Evaluation) -> Tensor:
    """How far |J^T y| of the generator is from its mean (arXiv:1912.04958)."""
    y = torch.randn_like(found.outputs) / found.outputs[0].numel() ** 0.5
    lengths = (squared_grad_norm(found.outputs * y, found.points) + 1e-12).sqrt()  # dead units: 0
    return (lengths - lengths.mean().detach()).square()


class Scaled(Conditioning):
    """The discriminator is given the label as one number."""

    def discriminator_dim(self, spec: Vectors) -> int:
        return 1

    def discriminator_input(self, spec: Vectors, condition: Condition) -> Tensor:
        return spec.vector(condition).argmax(1, keepdim=True) / spec.size


def flat_generator(spec: DataSpec, config: NetConfig, inputs: int, norm: Norm) -> nn.Module:
    shape = spec.scaled_shape
    return nn.Sequential(nn.Linear(inputs, math.prod(shape)), nn.Unflatten(1, shape))


def flat_trunk(spec: DataSpec, config: NetConfig, cond_dim: int, norm: Norm) -> Trunk:
    return Trunk(ConcatenatedVector(nn.Linear(math.prod(spec.scaled_shape) + cond_dim, 8)), 8)


def two_constants(n: int, latent: int, device: torch.device) -> Tensor:
    return torch.randint(0, 2, (n, latent), device=device) * 2.0 - 1


def batch_maximum(width: int) -> MinibatchLayer:
    class Maximum(MinibatchLayer):
        def forward(self, f: Tensor) -> Tensor:
            return torch.cat([f, f.amax(0, keepdim=True).expand(len(f), -1)], 1)

    layer = Maximum()
    layer.width = 2 * width
    return layer


NEW: dict[str, tuple[dict[str, Any], Any]] = {
    "loss": (
        LOSSES,
        AdversarialLoss(
            squares,
            squared,
            ("(d(x) - 1)^2 + d(G(z))^2", "d(G(z))^2"),
            "by nobody",
            excludes={"soft_labels": "nobody has thought of labels"},
        ),
    ),
    "penalty": (PENALTIES, Penalty("real", consistency, 3.0, "(d(x) - d(T(x)))^2", "by nobody")),
    "conditioning": (CONDITIONING, Scaled(about="as one number")),
    "augment": (AUGMENTATIONS, Augmentation(lambda x: x.flip(-1), about="mirrored")),
    "net": (
        NETWORKS,
        Network(
            flat_generator,
            flat_trunk,
            about="linear",
            excludes={"autoencoding": "a linear map rebuilds nothing"},
        ),
    ),
    "d_norm": (
        NORMS,
        Normalisation(
            lambda channels, dims, reference: (
                nn.GroupNorm(channels, channels) if dims == 4 else None
            ),
            about="each map by itself",
        ),
    ),
    "minibatch": (
        MINIBATCH,
        MinibatchStatistic(batch_maximum, about="the largest", traits=frozenset({"batchwise"})),
    ),
    "prior": (PRIORS, LatentPrior(two_constants, about="corners of a cube")),
}


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Pairing:
    for table, entry in NEW.values():
        monkeypatch.setitem(table, "mine", entry)
    sixth = Penalty("interpolated", sixth_power, 1e-3, "", "")  # more, and plain descent diverges
    monkeypatch.setitem(PENALTIES, "sixth", sixth)
    monkeypatch.setitem(PENALTIES, "paths", Penalty("code", path_length, 2.0, "", "", {}))
    return Pairing(choosable())


def test_an_added_entry_is_an_option_with_help(added):
    help_text = help_of("gan")
    for option, (_, entry) in NEW.items():
        assert offers(help_text, option.replace("_", "-"), "mine"), option
        assert f"mine: {entry.about}" in help_text
    with pytest.raises(PthetaError, match=r"input should be .*'mine'"):
        ptheta.create("gan", SPEC, loss="yours")


def test_an_added_entry_trains_with_all_that_it_goes_with(added):
    mine = {f"{option}=mine" for option in NEW} | {"penalty=sixth", "penalty=paths"}
    games = added.games(mine)
    assert mine == {name for names in games for name in names} & mine
    for names in games:
        play(added.build(*names))
    refused = [pair for pair in added.refused if mine & set(pair)]
    assert {("net=mine", "loss=began"), ("loss=mine", "label_flips")} <= set(refused)
    assert ("d_norm=batch", "penalty=mine") in refused
    assert ("penalty=mine", "minibatch=mine") in refused or (
        "minibatch=mine",
        "penalty=mine",
    ) in refused
    for pair in refused:
        check_refused(added, *pair)


def test_a_penalty_on_the_generator_is_in_its_loss_alone(added):
    model = added.build("penalty=paths")
    batch = examples()
    shared = model.prepare(batch, Clock(1, frozenset({"generator"})))
    assert "paths" in model.generator_loss(batch, shared)
    assert "paths" not in model.discriminator_loss(batch, shared)


def test_an_added_entry_is_in_the_pictures(added):
    assert {"mine"} <= draw_adversarial.losses().keys()
    assert {"mine", "sixth"} <= draw_adversarial.penalties().keys()
    assert "paths" not in draw_adversarial.penalties()  # of the generator: no slope to draw
