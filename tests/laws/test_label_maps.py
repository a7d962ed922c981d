"""Label maps: pictures in the colours of a palette, one plane for each of them to a network."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ptheta import conditions
from ptheta.conditions import Image
from ptheta.data.image_data import ImageDataset
from ptheta.data.inputs import StoredInputs
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec, LabelMapSpec

SPEC = LabelMapSpec(3, 4, 6, palette=((0, 0, 0), (255, 0, 0), (10, 200, 30)))


def test_planes_and_colours_are_inverses():
    k = torch.randint(3, (5, 4, 6))
    x = SPEC.coloured(k)
    assert x.shape == (5, 3, 4, 6)
    assert x.dtype == torch.uint8
    assert torch.equal(SPEC.numbers(x), k)
    planes = SPEC.scaled(x)
    assert planes.shape == (5, *SPEC.scaled_shape)
    assert torch.equal(planes.sum(1), torch.full((5, 4, 6), -1.0))
    assert torch.equal(SPEC.unscaled(planes), x)
    assert torch.equal(SPEC.check_drawn(x), x)


def test_what_has_no_colour_of_the_palette_goes_to_the_nearest():
    x = SPEC.coloured(torch.randint(3, (5, 4, 6)))
    near = (x.int() + torch.randint(-20, 21, x.shape)).clamp(0, 255).to(torch.uint8)
    assert torch.equal(SPEC.rounded(near), x)
    assert float(SPEC.distance(near).max()) < 0.1
    with pytest.raises(PthetaError, match="a colour outside the palette"):
        SPEC.check_drawn(near)


def test_planes_that_are_no_numbers_are_no_label():
    with pytest.raises(PthetaError, match="NaN"):
        SPEC.unscaled(torch.full((1, *SPEC.scaled_shape), torch.nan))


@pytest.mark.parametrize(
    "palette", [(), ((0, 0, 0),), ((0, 0, 0), (0, 0, 0)), ((0,), (1,)), ((0, 0, 0), (0, 0, 256))]
)
def test_a_palette_that_is_none_is_refused(palette):
    with pytest.raises(PthetaError):
        LabelMapSpec(3, 4, 6, palette=palette)


@pytest.mark.parametrize("spec", [SPEC, ImageSpec(1, 4, 6), ImageSpec(3, 4, 6, 8)])
def test_inputs_are_the_image_condition_of_a_batch(spec):
    images = np.random.default_rng(0).integers(0, 256, (7, 3, 4, 6), dtype=np.uint8)
    inputs = np.random.default_rng(1).integers(0, 256, (7, *spec.shape), dtype=np.uint8)
    data = ImageDataset("pairs", "train", images, inputs=StoredInputs(inputs, spec))
    condition = Image.of_data(data, "pairs")
    batch = condition.adapted(data).batch([5, 2])
    assert isinstance(batch.condition, torch.Tensor)
    assert torch.equal(batch.condition, spec.rounded(torch.from_numpy(inputs[[5, 2]])))
    assert condition.vector(batch.condition).shape == (2, condition.size)
    assert condition.planes(batch.condition).shape == (2, *spec.scaled_shape)
    kept = json.loads(json.dumps(conditions.to_json(condition)))
    assert conditions.from_json(kept) == condition


def test_inputs_of_another_kind_than_the_run_learned_are_refused():
    images = np.zeros((4, 3, 4, 6), dtype=np.uint8)
    data = ImageDataset("pairs", "train", images, inputs=StoredInputs(images, ImageSpec(3, 4, 6)))
    with pytest.raises(PthetaError, match="the run learned 3x4x6 in 3 colours"):
        Image(SPEC).adapted(data)
