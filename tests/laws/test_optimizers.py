"""Optimizers: the rules of the papers, options read off the table, and a state that resumes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from ptheta import config
from ptheta.batch import Batch
from ptheta.compute.layout import channels_last
from ptheta.errors import PthetaError
from ptheta.games import Game, Move, Player, Terms
from ptheta.optimizers import OPTIMIZERS, SGD, Adam, AdamW, Factory, OptimizerConfig, RMSprop
from ptheta.training.engine import Engine
from ptheta.training.group import Group

LR, EPS = 0.1, 1e-8


def adam(w: float, g: float, s: dict[str, float], decay: float = 0.0) -> float:
    s["t"] = s.get("t", 0) + 1
    s["m"] = 0.9 * s.get("m", 0.0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0.0) + 0.001 * g * g
    m, v = s["m"] / (1 - 0.9 ** s["t"]), s["v"] / (1 - 0.999 ** s["t"])
    return w - LR * decay * w - LR * m / (math.sqrt(v) + EPS)


def rmsprop(w: float, g: float, s: dict[str, float]) -> float:
    s["v"] = 0.99 * s.get("v", 0.0) + 0.01 * g * g
    return w - LR * g / (math.sqrt(s["v"]) + EPS)


def momentum(w: float, g: float, s: dict[str, float], nesterov: bool = False) -> float:
    s["b"] = 0.9 * s["b"] + g if s else g
    return w - LR * (g + 0.9 * s["b"] if nesterov else s["b"])


RULES: dict[str, tuple[Factory, Any]] = {
    "adam": (Adam(LR), adam),
    "adam, decay in the gradient": (
        Adam(LR, weight_decay=0.3),
        lambda w, g, s: adam(w, g + 0.3 * w, s),
    ),
    "adamw": (AdamW(LR, weight_decay=0.3), lambda w, g, s: adam(w, g, s, 0.3)),
    "rmsprop": (RMSprop(LR), rmsprop),
    "sgd": (SGD(LR), lambda w, g, s: w - LR * g),
    "sgd, momentum": (SGD(LR, momentum=0.9), momentum),
    "sgd, nesterov": (
        SGD(LR, momentum=0.9, nesterov=True),
        lambda w, g, s: momentum(w, g, s, True),
    ),
}


def test_every_optimizer_has_a_rule():
    assert {name.partition(",")[0] for name in RULES} == set(OPTIMIZERS)


@pytest.mark.parametrize("name", RULES)
def test_five_updates_are_those_of_the_paper(name):
    factory, rule = RULES[name]
    weight = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
    optimizer, expected = factory([weight]), 2.0
    state: dict[str, float] = {}
    for step in range(5):
        gradient = math.cos(step) * weight.item()
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        expected = rule(expected, gradient, state)
        assert weight.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_options_are_those_of_the_table(name):
    """Each reaches the optimizer, and none of another one is let pass in silence."""
    own = config.options(OPTIMIZERS[name])
    known = config.options(OptimizerConfig)
    assert set(own) <= set(known)
    plain = config.build(OptimizerConfig, {"optimizer": name, "lr": 0.5}).optimizer_factory()
    assert plain == OPTIMIZERS[name](lr=0.5)
    for other in set(known) - {"optimizer", "lr"}:
        value = True if known[other].is_flag else 0.25
        made = config.build(OptimizerConfig, {"optimizer": name, other: value})
        if other in own:
            assert getattr(made.optimizer_factory(), other) == value
        else:
            with pytest.raises(PthetaError, match=f"{other} = .*{name} does not have"):
                made.optimizer_factory()


def test_another_rate_for_one_of_the_players_and_a_look_ahead_without_velocity():
    made = config.build(OptimizerConfig, {"lr": 0.5, "beta1": 0.25})
    assert made.optimizer_factory(0.125) == Adam(0.125, 0.25)
    with pytest.raises(PthetaError, match="momentum"):
        SGD(nesterov=True)([nn.Parameter(torch.zeros(1))])


class Lines(nn.Module):
    """Two weights in channels-last layout and one that no gradient reaches."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = channels_last(nn.Conv2d(2, 3, 2))
        self.idle = nn.Parameter(torch.ones(3))

    def loss(self, batch: Batch, shared: None) -> Terms:
        return {"loss": self.conv(batch.x).square().flatten(1).sum(1)}


def engine(factory: Factory) -> Engine:
    model = Lines()
    return Engine(model, Game({"p": Player((model,), factory)}, (Move("p", model.loss),)), Group())


def play(e: Engine, steps: range) -> None:
    for step in steps:
        x = torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(step))
        e.set_lr(1 / (step + 1))
        e.gradients(e.game.moves[0], Batch(x), None)
        e.update("p")


@pytest.mark.parametrize("name", RULES)
def test_a_state_resumes_and_another_is_refused(name):
    factory = RULES[name][0]
    whole, first, second = engine(factory), engine(factory), engine(factory)
    play(whole, range(6))
    play(first, range(3))
    second.model.load_state_dict(first.model.state_dict())
    state = {k: v.clone() for k, v in first.state().items()}
    second.load(state, begun=True)
    play(second, range(3, 6))
    for p, q in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(p, q)
    assert {k.split("/")[1] for k in state} <= {"1", "2"}  # the idle one, number 0, has none
    if not state:
        return second.load({}, begun=True)
    key, value = next((k, v) for k, v in state.items() if v.ndim > 1)
    wrong = [
        ({}, "empty"),
        ({**state, key: value[:1]}, "want finite"),
        ({**state, key: value.long()}, "want finite"),
        ({**state, key: value / 0}, "want finite"),
        ({**state, f"{key}x": value}, "state of p/1 has"),
        ({**state, "p/7/a": value}, "no 'p/7/a'"),
        ({**state, "q/1/a": value}, "no 'q/1/a'"),
        ({**state, "a": value}, "no 'a'"),
    ]
    if sum(k.startswith(key.rpartition("/")[0]) for k in state) > 1:
        wrong.append(({k: v for k, v in state.items() if k != key}, "state of p/1 has"))
    for other, text in wrong:
        with pytest.raises(PthetaError, match=text):
            engine(factory).load(other, begun=True)
    return None


def test_the_schedule_scales_the_rate_of_each_group():
    model = Lines()

    def two_groups(parameters: Any) -> torch.optim.Optimizer:
        first, *rest = parameters
        return torch.optim.SGD([{"params": [first], "lr": 0.5}, {"params": rest}], lr=0.25)

    e = Engine(model, Game({"p": Player((model,), two_groups)}, ()), Group())
    for factor in (0.5, 1.0, 0.25):
        e.set_lr(factor)
        groups = e.optimizers["p"].param_groups
        assert [group["lr"] for group in groups] == [0.5 * factor, 0.25 * factor]
