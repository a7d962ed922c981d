"""Equalised learning rates (Karras et al. 2018, section 4.1, arXiv:1710.10196)."""

from __future__ import annotations

import math
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

Weighted: TypeAlias = nn.Linear | nn.Conv2d | nn.ConvTranspose2d


class Scaled(nn.Module):
    """The numbers of a weight, times a constant."""

    def __init__(self, constant: float) -> None:
        super().__init__()
        self.constant = constant

    def forward(self, numbers: Tensor) -> Tensor:
        return self.constant * numbers

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight / self.constant


def fan_in(layer: Weighted) -> int:
    """Of how many inputs a number that the layer gives is a sum."""
    if isinstance(layer, nn.Linear):
        return layer.in_features
    places = math.prod(layer.kernel_size)
    if isinstance(layer, nn.ConvTranspose2d):  # an input lies at every stride-th place only
        places = max(1, places // math.prod(layer.stride))
    return layer.in_channels // layer.groups * places


def equalise(module: nn.Module) -> None:
    """Every weight w of its linear layers and convolutions becomes c v with v ~ N(0, 1), of which v
    is learned; c = sqrt(2 / fan_in) is the constant of He's initialisation (arXiv:1502.01852).

    An optimizer whose steps do not depend on the size of gradients moves v, and so w relative to
    its own size, equally fast in all layers.
    """
    for layer in list(module.modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            constant = math.sqrt(2 / fan_in(layer))
            with torch.no_grad():
                layer.weight.normal_(0.0, constant)
            register_parametrization(layer, "weight", Scaled(constant))
