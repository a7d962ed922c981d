"""Tiles of a large image, put together, are what the whole image would give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ptheta import conditions, tasks
from ptheta.specs import ImageSpec
from ptheta.tasks.tiling import Cuts, tiled
from tests.conftest import tiny

SPEC = ImageSpec(3, 64, 64)
SIZES = [(64, 64), (65, 200), (311, 97), (40, 500), (257, 256)]


def picture(height: int, width: int) -> Tensor:
    draw = torch.Generator().manual_seed(height)
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=draw)


@pytest.mark.parametrize("n", [1, 64, 65, 96, 97, 1000])
@pytest.mark.parametrize("tile", [64, 72, 100])
def test_every_pixel_is_covered_and_counts_once(n: int, tile: int) -> None:
    cuts, total = Cuts(n, tile), torch.zeros(n)
    for i, weight in enumerate(cuts.weights):
        piece = cuts.piece(i)
        assert 0 <= piece.start < piece.stop <= n
        assert piece.stop - piece.start <= tile
        total[piece] += weight
        assert (weight >= 0).all()
    torch.testing.assert_close(total, torch.ones(n))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("work", [lambda x: x, lambda x: 255 - x], ids=["identity", "negative"])
def test_a_map_of_each_pixel_alone_knows_no_tiles(
    work: Callable[[Tensor], Tensor], size: tuple[int, int]
) -> None:
    x = picture(*size)
    assert torch.equal(tiled(work, x, SPEC, 64), work(x))


@pytest.mark.parametrize("size", SIZES)
def test_what_looks_a_quarter_of_the_overlap_far_knows_no_tiles(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net = nn.Conv2d(3, 3, 9, padding=4, padding_mode="reflect")  # 64 / 4 / 4 pixels far

    def work(x: Tensor) -> Tensor:
        with torch.no_grad():
            return SPEC.unscaled(net(SPEC.scaled(x)))

    x = picture(*size)
    off = (tiled(work, x, SPEC, 64).int() - work(x[None])[0].int()).abs()
    assert off.max() <= 1


def test_what_differs_from_tile_to_tile_leaves_no_seam() -> None:
    """Two neighbouring pixels differ less than what the tiles differ by, and never at once."""
    greys = iter(range(0, 256, 16))
    x = torch.zeros(1, 64, 400, dtype=torch.uint8)

    def work(tile: Tensor) -> Tensor:
        return torch.full_like(tile, next(greys))

    row = tiled(work, x, ImageSpec(1, 64, 64), 64)[0, 0].int()
    jumps = row.diff().abs()
    assert row.unique().numel() > 30
    assert jumps.max() <= 16 * 2 * 1.5 / 8 + 1  # the steepest of a ramp of half an overlap
    assert torch.equal(row[8:30], row[8:9].expand(22))


def smooth(side: int) -> Tensor:
    """uint8 (1, 3, side, side), in which a step between two pixels is small."""
    draw = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 20, 20, generator=draw) * 255
    return F.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 255).byte()


def stretched(x: Tensor) -> Tensor:
    """Each tile to the mean and deviation of its own, as a net with instance norm does."""
    return SPEC.unscaled(0.4 * F.instance_norm(SPEC.scaled(x)))


def meaner(x: Tensor) -> Tensor:
    """Half of the way to the tile's mean."""
    u = SPEC.scaled(x)
    return SPEC.unscaled((u + u.mean((2, 3), keepdim=True)) / 2)


@pytest.mark.parametrize("work", [stretched, meaner])
def test_what_sees_the_whole_tile_jumps_at_no_border_more_than_elsewhere(
    work: Callable[[Tensor], Tensor],
) -> None:
    x = smooth(600)
    made, alone = tiled(work, x[0], SPEC, 128).float(), work(x)[0].float()
    for dim in (1, 2):
        jumps, usual = (of.diff(dim=dim).abs().mean((0, 3 - dim)) for of in (made, alone))
        assert jumps.max() <= 1.2 * usual.max()  # five times as much where tiles are cut hard


def test_pictures_are_translated_in_tiles_by_a_real_net() -> None:
    spec = ImageSpec(3, 32, 32)
    options: dict[str, Any] = {"condition": conditions.Image(spec), "features": 4, "d_features": 4}
    model = tiny("pix2pix", spec, **options).eval()
    made = tasks.translate(model, smooth(200), tile=64)
    assert made.shape == (1, 3, 200, 200)
    whole = tasks.translate(model, smooth(200)).float()
    assert (made.float() - whole).abs().mean() < whole.std()


def test_images_are_worked_at_in_tiles_alone() -> None:
    seen: list[tuple[int, ...]] = []

    def work(x: Tensor) -> Tensor:
        seen.append(tuple(x.shape))
        return x

    tiled(work, picture(300, 301), SPEC, 64)
    assert all(max(shape[2:]) <= 64 for shape in seen)
    assert {shape[0] for shape in seen} == {1}
