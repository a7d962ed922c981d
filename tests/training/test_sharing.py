"""A training on several processes is that on one: real ones, through the whole of a step."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import ptheta
from ptheta.batch import Batch
from ptheta.compute import streams
from ptheta.dynamics import DYNAMICS
from ptheta.games import Game, Move, Player, Terms
from ptheta.models.text.base import TextToImage
from ptheta.optimizers import SGD
from ptheta.specs import ImageSpec
from ptheta.training.batch_norm import synchronise
from ptheta.training.engine import Engine
from ptheta.training.group import Group
from ptheta.training.processes import launch
from ptheta.training.settings import TrainSettings
from tests.conftest import TINY, conditions, tiny
from tests.training.test_runs import QUIET

SPEC = ImageSpec(1, 16, 16, 2)
N = 8
FREE = {"g_norm": "layer", "d_norm": "layer"}
NOISY = {"instance_noise": 0.1, "label_noise": 0.1, "augment": ("color", "cutout")}
# The encoder learns in the first quarter. Of the hinge loss, what right, wrong and made pairs ask
# for adds up to nothing but rounding at the start.
CAPTIONS = {"matching": 0.25, "interpolated": 1.0, "loss": "non_saturating"}
# Of each family, and of each kind of noise; (model, options, dynamics)
GAMES: dict[str, tuple[str, dict[str, Any], str]] = {
    "gan": ("gan", {**FREE, **NOISY}, "alternating"),
    "wgan": ("wgan", FREE, "alternating"),
    "wgan-gp": ("wgan-gp", FREE, "alternating"),
    "matching": ("gan", {**FREE, "feature_matching": 0.5, "penalty": ("dragan",)}, "alternating"),
    "minibatch": ("gan", {**FREE, "minibatch": "discrimination"}, "alternating"),
    "relativistic": ("gan", {**FREE, "loss": "relativistic_average"}, "alternating"),
    "deviations": ("gan", {**FREE, "minibatch": "stddev", "net": "mlp"}, "extragradient"),
    "growing": ("progressive-gan", {"minibatch": "stddev", "critic_steps": 2}, "alternating"),
    "began": ("began", FREE, "alternating"),
    "replay": ("cgan", {**FREE, "replay": 5, "classes": 3}, "simultaneous"),
    "infogan": ("infogan", FREE, "extragradient"),
    "vae": ("vae", {}, "alternating"),
    "iwae": ("iwae", {}, "alternating"),
    "avb": ("avb", {}, "simultaneous"),
    "dae": ("dae", {}, "alternating"),
    "gsn": ("gsn", {"walkback": 2}, "alternating"),
    "rbm": ("rbm", {"lr": 0.01}, "alternating"),
    "contrastive": ("rbm", {"negative": "cd", "gibbs": 2, "lr": 0.01}, "alternating"),
    "tempered": ("rbm", {"negative": "tempered", "tempering": 3, "lr": 0.01}, "alternating"),
    "ddpm": ("ddpm", {"classes": 3, "drop_condition": 0.3, "dropout": 0.2}, "alternating"),
    "transport": ("flow-matching", {"pairing": "optimal-transport"}, "alternating"),
    "vq-vae": ("vq-vae", {"revive": 0.9}, "alternating"),
    "beta-tcvae": ("beta-tcvae", {"estimator": "stratified", "examples": 100}, "alternating"),
    "ladder-vae": ("ladder-vae", {}, "alternating"),
    "cyclegan": ("cyclegan", {"classes": 3, "pool": 3, "features": 4}, "alternating"),
    "aae": ("aae", {"net": "mlp"}, "alternating"),
    "made": ("made", {"orders": 2}, "alternating"),
    "pixelcnn++": ("pixelcnn++", {"dropout": 0.3}, "alternating"),
    "text-gan": ("text-gan", {**CAPTIONS, "matching_weight": 0.5}, "alternating"),
    "stackgan": ("stackgan", CAPTIONS, "alternating"),
}


class Normalised(nn.Module):
    """Batch normalisation of maps and of units, and a loss of each example."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        maps = (nn.Conv2d(1, 3, 3, bias=False), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten())
        self.net = nn.Sequential(*maps, nn.Linear(588, 4, bias=False), nn.BatchNorm1d(4), nn.Tanh())

    def loss(self, batch: Batch, shared: None) -> Terms:
        return {"loss": (self.net(batch.x / 255) - batch.x[:, 0, 3, :4] / 255).square().sum(1)}

    def game(self) -> Game[None]:
        return Game({"p": Player((self,), SGD(0.01))}, (Move("p", self.loss),))


def learn(group: Group, model: nn.Module, rule: str, steps: int) -> dict[str, Tensor]:
    """The weights and statistics after these steps, of which this process sees its share."""
    game: Any = model.game()  # type: ignore[operator]
    engine = Engine(model.train(), game, group)
    captioned = isinstance(model, TextToImage)
    every = conditions(model, N) if captioned else torch.arange(N) % 3
    assert isinstance(every, Tensor)
    torch.manual_seed(7)
    for step in range(1, steps + 1):
        engine.step, engine.share = step, (step - 1) / steps
        x = torch.randint(0, 2, (N, *SPEC.shape), generator=torch.Generator().manual_seed(step))
        rows = slice(group.rank, None, group.size)
        batch = Batch((255 * x[rows]).byte(), every[rows])
        with streams.shared(group.rank, group.size, group.gather):
            DYNAMICS[rule].rule(engine, game, step, batch)
            with torch.no_grad():
                if game.after is not None:
                    game.after(step)
    return {k: v.clone() for k, v in model.state_dict().items()}


@contextmanager
def double() -> Iterator[None]:
    """In float32, what divides by a deviation and what has a kink make rounding grow: the weights
    of some games are apart by more than a step of the optimizer after ten steps."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def all_of_them(group: Group, names: tuple[str, ...], steps: int) -> dict[str, dict[str, Tensor]]:
    torch.set_num_threads(1)
    with double():
        found = {
            name: learn(group, tiny(GAMES[name][0], SPEC, **GAMES[name][1]), GAMES[name][2], steps)
            for name in names
        }
        model = Normalised()
        if group.size > 1:
            synchronise(model, group.size)
        return found | {"synchronised": learn(group, model, "alternating", steps)}


def check(names: tuple[str, ...], processes: int, steps: int) -> None:
    settings = TrainSettings(steps=steps, device="cpu", processes=processes)
    found = launch(settings, all_of_them, names, steps)
    compare(found, all_of_them(Group(), names, steps))


def compare(found: dict[str, dict[str, Tensor]], expected: dict[str, dict[str, Tensor]]) -> None:
    """Raises AssertionError if weights or statistics, of float64, differ by more than 1e-9.

    Weights that no loss depends on (the bias of features that are centred) have gradients of
    nothing but rounding, which Adam divides by its own size: these are apart by some 1e-10.
    """
    for name, wanted in expected.items():
        assert found[name].keys() == wanted.keys(), name
        for key, value in wanted.items():
            apart = (found[name][key].double() - value.double()).abs().max().item()
            assert apart <= 1e-9, f"{name} {key}: {apart}"


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "steps"), [(2, 50), (4, 12)])
def test_every_kind_of_game_is_the_same_on_several_processes(processes, steps):
    """See test_machines for 50 steps of 2 x 2 processes."""
    check(tuple(GAMES), processes, steps)


def test_what_rests_is_as_torch_has_it():
    """A synchronised layer in evaluation, and its state: the same names, the same numbers."""
    plain, made = Normalised(), Normalised()
    synchronise(made, 2)
    assert made.state_dict().keys() == plain.state_dict().keys()
    made.load_state_dict(plain.state_dict())
    x = torch.rand(3, *SPEC.shape)
    torch.testing.assert_close(made.eval().net(x), plain.eval().net(x))
    assert copy.deepcopy(made).state_dict().keys() == plain.state_dict().keys()


def test_processes_of_a_run_are_a_setting_that_may_change():
    a = TrainSettings(steps=1, sync_batch_norm=True)
    assert dataclasses.replace(a, processes=3).budget().processes == 3


@pytest.mark.slow
def test_a_run_goes_on_with_any_number_of_processes(strokes, tmp_path):
    """Two processes, then four, then one: as one from the beginning."""
    options: dict[str, Any] = {
        **TINY["vae"],
        **QUIET,
        "batch_size": 16,
        "levels": 2,
        "dynamic": True,
    }
    whole = ptheta.train("vae", strokes, tmp_path / "whole", **options, steps=24)
    for steps, processes in ((8, 2), (16, 4), (24, 1)):
        parts = ptheta.train(
            *("vae", strokes, tmp_path / "parts"),
            **{**options, "steps": steps, "processes": processes, "resume": steps > 8},
        )
    a, b = (load_file(run.path / "model.safetensors") for run in (whole, parts))
    for key, value in a.items():
        torch.testing.assert_close(b[key], value, atol=1e-6, rtol=0)
