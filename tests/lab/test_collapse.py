"""What the page on collapse states, on small models."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

import ptheta
from ptheta.lab.asked import Asked
from ptheta.lab.pages import collapse
from ptheta.lab.pages.collapse import DEEP, LINEAR, WIDTH, change, linear_data, use
from ptheta.lab.trained import digits
from ptheta.specs import to_unit


def test_dimensions_of_a_linear_vae_pay_if_their_variance_is_above_that_of_x_given_z():
    data = linear_data(Asked(0))
    x = data.batch(slice(None)).x
    found = use(LINEAR.run(data, 0), x).sort(descending=True).values
    variances = torch.linalg.eigvalsh(to_unit(x).flatten(1).double().T.cov()).flip(0)[:6]
    theory = (0.5 * (variances / WIDTH**2).log()).clamp_min(0)
    assert (found - theory).abs().max() < 0.03
    assert theory[1] > 0.2 > theory[2] == 0


def test_deeper_networks_use_fewer_dimensions_after_the_same_steps():
    train, test = digits()
    x = test.batch(slice(0, 200)).x
    kl = []
    for depth in (1, 5):
        one = replace(DEEP, options=DEEP.options | {"hidden": (32,) * depth}, steps=80)
        kl.append(float(use(one.run(train, 0), x).sum()))
    assert kl[1] < kl[0]


def test_a_dimension_that_the_decoder_ignores_changes_nothing():
    class Decoder:
        def decode(self, z: torch.Tensor, condition: object = None) -> torch.Tensor:
            return (100 + 50 * z[:, :1]).round().to(torch.uint8)[:, :, None, None]

    assert change(Decoder(), torch.zeros(2), 1) == 0.0
    assert change(Decoder(), torch.zeros(2), 0) == pytest.approx(100 / 255)


def test_the_upper_layers_are_compared_by_what_was_measured():
    said = collapse._compared(torch.tensor([8.0, 1.0, 1.0]), torch.tensor([3.0, 2.0, 0.0]))
    assert "20 % of the nats if inference goes up, and 40 % with a ladder" in said
    assert "5.0 nats in all against 10.0" in said


def test_runs_are_shown_in_place_of_models_that_are_trained(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(collapse, "FLAT", replace(collapse.FLAT, steps=2))
    page = ptheta.learn("collapse", runs=["example:vae"]).page
    assert [n.name.split(":")[0] for n in page.numbers()][:2] == ["vae", "vae"]
    with pytest.raises(ptheta.PthetaError, match=r"example:gan.*KL of each dimension"):
        ptheta.learn("collapse", runs=["example:gan"])


@pytest.mark.slow
def test_all_numbers_of_the_page_agree():
    assert not ptheta.learn("collapse").disagree
    assert math.isclose(collapse.USED, 0.1)
