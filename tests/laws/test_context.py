"""The context of a pixel by gradient is the context by changing pixels one at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ptheta import tasks
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec, relaxed, to_symmetric, to_unit
from tests.conftest import tiny
from tests.laws.autoregressive import FAMILY, double, influence, lively, random_images

NOTHING = 1e-10


@pytest.mark.parametrize("spec", [ImageSpec(1, 4, 5, 2), ImageSpec(3, 3, 4, 256)], ids=str)
@pytest.mark.parametrize("name", FAMILY)
def test_gradients_see_what_changes_of_a_pixel_see(name: str, spec: ImageSpec):
    with double():
        model = lively(name, spec)
        moves = influence(model, bases=16) > NOTHING
    moves = moves.view(-1, spec.channels, len(model.order), spec.channels).permute(0, 1, 3, 2)
    for rank in (0, 5, 11):
        row, column = divmod(model.order[rank], spec.width)
        found = tasks.context(model, random_images(spec, 12), (row, column))
        seen = found.depends.flatten(2)[:, :, model.order]
        assert torch.equal(seen, moves[rank])
        assert found.ahead == 0
        assert int(found.before.sum()) == rank
        assert torch.equal(found.seen | found.blind, found.before)
        assert bool((found.strength[found.seen] > 0).all())


def test_a_stack_of_masked_kernels_has_its_blind_spot():
    """The known blind spot of arXiv:1606.05328, of a pixel in row 4, column 4."""
    model = lively("pixelcnn", ImageSpec(1, 7, 9, 2), features=8, blocks=6, first_kernel=3)
    found = tasks.context(model, random_images(model.spec, 20), (4, 4))
    expected = torch.zeros(7, 9, dtype=torch.bool)
    for row in range(4):
        expected[row, min(9, 4 + (4 - row) + 1) :] = True
    assert torch.equal(found.blind, expected)


def test_what_sees_ahead_is_counted():
    """A model that claims the reverse order sees only what comes after."""
    model: Any = lively("fvsbn", ImageSpec(1, 3, 3, 2))
    x = random_images(model.spec, 4)
    assert tasks.context(model, x).ahead == 0
    type(model).order, kept = property(lambda self: list(range(8, -1, -1))), type(model).order
    try:
        found = tasks.context(model, x)
    finally:
        type(model).order = kept
    assert found.ahead == int(found.after.sum()) == int(found.blind.sum()) == 4


def test_relaxed_images_give_the_same_probabilities():
    for name in FAMILY:
        model = lively(name, ImageSpec(3, 3, 4, 4))
        x = random_images(model.spec, 3)
        wanted, found = (model.conditionals(each).log_prob(x) for each in (x, relaxed(x)))
        torch.testing.assert_close(found, wanted)
    assert torch.equal(to_symmetric(relaxed(x)), to_symmetric(x))
    assert torch.equal(to_unit(relaxed(x)), to_unit(x))


def test_bad_input_is_refused():
    model = tiny("pixelcnn", ImageSpec(1, 4, 4, 2))
    x = random_images(model.spec, 2)
    for pixel in ((4, 0), (0, -1)):
        with pytest.raises(PthetaError, match="rows go from 0 to 3"):
            tasks.context(model, x, pixel)
    with pytest.raises(PthetaError, match="uint8"):
        tasks.context(model, x.float())
    with pytest.raises(PthetaError, match="takes no condition"):
        tasks.context(model, x, condition=torch.zeros(2, dtype=torch.int64))
