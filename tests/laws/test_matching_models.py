"""Models that are trained by matching: what is matched, what is drawn, and that they learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ptheta import api, tasks
from ptheta.batch import Batch
from ptheta.compute import streams
from ptheta.compute.streams import seeded
from ptheta.errors import PthetaError
from ptheta.games import Clock
from ptheta.losses.mmd import KERNELS, mmd_terms
from ptheta.specs import ImageSpec, VectorSpec
from tests.conftest import VECTORS, examples, tiny
from tests.training.test_runs import check_resume

IMAGES = ImageSpec(1, 8, 8, 2)
MOVERS = frozenset({"generator", "autoencoder"})


@pytest.mark.parametrize("space", ["pixels", "codes"])
@pytest.mark.parametrize("matching", ["mmd", "drifting"])
def test_the_generator_alone_learns_from_what_is_matched(matching, space):
    model = tiny("gmmn", IMAGES, matching=matching, space=space)
    batch = Batch(examples(IMAGES, 20))
    game = model.game()
    move = next(move for move in game.moves if move.player == "generator")
    terms = move.loss(batch, game.prepare(batch, Clock(1, MOVERS, 0.9)))
    sum(term.mean() for term in terms.values()).backward()
    got = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert got
    assert all(name.startswith("generator") for name in got)


def test_the_autoencoder_learns_first_and_is_fixed_then():
    model = tiny("gmmn", IMAGES, space="codes", pretraining=0.4)
    game, batch = model.game(), Batch(examples(IMAGES, 4))
    assert [move.player for move in game.due(1, 0.39)] == ["autoencoder"]
    assert [move.player for move in game.due(1, 0.41)] == ["generator"]
    game.prepare(batch, Clock(1, MOVERS, 0.3))
    assert "autoencoder" in model.present_stage()
    game.prepare(batch, Clock(2, MOVERS, 0.5))
    assert model.present_stage() == ""


@pytest.mark.parametrize("spec", [IMAGES, ImageSpec(3, 8, 8, 256), VECTORS])
def test_temperature_0_gives_medians_and_1_draws(spec):
    cold, warm = (tiny("gmmn", spec, space="codes", temperature=t) for t in (0.0, 1.0))
    z = warm.made(warm.sample_latent(6))
    law = warm.likelihood(z)
    median = law.icdf(torch.full(tuple(law.shape), 0.5))
    for model, wanted in ((cold, median), (warm, None)):
        with streams.seeded(5):
            model.sample_latent(6)
            u = streams.uniform(*law.shape)
        with streams.seeded(5):
            drawn = model.sample(6)
        with streams.seeded(5):
            law = model.likelihood(model.made(model.sample_latent(6)))
        wanted = law.icdf(torch.full_like(u, 0.5)) if model is cold else law.icdf(u)
        torch.testing.assert_close(drawn, wanted, rtol=1e-3, atol=1e-3)


def test_the_loss_of_wae_is_written_out():
    model = tiny("wae-mmd", VectorSpec.of(3), weight=7.0)
    batch = Batch(examples(VectorSpec.of(3), 12))
    game = model.game()
    shared = game.prepare(batch, Clock(1, frozenset({"autoencoder"})))
    with streams.seeded(3):
        terms = game.moves[0].loss(batch, shared)
    with streams.seeded(3):
        prior = torch.randn(12, 3)
    z = model.encode(batch.x)
    mmd = mmd_terms(z, prior, KERNELS["inverse-multiquadric"], model.config.widths, 6.0)
    torch.testing.assert_close(terms["mmd"], 7 * mmd)
    error = (model.generate(z, drawn=False) - model.seen(batch.x)).square().sum(1)
    torch.testing.assert_close(terms["reconstruction"], error)


def test_a_random_encoder_draws_its_codes():
    model = tiny("wae-mmd", VectorSpec.of(3), random=True)
    batch = Batch(examples(VectorSpec.of(3), 12))
    drawn = [model.prepare_codes(batch, Clock(1, frozenset())).z for _ in range(2)]
    assert not torch.equal(*drawn)
    torch.testing.assert_close(model.encode(batch.x), model.encode(batch.x))


@pytest.mark.parametrize("options", [{"matching": "mmd"}, {"matching": "drifting"}])
def test_points_are_learned(options, tmp_path: Path):
    run = api.train(
        "gmmn",
        "points-moons",
        tmp_path / "run",
        recipe="points",
        steps=120,
        threads=1,
        hidden=(32, 32),
        lr=5e-3,
        log_every=120,
        batch_size=250,
        sample_every=0,
        **options,
    )
    torch.manual_seed(0)
    model: Any = run.model()
    x = model.sample(500)
    data = api.open_data("points-moons").batch(slice(0, 500)).x
    kernel = KERNELS["energy"]
    assert mmd_terms(x, data, kernel, (1.0,)).mean() < 0.1
    start = model.spec.unscaled(torch.zeros(500, 2))
    assert mmd_terms(start, data, kernel, (1.0,)).mean() > 0.3


def test_a_run_whose_generator_learns_codes_goes_on_bit_for_bit(strokes, tmp_path):
    check_resume("gmmn", strokes, tmp_path, steps=20, space="codes", levels=2)


def test_what_cannot_be_matched_is_said_in_one_line():
    with pytest.raises(PthetaError, match="--net mlp"):
        tiny("gmmn", VECTORS, net="conv")
    with pytest.raises(PthetaError, match="bernoulli"):
        tiny("gmmn", VECTORS, space="codes", likelihood="bernoulli")


@pytest.mark.parametrize(
    ("name", "prior"),
    [("gmmn", "uniform"), ("gan", "uniform"), ("gan", "normal"), ("nice", "logistic")],
)
def test_walks_keep_to_the_prior(name, prior, monkeypatch):
    """The codes of a manifold have as much of the prior between them as there are steps."""
    model, side = tiny(name, VectorSpec.of(2), prior=prior), 8
    seen: list[Tensor] = []

    def decode(self: object, z: Tensor, condition: object = None) -> Tensor:
        seen.append(z)
        return z[:, :2]

    monkeypatch.setattr(type(model), "decode", decode)
    tasks.manifold(model, side)
    line = seen[-1][:side, 0]
    with seeded(0):
        drawn = model.sample_latent(40_000)[:, 0]
    below = (drawn[:, None] < line).double().mean(0)
    wanted = (torch.arange(side, dtype=torch.double) + 0.5) / side
    assert below.tolist() == pytest.approx(wanted.tolist(), abs=0.01)
    tasks.traverse(model, seen[-1][0], [0], steps=3, reach=1.0)
    ends = seen[-1][[0, 2], 0]
    beyond = [(drawn < ends[0]).double().mean().item(), (drawn > ends[1]).double().mean().item()]
    assert beyond == pytest.approx([0.1587, 0.1587], abs=0.01)
    tasks.traverse(model, seen[-1][0], [0], steps=3, reach=1e3)
    assert seen[-1].isfinite().all()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gmmn", {"matching": "drifting"}),
        ("gmmn", {"matching": "mmd", "root": False}),
        ("wae-mmd", {}),
    ],
)
def test_a_batch_of_one_is_refused_where_it_has_no_other(name, options, tmp_path):
    with pytest.raises(PthetaError, match=r"^this loss holds.*--batch-size 2 or more[^\n]*$"):
        api.train(name, "points-moons", tmp_path / "r", batch_size=1, steps=2, threads=1, **options)


def test_a_biased_mmd_takes_a_batch_of_one():
    x = examples(IMAGES, 1)
    model = tiny("gmmn", IMAGES, matching="mmd")
    terms = model.generator_loss(Batch(x), IMAGES.scaled(x))
    assert terms["mmd"].isfinite().all()
