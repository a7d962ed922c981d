"""context-gan: what stands in a hole, how far its networks see, any size, and what is paid for."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import ptheta
from ptheta import tasks
from ptheta.batch import Batch
from ptheta.compute import streams
from ptheta.games import Clock
from ptheta.models.translation import context_gan
from ptheta.nets.translation.fill import FILLS
from ptheta.specs import ImageSpec
from tests.conftest import examples, tiny

SPEC = ImageSpec(3, 16, 16)


def grown(**options: Any) -> Any:
    """A model whose generator gives something: its last layer begins near 0."""
    model = tiny("context-gan", SPEC, **options).eval()
    torch.manual_seed(1)
    torch.nn.init.normal_(model.generator.last.weight, std=0.1)
    return model


@pytest.mark.parametrize("name", FILLS)
def test_a_fill_keeps_what_is_known_and_looks_at_nothing_else(name):
    x, known = torch.randn(4, 3, 13, 10), (torch.rand(4, 1, 13, 10) < 0.3).float()
    start = FILLS[name].start(x, known)
    assert torch.equal(start * known, x * known)
    assert torch.equal(start, FILLS[name].start(x + 5 * (1 - known), known))
    assert torch.equal(FILLS[name].start(x, 0 * known), 0 * x)


def test_a_smooth_fill_of_a_flat_image_is_flat_and_stays_between_its_neighbours():
    known = (torch.rand(4, 1, 13, 10) < 0.1).float()
    flat = torch.full((4, 3, 13, 10), 0.7)
    torch.testing.assert_close(FILLS["smooth"].start(flat, known), flat)
    x = torch.rand(4, 3, 13, 10)
    start = FILLS["smooth"].start(x, known)
    seen = torch.where(known > 0, x, torch.nan).flatten(1)
    low = torch.tensor([row[~row.isnan()].min() for row in seen])
    high = torch.tensor([row[~row.isnan()].max() for row in seen])
    assert (start.flatten(1) >= low[:, None] - 1e-6).all()
    assert (start.flatten(1) <= high[:, None] + 1e-6).all()


def seen_by(out: Tensor, x: Tensor) -> tuple[int, int]:
    """The rows and columns of x that a number depends on: how many lie between first and last."""
    (slope,) = torch.autograd.grad(out, x, retain_graph=True)
    hit = slope.abs().sum((0, 1)) > 0
    rows, columns = hit.any(1).nonzero(), hit.any(0).nonzero()
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


def test_the_patch_head_sees_what_it_says_and_the_other_one_everything():
    d = tiny("context-gan", SPEC, d_norm="none").discriminator
    x = torch.randn(1, 3, 64, 64, requires_grad=True)
    out = d(x)
    assert seen_by(out.patches[0, 0, 8, 8], x) == (d.receptive_field,) * 2
    assert seen_by(out.whole[0], x) == (64, 64)


def test_the_generator_sees_no_farther_than_it_says():
    model = grown()
    reach, size = model.config.dilated().reach, 160
    x = torch.randn(1, 4, size, size, requires_grad=True)
    at = size // 2
    out = model.generator(x)[0, 0, at, at]
    (slope,) = torch.autograd.grad(out, x)
    rows = (slope.abs().sum((0, 1, 3)) > 0).nonzero().flatten() - at
    assert max(-rows.min(), rows.max()) <= reach
    assert max(-rows.min(), rows.max()) > reach // 2


def test_tiles_leave_no_seam(monkeypatch):
    model = grown()
    x = torch.randint(0, 256, (1, 3, 200, 150), dtype=torch.uint8)
    known = torch.rand(1, 1, 200, 150) < 0.7
    whole = model.complete(x, known.expand(x.shape))
    monkeypatch.setattr(context_gan, "TILE", 32)
    tiled = model.complete(x, known.expand(x.shape))
    assert (whole.int() - tiled.int()).abs().max() <= 1  # sums in another order
    assert (whole != x)[~known.expand(x.shape)].any()


@pytest.mark.parametrize("size", [(1, 1), (5, 33), (40, 16)])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_any_size_and_any_mask(size, share):
    model = grown()
    x = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    known = torch.rand(x.shape) < share
    done = model.complete(x, known)
    assert done.shape == x.shape
    assert torch.equal(done[known], x[known])
    other = torch.where(known, x, 255 - x)  # what is unknown has no influence
    assert torch.equal(model.complete(other, known), done)


def test_masks_come_in_their_shares_and_belong_to_the_example():
    model = tiny("context-gan", SPEC, masks=("upper", "lower"), mask_shares=(3.0, 1.0))
    x = torch.zeros(400, 3, 16, 16)
    torch.manual_seed(0)
    found = model.holes(x)
    assert abs(found[:, 0, 0, 0].mean().item() - 0.75) < 0.08
    for rank in (0, 1):
        torch.manual_seed(0)
        with streams.shared(rank, 2):
            assert torch.equal(model.holes(x[:200]), found[rank::2])


def test_only_the_hole_is_paid_for_and_what_is_known_is_real():
    model = grown().train()
    batch = Batch(examples(SPEC, 6))
    shared = model.prepare(batch, Clock(1, frozenset({"generator"})))
    kept = (shared.unknown == 0).expand(shared.real.shape)
    assert torch.equal(shared.fake[kept], shared.real[kept])
    model.config = dataclasses.replace(model.config, l2_weight=1.0)
    without = shared._replace(out=shared.real + 2 * (1 - shared.unknown))
    terms = model.generator_loss(batch, without)
    assert not terms["l1"].any()
    assert not terms["l2"].any()
    terms = model.generator_loss(batch, shared._replace(out=shared.real + 0.5))
    torch.testing.assert_close(terms["l1"], torch.full((6,), 0.5))
    torch.testing.assert_close(terms["l2"], torch.full((6,), 0.25))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"masks": ()}, "name the masks"),
        ({"mask_shares": (1.0,)}, "1 mask_shares of 4 masks"),
        (
            {"l1_weight": 0.0, "global_weight": 0.0, "patch_weight": 0.0},
            "give at least one above 0",
        ),
        ({"norm": "virtual"}, "needs a reference batch"),
        ({"loss": "began"}, "autoencoding discriminator"),
    ],
)
def test_options_that_do_not_go_together(options, words):
    with pytest.raises(ptheta.PthetaError, match=words):
        tiny("context-gan", SPEC, **options)


def test_one_completion_is_given_and_it_is_said():
    model, x = grown(), examples(SPEC, 2)
    known = tasks.region("hole", SPEC)
    with pytest.warns(UserWarning, match="only one completion of an image"):
        two = tasks.inpaint(model, x, known, candidates=2)
    assert torch.equal(two, tasks.inpaint(model, x, known, seed=5))


def test_a_picture_of_any_size_is_completed_and_training_shows_holes(strokes, tmp_path):
    small: dict[str, Any] = {
        "features": 4,
        "d_features": 4,
        "dilations": (1,),
        "batch_size": 8,
        "held_out": 20,
    }
    run = ptheta.train(
        "context-gan", strokes, tmp_path / "run", steps=2, evaluate_every=1, sample_every=1, **small
    )
    shown = Image.open(tmp_path / "run" / "samples" / "step-00000002.png")
    assert shown.width > 12 * 16
    lines = (run.path / "metrics.jsonl").read_text()
    assert "held_out/completion_psnr" in lines
    pixels = np.random.default_rng(0).integers(0, 256, (20, 37)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    mask = np.zeros((16, 16), np.uint8)  # of the model's size: it is stretched
    mask[:, 8:] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    with pytest.warns(UserWarning, match="--each 3: this model is deterministic"):
        ptheta.inpaint(
            run, image=tmp_path / "a.png", mask=tmp_path / "m.png", each=3, out=tmp_path / "done"
        )
    done = np.asarray(Image.open(Path(tmp_path / "done" / "a.png")))
    assert done.shape == pixels.shape
    assert (done[:, :18] == pixels[:, :18]).all()
    assert (done[:, 19:] != pixels[:, 19:]).any()
