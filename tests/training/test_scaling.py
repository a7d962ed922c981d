"""Training in fp16 with scaled losses: as torch's own loop, over overflows and interruptions."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

import ptheta
from ptheta.batch import Batch
from ptheta.dynamics import DYNAMICS
from ptheta.errors import PthetaError
from ptheta.files.tensors import load_metadata
from ptheta.games import Game, Move, Player
from ptheta.optimizers import SGD
from ptheta.training.checkpoint import STREAMS, latest
from ptheta.training.engine import Engine, Weighing
from ptheta.training.group import Group
from ptheta.training.processes import chosen
from ptheta.training.scaling import FIRST
from ptheta.training.settings import TrainSettings
from tests.conftest import TINY
from tests.training.test_runs import QUIET, same

HALF = torch.float16


class Line(nn.Module):
    """Two players, each with a line to fit."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(4, 1), nn.Linear(4, 1)

    def error(self, part: nn.Linear, x: Tensor) -> Tensor:
        return (part(x / 16)[:, 0] - 1).float().square() / 256

    def game(self) -> Game[None]:
        def loss(part: nn.Linear) -> Move[None]:
            name = "a" if part is self.a else "b"
            return Move(name, lambda batch, _: {"loss": self.error(part, batch.x)})

        players = {"a": Player((self.a,), SGD(0.1)), "b": Player((self.b,), SGD(0.1))}
        return Game(players, (loss(self.a), loss(self.b)))


def batch(step: int) -> Batch:
    return Batch(torch.randn(8, 4, generator=torch.Generator().manual_seed(step)))


def played(rule: str, steps: int, clip: float = 0.0) -> tuple[Line, Engine]:
    model = Line()
    game = model.game()
    engine = Engine(model, game, Group(half=HALF), Weighing(clip=clip))
    for step in range(1, steps + 1):
        engine.step = step
        if step == 3:
            engine.scales["a"].load((2.0**40, 5))  # overflows
        DYNAMICS[rule].rule(engine, game, step, batch(step))
    return model, engine


@pytest.mark.parametrize("clip", [0.0, 0.05])
@pytest.mark.parametrize("rule", ["alternating", "simultaneous"])
def test_a_step_is_that_of_torch(rule, clip):
    """One `GradScaler` of each player, to the bit."""
    mine, engine = played(rule, 6, clip)
    model = Line()
    parts = {"a": model.a, "b": model.b}
    scalers = {name: GradScaler("cpu", init_scale=FIRST) for name in parts}
    optimizers = {name: torch.optim.SGD(part.parameters(), 0.1) for name, part in parts.items()}
    for step in range(1, 7):
        if step == 3:
            changed = scalers["a"].state_dict() | {"scale": 2.0**40, "_growth_tracker": 5}
            scalers["a"].load_state_dict(changed)
        for name, part in parts.items():
            optimizers[name].zero_grad()
            with torch.autocast("cpu", HALF):
                loss = model.error(part, batch(step).x).mean()
            scalers[name].scale(loss).backward()
            scalers[name].unscale_(optimizers[name])
            if clip:
                nn.utils.clip_grad_norm_(part.parameters(), clip)
            scalers[name].step(optimizers[name])
            scalers[name].update()
    for key, value in model.state_dict().items():
        assert mine.state_dict()[key].equal(value)
    assert engine.scales["a"].scale == scalers["a"].get_scale() < 2.0**40
    assert engine.scales["b"].scale == FIRST


def test_a_step_that_overflows_is_left_out_and_told_to_nobody():
    before, after = (played("alternating", n)[0].state_dict() for n in (2, 3))
    assert all(after[f"a.{key}"].equal(before[f"a.{key}"]) for key in ("weight", "bias"))
    assert not after["b.weight"].equal(before["b.weight"])
    _, engine = played("alternating", 3, clip=0.05)
    values = engine.averages.take()
    assert all(torch.tensor(value).isfinite() for value in values.values())
    assert engine.scale_state() == {"a": (2.0**39, 0), "b": (FIRST, 3)}


def test_the_scale_grows_after_many_steps():
    _, engine = played("alternating", 1)
    engine.load_scales({"a": (8.0, 1999), "b": (8.0, 7)})
    DYNAMICS["alternating"].rule(engine, engine.game, 2, batch(2))
    assert engine.scale_state() == {"a": (16.0, 0), "b": (8.0, 8)}


@pytest.mark.parametrize("state", [{}, {"a": None, "b": None}, {"a": ("x", 1), "b": (1.0, 1)}])
def test_a_scale_that_is_damaged_is_refused(state):
    _, engine = played("alternating", 1)
    with pytest.raises((KeyError, TypeError, ValueError)):
        engine.load_scales(state)


def test_other_precisions_have_no_scale():
    assert chosen(TrainSettings(steps=1, device="cpu", precision="fp16-mixed")) == ("cpu", HALF)
    model = Line()
    assert Engine(model, model.game(), Group(half=torch.bfloat16)).scale_state() == {}


def test_a_run_in_fp16_resumes_to_the_same_bits(strokes, tmp_path):
    """The scales are in the checkpoint."""
    options = {**TINY["vae"], **QUIET, "levels": 2, "precision": "fp16-mixed", "device": "cpu"}
    whole = ptheta.train("vae", strokes, tmp_path / "whole", **{**options, "steps": 6})
    parts = ptheta.train("vae", strokes, tmp_path / "parts", **{**options, "steps": 3})
    parts = ptheta.train("vae", strokes, parts.path, steps=6, resume=True)
    assert same(whole.path, parts.path)
    scales = []
    for run in (whole, parts):
        last = latest(run.path / "state")
        assert last is not None
        scales.append(json.loads(load_metadata(last / STREAMS)["plain"])["own"]["scales"])
    assert scales[0] == scales[1]
    assert scales[0]["vae"][0] < FIRST  # some steps overflowed
    with pytest.raises(PthetaError, match="precision = 32-true, but the run was started with"):
        ptheta.train("vae", strokes, parts.path, steps=7, resume=True, precision="32-true")
