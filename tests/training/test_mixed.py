"""Training in bfloat16 under autocast: every model and part, and numbers that mean the same."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import ptheta
from ptheta.batch import Batch
from ptheta.conditions import Image
from ptheta.data.memory import Source
from ptheta.specs import ImageSpec, VectorSpec
from ptheta.training.engine import Engine
from ptheta.training.group import Group
from ptheta.training.metric_logger import read_metrics
from tests.conftest import PLAYED, TINY, config_options, data_for, loaded
from tests.contracts.gan_parts import play
from tests.contracts.test_additions import pairings, trained
from tests.contracts.test_gan_parts import PAIRINGS

HALF = torch.bfloat16
QUIET = {"evaluate_every": 0, "sample_every": 0, "checkpoint_every": 0, "threads": 1}
# of a term, and of what is a difference of two, beside 1
CLOSE = 0.05
COUNTS = ("perplexity", "codes_used")  # of the nearest codes, which change by jumps


def first_terms(name: str, data: Source, out: Path, **options: Any) -> dict[str, float]:
    """The terms of each loss in the first step."""
    how = {**TINY.get(name, {}), **QUIET, "batch_size": 16, "steps": 1, "log_every": 1, **options}
    ptheta.train(name, data, out, device="cpu", **how)
    line, *_ = read_metrics(out)
    return {k: v for k, v in line.items() if "/" in k and isinstance(v, float)}


def check_close(name: str, data: Source, tmp_path: Path, **options: Any) -> None:
    full, mixed = (
        first_terms(name, data, tmp_path / precision, precision=precision, **options)
        for precision in ("32-true", "bf16-mixed")
    )
    assert full
    assert full.keys() == mixed.keys()
    for term, value in full.items():
        jumps = term.endswith(COUNTS)
        assert jumps or math.isclose(value, mixed[term], rel_tol=CLOSE, abs_tol=CLOSE), term


@pytest.mark.parametrize("name", PLAYED)
def test_losses_in_half_are_those_in_full(name, strokes, tmp_path):
    check_close(name, data_for(name, strokes), tmp_path, levels=2)


@pytest.mark.parametrize("name", [n for n in PLAYED if VectorSpec in loaded(n).specs])
def test_losses_of_vectors_in_half_are_those_in_full(name, rows, tmp_path):
    net = {"net": "mlp"} if "net" in config_options(name) else {}
    check_close(name, rows, tmp_path, **net)


@pytest.mark.parametrize("half", [None, HALF])
@pytest.mark.parametrize("generator", ["unet", "residual", "hd"])
def test_blank_images_give_gradients_like_others(generator, half):
    """Ten norms would each make the gradient of a flat map 300 times larger."""
    spec = ImageSpec(1, 8, 8)
    model: Any = ptheta.create(
        "pix2pix", spec, condition=Image(spec), generator=generator, norm="instance", features=4
    )
    largest = []
    for numbers in (torch.full((2, 1, 8, 8), 255), torch.randint(256, (2, 1, 8, 8))):
        given = numbers.byte()
        engine = Engine(model, game := model.game(), Group(half=half))
        engine.step = 1
        shared = engine.prepare(game, 1, batch := Batch(255 - given, given))
        engine.gradients(game.moves[-1], batch, shared)
        grads = [p.grad for p in model.generator.parameters() if p.grad is not None]
        largest.append(max(float(g.abs().max()) for g in grads))
    assert largest[0] < 10 * largest[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAYED)
def test_every_choice_trains_in_half(name):
    for game in pairings(name)[0]:
        trained(name, game, half=HALF)


@pytest.mark.slow
@pytest.mark.parametrize("kind", PAIRINGS)
def test_every_part_of_a_gan_trains_in_half(kind):
    for names in PAIRINGS[kind].games():
        play(PAIRINGS[kind].build(*names), half=HALF)
