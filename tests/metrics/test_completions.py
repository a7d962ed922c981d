"""Completions that need no learning: the mean image, and the nearest one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ptheta.data.image_data import ImageDataset
from ptheta.metrics.biharmonic import SmoothestSurface, smoothest
from ptheta.metrics.completions import MeanFill, NearestImage
from ptheta.metrics.floors import floors_of
from ptheta.tasks.inpaint import regions

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8)).astype(np.uint8)
TRAIN = ImageDataset("noise", "train", PIXELS)


def test_the_nearest_image_is_found_by_what_is_known_of_it(monkeypatch):
    monkeypatch.setattr("ptheta.metrics.completions.READ", 7)
    x = torch.from_numpy(PIXELS[5:15].copy())
    known = ~regions("half", len(x), (3, 8, 8))
    noisy = torch.where(known, x, 255 - x)  # what is unknown says nothing
    assert torch.equal(NearestImage(TRAIN).complete(noisy, known), x)


def test_the_mean_image_is_the_mean_at_each_place():
    x = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    known = torch.rand(x.shape) < 0.5
    done = MeanFill(TRAIN).complete(x, known)
    mean = torch.from_numpy(PIXELS.astype(np.float64).mean(0).round().astype(np.uint8))
    assert torch.equal(done[~known], mean.expand_as(x)[~known])
    assert torch.equal(done[known], x[known])


def test_all_are_floors_of_plain_images():
    named = {"mean image", "nearest training image", "smoothest surface"}
    assert named <= floors_of(TRAIN).keys()


HOLES = ("centre", "left", "border", "hole", "strokes", "pixels")


def seen(name: str, h: int, w: int) -> np.ndarray:
    return ~regions(name, 1, (1, h, w), 3)[0, 0].numpy()


@pytest.mark.parametrize("name", HOLES)
def test_the_smoothest_surface_goes_on_with_what_is_linear(name):
    """At the border of the image, too."""
    i, j = np.indices((11, 14))
    ramp, known = 60.0 + 3 * i - 2 * j, seen(name, 11, 14)
    assert np.allclose(smoothest(ramp, known), ramp[~known], atol=0.1)
    x = torch.from_numpy(ramp).clamp(0, 255).to(torch.uint8).expand(2, 3, 11, 14)
    there = torch.from_numpy(known).expand(x.shape)
    done = SmoothestSurface(TRAIN).complete(x.masked_fill(~there, 0), there)
    assert torch.equal(done, x)


@pytest.mark.parametrize("of", ["xy", "xx - yy", "x3 - 3 x y2", "x3"])
def test_and_with_what_is_biharmonic_in_the_middle_of_known_pixels(of):
    y, x = np.indices((16, 16)) / 4.0
    plane = {"xy": x * y, "xx - yy": x**2 - y**2, "x3 - 3 x y2": x**3 - 3 * x * y**2, "x3": x**3}
    known = seen("centre", 16, 16)
    assert np.allclose(smoothest(plane[of], known), plane[of][~known], atol=1e-3)


@pytest.mark.parametrize("name", HOLES)
def test_it_is_the_least_squares_of_all_second_differences(name):
    """Written out place by place, and solved densely."""
    h, w = 6, 7
    plane, known = np.random.default_rng(1).uniform(0, 255, (h, w)), seen(name, h, w)
    rows = []

    def row(*cells):
        rows.append(np.zeros((h, w)))
        for i, j, value in cells:
            rows[-1][i, j] = value

    for i in range(h):
        for j in range(w):
            if i + 2 < h:
                row((i, j, 1), (i + 1, j, -2), (i + 2, j, 1))
            if j + 2 < w:
                row((i, j, 1), (i, j + 1, -2), (i, j + 2, 1))
            if i + 1 < h and j + 1 < w:
                r = 2**0.5
                row((i, j, r), (i + 1, j + 1, r), (i + 1, j, -r), (i, j + 1, -r))
    every, u = np.stack(rows).reshape(len(rows), -1), ~known.ravel()
    wanted = np.linalg.lstsq(every[:, u], -every[:, ~u] @ plane.ravel()[~u], rcond=None)[0]
    assert np.allclose(smoothest(plane, known), wanted, atol=1e-2)


def test_nothing_known_is_grey_and_one_pixel_is_its_value():
    plane, known = np.full((5, 5), 200.0), np.zeros((5, 5), dtype=bool)
    assert np.allclose(smoothest(plane, known), 127.5)
    known[2, 2] = True
    assert np.allclose(smoothest(plane, known), 200)
