"""What the page on losses measures."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import ptheta
from ptheta.lab.asked import Asked
from ptheta.lab.pages import losses
from ptheta.lab.pages.losses import ROWS, TRICKS, Ring, Trained, verdict
from ptheta.models.adversarial.gan import GAN


@pytest.fixture(scope="module")
def ring() -> Ring:
    return Ring.of(Asked(0))


def test_distances_and_modes_of_other_data_and_of_a_collapse(ring: Ring):
    other = Ring.of(Asked(0)).data.batch(slice(0, 1000)).x
    assert ring.modes_of(other) == 8
    assert ring.distance(other) < 0.06
    collapsed = ring.modes.means[:1].repeat(1000, 1).float()
    assert ring.modes_of(collapsed) == 1
    assert ring.good(collapsed) == 1.0
    assert ring.distance(collapsed) > 0.4


@pytest.mark.parametrize("name", [*ROWS, *TRICKS])
def test_every_row_and_trick_trains(ring: Ring, name: str):
    options = dict(ROWS[name].options) if name in ROWS else TRICKS[name]
    one = replace(losses.TABLE, options=losses.NETS | options, steps=2, batch=16, every=1)
    found = Trained.by(one, ring, 0, name)
    assert found.steps == [0, 1, 2]
    assert bool(found.samples.isfinite().all())


def test_weights_of_wgan_are_clipped(ring: Ring):
    options = losses.NETS | dict(ROWS["WGAN"].options)
    model = replace(losses.TABLE, options=options, steps=3, batch=16).run(ring.data, 0)
    assert isinstance(model, GAN)
    assert (
        max(float(p.detach().abs().max()) for p in model.discriminator.parameters()) <= 0.1 + 1e-7
    )


def test_verdicts():
    assert verdict([3, 4, 8], [8, 8, 8]) == "cured"
    assert verdict([3, 4, 8], [5, 4, 8]) == "less"
    assert verdict([3, 4, 8], [2, 4, 8]) == "worse"
    assert verdict([3, 4, 8], [8, 3, 8]) == "no clear difference"
    assert verdict([8, 8, 8], [8, 8, 8]) == "no clear difference"


@pytest.mark.slow
def test_all_numbers_of_the_page_agree():
    assert not ptheta.learn("losses").disagree
    assert torch.is_grad_enabled()
