"""Completions that need no learning: the mean image, and the nearest one."""

from __future__ import annotations

import numpy as np
import torch

from ptheta.data.image_data import ImageDataset
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


def test_both_are_floors_of_plain_images():
    assert {"mean image", "nearest training image"} <= floors_of(TRAIN).keys()
