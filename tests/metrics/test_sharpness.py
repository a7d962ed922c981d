"""Sharpness against closed forms, and the direction of what is best at 1."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptheta.errors import PthetaError
from ptheta.measures.intervals import Groups, difference, estimate
from ptheta.measures.results import BADNESS, Result, direction_of
from ptheta.measures.sharpness import laplacian_variance, ratio_of_means
from ptheta.metrics.sensitivity import Images, blur, noise
from ptheta.specs import quantise


def board(side: int, high: int = 255, channels: int = 1) -> torch.Tensor:
    """A chess board of single pixels, 0 and `high`: (1, channels, side, side)."""
    at = torch.arange(side)
    one = ((at[:, None] + at) % 2 * high).to(torch.uint8)
    return one.expand(1, channels, side, side)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("high", [1, 100, 255])
def test_of_known_images(channels, high):
    """The Laplacian of a chess board is 4 high and -4 high in turn: variance (4 high)^2."""
    assert laplacian_variance(board(10, high, channels)).item() == (4 * high) ** 2
    flat = torch.full((2, channels, 5, 7), high, dtype=torch.uint8)
    assert laplacian_variance(flat).tolist() == [0, 0]
    plane = (3 * torch.arange(9)[:, None] + 2 * torch.arange(8)).to(torch.uint8)
    assert laplacian_variance(plane.expand(1, channels, 9, 8)).item() == 0


def test_of_one_bright_pixel():
    """-4 a in its place, a in the four beside it, 0 in the rest of the n: 20 a^2 / n."""
    x = torch.zeros(1, 1, 12, 9, dtype=torch.uint8)
    x[0, 0, 5, 4] = 50
    assert laplacian_variance(x).item() == pytest.approx(20 * 50**2 / (10 * 7))


def test_channels_count_alike_and_each_by_itself():
    grey = board(10)
    one_of_three = torch.cat([grey, torch.zeros_like(grey), torch.full_like(grey, 9)], 1)
    assert laplacian_variance(one_of_three).item() == pytest.approx(1020**2 / 3)


def test_noise_has_the_variance_of_its_sum():
    """Independent pixels of deviation s: s^2 (4 + 16)."""
    drawn = 128 + 12 * torch.randn(40, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    x = drawn.round().to(torch.uint8)
    assert laplacian_variance(x).mean().item() == pytest.approx(20 * (144 + 1 / 12), rel=0.02)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([2, 4, 16, 256]), st.sampled_from([1, 3]))
def test_blur_lowers_it_and_noise_raises_it(seed, levels, channels):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(6, channels, 4, 4, generator=generator) * 160 + 40
    smooth = torch.nn.functional.interpolate(coarse, size=(24, 24), mode="bilinear")
    x = quantise(smooth.round().to(torch.uint8), levels)
    of = Images(x, torch.zeros(6, dtype=torch.long), x)
    own = laplacian_variance(x).mean()
    assert laplacian_variance(blur(of, 1.5)).mean() <= own
    assert laplacian_variance(noise(of, 60)).mean() > own
    turned = x.flip(3).transpose(2, 3)
    assert laplacian_variance(turned).tolist() == pytest.approx(laplacian_variance(x).tolist())


def test_images_without_an_inside_are_refused():
    with pytest.raises(PthetaError, match="2x9 pixels are too small for the Laplacian"):
        laplacian_variance(torch.zeros(1, 1, 2, 9, dtype=torch.uint8))


def test_the_error_of_a_ratio_is_that_of_both_means():
    """By the delta method: r^2 (var a / (n a^2) + var b / (m b^2))."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(n, generator=generator) + 1 for n in (400, 600))
    found = estimate(*ratio_of_means(a, b, Groups(400, "fake"), Groups(600, "real")))
    ratio = a.mean() / b.mean()
    variance = a.var() / 400 / a.mean() ** 2 + b.var() / 600 / b.mean() ** 2
    assert found.value == pytest.approx(ratio.item(), rel=1e-6)
    assert found.error == pytest.approx((ratio * variance.sqrt()).item(), rel=0.5)
    assert ratio_of_means(a[:3], b, Groups(3, "fake"), Groups(600, "real"))[1] is None


def near_one(value: float, error: float = 0.01) -> Result:
    return Result("sharpness", value, better="nearest 1", error=error)


def test_the_nearest_to_one_is_best():
    values = [0.2, 0.9, 1.0, 1.05, 3.0]
    assert sorted(values, key=BADNESS["nearest 1"]) == [1.0, 1.05, 0.9, 0.2, 3.0]
    assert near_one(1.1).badness == pytest.approx(near_one(0.9).badness)
    gap = difference(near_one(0.9), near_one(1.1))
    assert gap is not None
    assert not gap.different  # as far from 1, on either side
    gap = difference(near_one(0.7), near_one(1.1))
    assert gap is not None
    assert gap.different
    assert gap.value == pytest.approx(0.2)
    assert direction_of([near_one(0.9), near_one(1.1)]) == "nearest 1"
    assert direction_of([near_one(0.9), Result("a", 1.0, better="lower")]) == ""
