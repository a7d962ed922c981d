"""The parts of the trainer, each against its definition."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from ptheta.batch import Batch
from ptheta.errors import PthetaError
from ptheta.games import Game, Move, Player, Terms
from ptheta.training.ema import EMA
from ptheta.training.engine import Engine, Weighing
from ptheta.training.group import Group
from ptheta.training.metric_logger import keep_until
from ptheta.training.sampler import BatchSampler
from ptheta.training.settings import TrainSettings


def test_an_epoch_visits_every_image_once_and_epochs_differ():
    order = BatchSampler(n=60, batch_size=20, seed=3)
    epochs = [np.concatenate([order.indices(3 * e + s) for s in (1, 2, 3)]) for e in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(60))
    assert not np.array_equal(epochs[0], epochs[1])


def test_the_order_is_a_function_of_seed_and_step():
    a, b = BatchSampler(50, 8, seed=1), BatchSampler(50, 8, seed=1)
    forward = [a.indices(step) for step in range(1, 30)]
    backward = [b.indices(step) for step in range(29, 0, -1)][::-1]
    assert all(np.array_equal(x, y) for x, y in zip(forward, backward, strict=True))
    assert not np.array_equal(BatchSampler(50, 8, seed=2).indices(1), forward[0])


def test_processes_share_a_batch():
    whole = BatchSampler(50, 8, seed=1).indices(5)
    parts = [BatchSampler(50, 8, seed=1, rank=r, size=2).indices(5) for r in (0, 1)]
    assert sorted(np.concatenate(parts)) == sorted(whole)
    with pytest.raises(PthetaError, match="multiple of 2"):
        BatchSampler(50, 7, seed=0, rank=0, size=2)


def test_small_data_makes_a_small_batch():
    assert len(BatchSampler(5, 64, seed=0).indices(9)) == 5
    with pytest.raises(PthetaError, match="at least two"):
        BatchSampler(1, 4, seed=0)


def test_ema_follows_its_recurrence_and_swaps_back():
    layer = torch.nn.Linear(2, 1, bias=False)
    ema = EMA(layer, 0.5)
    average = layer.weight.detach().clone()
    for t in range(1, 8):
        with torch.no_grad():
            layer.weight.add_(t)
        ema.update()
        d = min(0.5, (1 + t) / (10 + t))
        average = d * average + (1 - d) * layer.weight.detach()
    live = layer.weight.detach().clone()
    with ema.in_use():
        torch.testing.assert_close(layer.weight.detach(), average)
    assert torch.equal(layer.weight.detach(), live)


def test_schedules():
    cosine = TrainSettings(steps=10, schedule="cosine")
    assert cosine.lr_factor(1, 0.0) == 1
    assert cosine.lr_factor(6, 0.5) == pytest.approx(0.5)
    assert cosine.lr_factor(10, 1.0) == pytest.approx(0, abs=1e-12)
    assert TrainSettings(steps=10, schedule="linear").lr_factor(4, 0.25) == 0.75
    warm = TrainSettings(steps=10, warmup=4)
    assert [warm.lr_factor(s, 0.0) for s in (1, 2, 4, 9)] == [0.25, 0.5, 1, 1]


def test_exactly_one_length():
    with pytest.raises(PthetaError, match="exactly one of"):
        TrainSettings().budget()
    with pytest.raises(PthetaError, match="steps and minutes"):
        TrainSettings(steps=3, minutes=1.0).budget()
    assert TrainSettings(epochs=2.5).total_steps(10) == 25


def test_lines_after_the_checkpoint_are_dropped(tmp_path):
    path = tmp_path / "m.jsonl"
    lines = [json.dumps({"step": s, "x": math.pi}) for s in (1, 2, 3, 4)]
    path.write_text("\n".join(lines) + '\n{"step": 5, "x"')
    assert keep_until(path, 3, 2) == 2  # two lines were written when the checkpoint was
    assert path.read_text().splitlines() == lines[:2]
    assert keep_until(path, 1, None) == 1
    assert path.read_text().splitlines() == lines[:1]
    assert keep_until(tmp_path / "none.jsonl", 1, None) == 0


def test_lines_that_are_no_tables_with_a_step_do_not_stop_a_run(tmp_path):
    path = tmp_path / "m.jsonl"
    good = json.dumps({"step": 1, "x": 2.0}).encode()
    path.write_bytes(b"[1]\n2\n\xff\xfe\n" + good + b'\n{"x": 1}\n{"step": "1"}\n' + b"[" * 10**5)
    assert keep_until(path, 5, None) == 1
    assert path.read_bytes() == good + b"\n"


class Coded(torch.nn.Module):
    """A loss with a term named kl of two parts, KL_j = w_j^2 (j + 1), and another term w_0."""

    def __init__(self, parts: bool = True) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor([0.5, 2.0]))
        self.parts = parts

    def loss(self, batch: Batch, shared: None) -> Terms:
        kl = (self.w.square() * torch.tensor([1.0, 2.0])).expand(len(batch), 2)
        return {"other": self.w[0].expand(len(batch)), "kl": kl if self.parts else kl.sum(1)}

    def game(self) -> Game[None]:
        return Game({"p": Player((self,))}, (Move("p", self.loss),))


@pytest.mark.parametrize(
    ("options", "gradient"),
    [
        ({}, (1 + 1.0, 8.0)),
        ({"beta": 4.0}, (1 + 4.0, 32.0)),
        ({"beta": 2.0, "beta_warmup": 4}, (1 + 0.5, 4.0)),  # step 1 of 4: 2 / 4
        ({"free_bits": 1.0}, (1 + 0.0, 8.0)),  # the first part, 0.25, is free
    ],
)
def test_the_schedule_owns_beta_and_free_bits(options, gradient):
    settings = TrainSettings(steps=1, **options)
    model = Coded()
    group = Group()
    engine = Engine(model, model.game(), group, Weighing(free_bits=settings.free_bits))
    engine.kl_weight = settings.kl_weight(1)
    engine.gradients(engine.game.moves[0], Batch(torch.zeros(3, 1, 2, 2, dtype=torch.uint8)), None)
    assert model.w.grad is not None
    assert model.w.grad.tolist() == pytest.approx(gradient)
    # what is reported is the term itself
    assert engine.averages.take() == pytest.approx({"p/other": 0.5, "p/kl": 8.25})


def test_free_bits_of_a_term_without_parts_are_for_the_whole():
    model = Coded(parts=False)
    engine = Engine(model, model.game(), Group(), Weighing(free_bits=9.0))
    engine.gradients(engine.game.moves[0], Batch(torch.zeros(3, 1, 2, 2, dtype=torch.uint8)), None)
    assert model.w.grad is not None
    assert model.w.grad.tolist() == pytest.approx([1.0, 0.0])
