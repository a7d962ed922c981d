"""Players that train in turns, each for a number of steps or epochs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

import ptheta
from ptheta.errors import PthetaError
from ptheta.games import Game, Move, Phase, Player
from ptheta.training.turns import Turn, phases
from tests.conftest import TINY
from tests.training.test_runs import QUIET, same

STATE = "state/step-{:08d}/model.safetensors"


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 200))
def test_a_step_belongs_to_one_phase_and_phases_come_in_order(lengths, step):
    every = tuple(Phase(frozenset({f"p{i}"}), n) for i, n in enumerate(lengths))
    moves: tuple[Move[None], ...] = tuple(
        Move(f"p{i}", lambda batch, shared: {}, every=7) for i in range(len(lengths))
    )
    game = Game({f"p{i}": Player(()) for i in range(len(lengths))}, moves, phases=every)
    cycle = [f"p{i}" for i, n in enumerate(lengths) for _ in range(n)]
    assert [move.player for move in game.due(step)] == [cycle[(step - 1) % len(cycle)]]


def test_turns_are_of_steps_or_epochs():
    asked = [Turn.parse(text) for text in ("D=2e", "G=0.5e", "encoder+decoder=100")]
    found = phases(asked, ("D", "G", "encoder", "decoder"), per_epoch=7)
    assert [phase.steps for phase in found] == [14, 4, 100]
    assert found[2].players == {"encoder", "decoder"}
    assert phases((), ("D",), 7) == ()


@pytest.mark.parametrize(
    ("alternate", "text"),
    [
        ("discriminator", "want players and a number"),
        ("discriminator=0", "above 0"),
        ("discriminator=0e", "above 0"),
        ("discriminator=-1", "want players"),
        ("discriminator=1.5", "want players"),
        ("=3", "want players"),
        ("discriminator=1e,generater=1e", "generater.*generator"),
        ("discriminator=2e", "has no turn for generator"),
    ],
)
def test_what_cannot_be_played_is_refused(strokes, tmp_path, alternate, text):
    options: dict[str, Any] = {**QUIET, "steps": 2, "alternate": alternate}
    with pytest.raises(PthetaError, match=text) as error:
        ptheta.train("gan", strokes, tmp_path / "r", **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "r" / "config.json").exists()


def moved(run: ptheta.Run, a: int, b: int) -> set[str]:
    """The players with other weights at step b than at step a."""
    one, other = (load_file(run.path / STATE.format(step)) for step in (a, b))
    return {key.split(".")[0] for key in one if not torch.equal(one[key], other[key])} - {"steps"}


def test_who_rests_stays_as_it_is_and_a_run_resumes_within_a_turn(strokes, tmp_path, monkeypatch):
    from ptheta.training import checkpoint

    monkeypatch.setattr(checkpoint, "KEEP", 100)
    options: dict[str, Any] = {
        **TINY["began"],
        **QUIET,
        "checkpoint_every": 1,
        "log_every": 1,
        "steps": 9,
    }
    options |= {"alternate": "discriminator=3,generator=2", "dynamics": "simultaneous"}
    whole = ptheta.train("began", strokes, tmp_path / "whole", **options)
    for step in range(2, 10):
        judge = (step - 1) % 5 < 3
        # k follows the discriminator's errors, so it rests with it
        expected = {"discriminator", "k"} if judge else {"generator"}
        assert moved(whole, step - 1, step) == expected, step
    for split in (2, 4):
        parts = tmp_path / f"at {split}"
        ptheta.train("began", strokes, parts, **{**options, "steps": split})
        ptheta.train("began", strokes, parts, resume=True, **options)
        assert same(whole.path, parts)


def test_a_turn_of_an_epoch_sees_every_image(strokes, tmp_path, monkeypatch):
    from ptheta.models.adversarial.gan import GAN

    seen: dict[str, list[bytes]] = {"discriminator": [], "generator": []}
    for name, images in seen.items():
        kept = getattr(GAN, f"{name}_loss")

        def loss(self, batch, shared, images=images, kept=kept):
            images += [image.cpu().numpy().tobytes() for image in batch.x]
            return kept(self, batch, shared)

        monkeypatch.setattr(GAN, f"{name}_loss", loss)
    options: dict[str, Any] = {**TINY["gan"], **QUIET, "batch_size": 31, "epochs": 3, "held_out": 0}
    turns = {"alternate": "discriminator=2e,generator=1e"}
    ptheta.train("gan", strokes, tmp_path / "r", **{**options, **turns})
    assert len(seen["generator"]) == len(set(seen["generator"])) == 217
    assert len(seen["discriminator"]) == 2 * len(seen["generator"])
    assert set(seen["discriminator"]) == set(seen["generator"])
