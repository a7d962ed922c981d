"""GANs and their hybrids on vectors: the game, the words of categories, and the exact resume."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from ptheta.batch import Batch
from ptheta.capabilities import Discriminates
from ptheta.errors import PthetaError
from ptheta.nets.outputs import CATEGORY_OUTPUTS, OutputConfig, gumbel_noise, output
from ptheta.optimizers import Adam
from ptheta.specs import Column, VectorSpec
from ptheta.training import checkpoint
from tests.conftest import tiny
from tests.contracts.gan_parts import BASE, VECTORS, examples
from tests.contracts.test_games import engine, snapshot
from tests.training.test_runs import same, train

MLP = {"net": "mlp"}
MODELS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("gan", "wgan-gp", "infogan"), BASE),
    **dict.fromkeys(("aae", "vae-gan", "alpha-gan"), MLP),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_move_on_vectors_changes_only_its_player(name):
    model = tiny(name, VECTORS, **MODELS[name])
    game, batch = model.game(), examples(VECTORS)
    e = engine(model, game)
    last = max(move.every for move in game.moves)
    for turn, move in enumerate([*game.moves, *game.moves], start=1):
        e.step = turn
        shared = e.prepare(game, last, batch)
        own = {id(p) for p in game.players[move.player].parameters()}
        before = snapshot(model)
        e.gradients(move, batch, shared)
        e.update(move.player)
        changed = {id(p) for k, p in model.named_parameters() if not torch.equal(before[k], p)}
        assert changed <= own
        assert len(changed) >= len(own) - 1  # the last bias of a critic cancels
    with torch.no_grad():
        x = VECTORS.check_drawn(model.eval().sample(20))
        assert VECTORS.check_drawn(model.decode(model.sample_latent(5))).shape == (5, 3)
    assert set(x[:, 2].tolist()) <= {0, 1, 2}
    assert torch.equal(x[:, 1], x[:, 1].round())
    assert "image" not in " ".join(v.what for v in model.graph().variables)


@pytest.mark.parametrize("name", ["vae-gan", "alpha-gan"])
def test_a_hybrid_of_maps_says_with_which_networks_it_learns_vectors(name):
    with pytest.raises(PthetaError, match=r"for images, .*vectors.*use --net mlp$"):
        tiny(name, VECTORS, net="conv")


@pytest.mark.parametrize("name", MODELS)
def test_missing_cells_are_refused_with_their_column(name):
    spec = VectorSpec((Column("age", missing=True), Column("height")))
    with pytest.raises(PthetaError, match="missing cells, here in age: "):
        tiny(name, spec, **MODELS[name])
    whole = VectorSpec((Column("age"), Column("height")))
    model = tiny(name, whole, **MODELS[name])
    seen = model.discriminate if isinstance(model, Discriminates) else model.encode
    with pytest.raises(PthetaError, match="2 of 4 cells are missing"):
        seen(torch.tensor([[1.0, torch.nan], [torch.nan, 2.0]]))


def test_a_run_on_a_table_goes_on_as_if_it_had_not_stopped(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{rng.normal():.3f},{rng.integers(9)},{'abc'[rng.integers(3)]}" for _ in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["height,age,pet", *rows]))
    options = {**BASE, "ema": 0.9, "evaluate_every": 8, "held_out": 20, "replay": 9}
    whole = train("gan", tmp_path / "t.csv", tmp_path / "whole", steps=20, **options)
    train("gan", tmp_path / "t.csv", tmp_path / "parts", steps=9, **options)
    again = train("gan", tmp_path / "t.csv", tmp_path / "parts", steps=20, resume=True, **options)
    a, b = (checkpoint.latest(run.path / "state") for run in (whole, again))
    assert a is not None
    assert b is not None
    for file in ("model", "ema", "optimizers", "rng-0"):
        assert same(a, b, f"{file}.safetensors"), file
    columns = json.loads((whole.path / "config.json").read_text())["spec"]["columns"]
    assert [column["kind"] for column in columns] == ["real", "integer", "category"]


# -- words


@pytest.mark.parametrize("name", CATEGORY_OUTPUTS)
def test_numbers_of_words_sum_to_one_and_have_gradients(name):
    torch.manual_seed(0)
    end = output(VECTORS, OutputConfig(category_output=name))
    made = torch.randn(50, 5, requires_grad=True)
    for drawn in (True, False):
        x = end(made, drawn)
        assert torch.equal(x[:, :2], made[:, :2])
        torch.testing.assert_close(x[:, 2:].sum(1), torch.ones(50))
        (grad,) = torch.autograd.grad((x * torch.randn(50, 5)).sum(), made)
        assert grad.isfinite().all()
        assert grad[:, 2:].any()
    assert torch.equal(end(made, drawn=False)[:, 2:].argmax(1), made[:, 2:].argmax(1))


@pytest.mark.parametrize("name", ["gumbel", "straight_through"])
def test_words_are_drawn_with_the_probabilities_of_their_logits(name):
    """The largest of logits with Gumbel noise is a draw of their softmax, at any temperature."""
    torch.manual_seed(0)
    logits = torch.tensor([0.5, -1.0, 1.5]).expand(40_000, 3)
    drawn = CATEGORY_OUTPUTS[name].make(logits, gumbel_noise(logits), 0.2)
    shares = torch.bincount(drawn.argmax(1), minlength=3) / len(drawn)
    torch.testing.assert_close(shares, logits[0].softmax(0), atol=0.01, rtol=0)


def test_straight_through_is_one_word_with_the_gradient_of_the_soft_one():
    torch.manual_seed(0)
    logits = torch.randn(30, 4, requires_grad=True)
    noise, weights = gumbel_noise(logits), torch.randn(30, 4)
    names = ("gumbel", "straight_through")
    soft, hard = (CATEGORY_OUTPUTS[name].make(logits, noise, 0.5) for name in names)
    torch.testing.assert_close(hard.amax(1), torch.ones(30))
    grads = [torch.autograd.grad((x * weights).sum(), logits)[0] for x in (soft, hard)]
    torch.testing.assert_close(*grads)


# -- the best discriminator


@pytest.mark.parametrize("loss", ["minimax", "non_saturating"])
def test_the_best_discriminator_of_numbers_tells_the_ratio_of_densities(loss, monkeypatch):
    """N(-1/2, 1) against N(1/2, 1): d*(x) = log p(x) / q(x) = -x, and D* = p / (p + q)."""
    model = tiny("gan", VectorSpec.of(1), net="mlp", d_hidden=(32, 32), latent=1, loss=loss)
    monkeypatch.setattr(model, "generate", lambda z, y=None, *, drawn=True: z + 0.5)
    game = model.game()
    e = engine(model, game)
    move = game.moves[0]
    optimizer = Adam(lr=3e-3)(model.discriminator.parameters())
    for _ in range(300):
        batch = Batch(torch.randn(512, 1) - 0.5)
        shared = e.prepare(game, 1, batch)
        optimizer.zero_grad()
        sum(term.mean() for term in move.loss(batch, shared).values()).backward()
        optimizer.step()
    x = torch.linspace(-1.5, 1.5, 7)[:, None]
    with torch.no_grad():
        torch.testing.assert_close(model.log_ratio(x), -x[:, 0], atol=0.25, rtol=0)
