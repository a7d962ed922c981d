"""Every model's defaults are for grey and for colour images alike, of few levels and of many."""

from __future__ import annotations

import pytest

import ptheta
from ptheta.specs import ImageSpec
from tests.conftest import MODELS, condition_of

SIDES = [16, pytest.param(28, marks=pytest.mark.slow)]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("levels", [2, 16, 256])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_defaults_take_grey_and_colour(name, channels, levels, side):
    spec = ImageSpec(channels, side, side, levels)
    condition = condition_of(name, spec, {})
    assert ptheta.create(name, spec, condition=condition).spec == spec
