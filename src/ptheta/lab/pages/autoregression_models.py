"""Autoregressive models with random weights, and images, for a page of the lab."""

from __future__ import annotations

import itertools
from typing import Any, TypeAlias

import torch
from torch import Tensor

import ptheta
from ptheta.compute.streams import seeded
from ptheta.lab.asked import Asked
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.specs import ImageSpec, from_levels

Options: TypeAlias = dict[str, Any]

EXACT, SINGLE = 1e-9, 2e-5  # rounding in float64 and in float32
SE = 4.5  # standard errors within which an average of draws lies

# the smallest options at which each kind of network still mixes its inputs
NETS: dict[str, Options] = {
    "fvsbn": {},
    "nade": {"hidden": 16},
    "made": {"hidden": (64,)},
    "pixelcnn": {"features": 8, "blocks": 2, "first_kernel": 3, "head": 8},
    "gated-pixelcnn": {"features": 8, "layers": 2, "first_kernel": 3, "head": 8},
    "diagonal-bilstm": {"features": 8, "layers": 1, "head": 8},
    "image-transformer": {"width": 16, "heads": 2, "layers": 2},
}


def random_model(
    name: str, spec: ImageSpec, asked: Asked, options: Options | None = None
) -> Autoregressive:
    """A model with random weights, also where training begins with zeros."""
    with seeded(int(asked.rng(name).integers(2**31))):
        model = ptheta.create(name, spec, **(options or {}))
    assert isinstance(model, Autoregressive)
    generator = asked.generator(f"weights of {name}")
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator))
    return model.eval()


def every_image(spec: ImageSpec) -> Tensor:
    """Every image there is."""
    values = itertools.product(range(spec.levels), repeat=spec.dims)
    return from_levels(torch.tensor(list(values)), spec.levels).view(-1, *spec.shape)


def noise_images(spec: ImageSpec, n: int, asked: Asked) -> Tensor:
    levels = torch.randint(spec.levels, (n, *spec.shape), generator=asked.generator("noise"))
    return from_levels(levels, spec.levels)
