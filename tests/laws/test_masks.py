"""Masks: every entry of the table, and what completing an image leaves as it was."""

from __future__ import annotations

import pytest
import torch

from ptheta import tasks
from ptheta.compute import streams
from ptheta.errors import PthetaError
from ptheta.masks import LEAST, MASKS, MOST, area
from ptheta.specs import ImageSpec
from ptheta.tasks.inpaint import regions
from tests.conftest import tiny

N, H, W = 200, 24, 32
SPEC = ImageSpec(1, 8, 8, 2)


def drawn(name: str, n: int = N) -> torch.Tensor:
    torch.manual_seed(0)
    return area(name, n, H, W)


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_is_a_part_of_every_image_and_belongs_to_the_image(name):
    found = drawn(name)
    assert found.shape == (N, H, W)
    assert found.dtype == torch.bool
    share = found.float().mean((1, 2))
    assert ((share > 0.01) & (share < 0.9)).all()
    for rank in (0, 1):
        with streams.shared(rank, 2):
            assert torch.equal(drawn(name, N // 2), found[rank::2])
    assert torch.equal(
        tasks.region(name, ImageSpec(3, H, W), 7)[2], regions(name, 1, (1, H, W), 7)[0, 0]
    )


@pytest.mark.parametrize(("a", "b"), [("upper", "lower"), ("left", "right"), ("centre", "border")])
def test_parts_that_make_a_whole(a, b):
    assert torch.equal(drawn(a), ~drawn(b))


def test_a_hole_is_a_rectangle_of_these_sides_anywhere():
    found = drawn("hole")
    rows, columns = found.any(2), found.any(1)
    assert torch.equal(rows[:, :, None] & columns[:, None], found)
    for inside, size in ((rows, H), (columns, W)):
        sides, at = inside.sum(1), inside.int().argmax(1)
        assert {int(sides.min()), int(sides.max())} == {round(LEAST * size), round(MOST * size)}
        i = torch.arange(size)
        assert torch.equal((i >= at[:, None]) & (i < (at + sides)[:, None]), inside)
    assert all(inside.any(0).all() for inside in (rows, columns))  # it may be anywhere


@pytest.mark.parametrize(("name", "share"), [("half", 0.5), ("pixels", 0.5)])
def test_the_share_of_pixels(name, share):
    assert abs(drawn(name).float().mean().item() - share) < 0.01
    assert (drawn(name).float().mean(0) - share).abs().max() < 0.2  # the same everywhere


def test_known_pixels_come_back_whatever_they_are_and_all_known_is_said():
    model, known = tiny("nade", SPEC), tasks.region("hole", SPEC)
    x = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)  # values that the model has not
    assert torch.equal(tasks.inpaint(model, x, known)[:, known], x[:, known])
    with pytest.warns(UserWarning, match="all pixels are known"):
        assert torch.equal(tasks.inpaint(model, x, torch.ones_like(known)), x)
    assert tasks.inpaint(model, x, torch.zeros_like(known)).shape == x.shape


@pytest.mark.parametrize("known", [torch.ones(8, 8), torch.ones(1, 8, 9).bool()])
def test_a_mask_of_another_size_or_type_is_refused(known):
    with pytest.raises(PthetaError, match=r"known is .*: give a bool mask of that shape"):
        tasks.inpaint(tiny("nade", SPEC), torch.zeros(2, 1, 8, 8, dtype=torch.uint8), known)
