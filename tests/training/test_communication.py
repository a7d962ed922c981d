"""What the processes of a training send each other: as much as the formula says, and no more."""

from __future__ import annotations

import math

import pytest
from benchmarks.scaling import CASES, CLOCK, WAYS, Meter, Timed, created, opened, pair

from ptheta.models.base import Plays
from ptheta.training.group import Group
from ptheta.training.metric_logger import read_metrics
from ptheta.training.processes import launch
from ptheta.training.settings import TrainSettings


def trained(name: str, size: int, steps: int, place) -> tuple[Timed, Meter]:
    """A few steps of rank 0 of `size` processes, whose messages are counted but not sent."""
    case, meter = CASES[name], Meter(sends=False)
    data = opened(case).subset(slice(0, 40) if not case.two_domains else slice(0, 400))
    settings = TrainSettings(
        steps=steps, batch_size=2 * size * 2, evaluate_every=0, sample_every=0, checkpoint_every=0
    )
    with meter.reading():
        model = created(case, data, small=True)
        trainer = Timed(model, data, settings, place, Group(size=size), meter)
        trainer.steps()
    return trainer, meter


@pytest.mark.parametrize("name", CASES)
def test_a_step_sends_the_gradients_the_logged_values_and_the_statistics(name, tmp_path):
    """4 bytes each, of the players that move: counted from the model and from metrics.jsonl."""
    period = CASES[name].period
    trainer, meter = trained(name, 2, period, tmp_path)
    assert isinstance(trainer.model, Plays)
    (logged,) = read_metrics(tmp_path)
    expected = 0
    for step in range(1, period + 1):
        for move in trainer.game.due(step):
            player = trainer.game.players[move.player]
            expected += sum(p.numel() for p in player.parameters() if p.requires_grad)
            expected += sum(b.numel() for b in player.buffers() if b.is_floating_point())
            expected += len([key for key in logged if key.startswith(f"{move.player}/")])
    sent = [message.bytes for message in meter.messages if not message.gathered]
    # the clock is read once more, before the end
    assert sum(sent) == 4 * expected + (period + 1) * CLOCK
    assert sum(formula for *_, formula in trainer.marks) == 4 * expected + period * CLOCK


def test_there_is_one_message_of_each_move_and_one_of_the_clock(tmp_path):
    for name in ("vae", "wgan-gp", "vae-gan"):
        period, place = CASES[name].period, tmp_path / name
        place.mkdir()
        trainer, meter = trained(name, 2, period, place)
        moves = sum(len(trainer.game.due(step)) for step in range(1, period + 1))
        assert len(meter.messages) == moves + period + 1


def test_what_a_loss_gathers_is_told_apart(tmp_path):
    """The pool of past translations of every process holds those of the whole batch."""
    _, meter = trained("cyclegan", 2, 1, tmp_path)
    spec = opened(CASES["cyclegan"]).spec
    translations = [m.bytes for m in meter.messages if m.gathered and m.bytes > 100]
    assert translations == [4 * 8 * math.prod(spec.shape)]


def test_one_process_sends_nothing(tmp_path):
    _, meter = trained("vae", 1, 2, tmp_path)
    assert meter.messages == []


@pytest.mark.slow
def test_two_processes_are_measured():
    """Real ones: the interface carries 2 (R - 1) / R of the payload, headers, and what others
    send."""
    found = launch(TrainSettings(steps=1, device="cpu", processes=2), pair, ["vae"], 1, 0.01)
    game, link = found["games"]["vae"], found["link"]
    assert link["latency_seconds"] >= 0
    assert link["bandwidth_bytes_per_s"] > 0
    assert game["steps_per_s"].keys() == WAYS.keys()
    assert game["payload_bytes_per_step"] == game["closed_form_bytes_per_step"]
    assert game["messages_per_step"] == 2
    assert 0 < game["communication"]["share"] < 1
    carried = link["bytes_of_interface_per_byte_and_process"]
    assert carried == 0 or carried >= 1
