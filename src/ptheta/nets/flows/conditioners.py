"""Networks that say how the other half is moved. The last layer starts near zero, and with it every
coupling near the identity (arXiv:1807.03039, section 3.3): of an exact zero the layers below would
learn nothing in the first step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from ptheta.config import Entry
from ptheta.nets.modules import Layer, Stack

NEAR_ZERO = 1e-3  # standard deviation of the last weights at the start


class Constant(Layer):
    """What a network without inputs, or without outputs, says: (B, inputs) -> (B, out)"""

    def __init__(self, out: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(out))

    def forward(self, x: Tensor) -> Tensor:
        return self.value.expand(len(x), -1)


class Residual(Layer):
    """x + conv1x1(relu(conv3x3(relu(x))))"""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(features, features, 3, padding=1)
        self.narrow = nn.Conv2d(features, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.narrow(relu(self.wide(relu(x))))
        return x + h


def quiet(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    """The layer itself, near zero."""
    nn.init.normal_(layer.weight, std=NEAR_ZERO)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def plain(inputs: int, out: int, features: int, blocks: int) -> Layer:
    """Convolutions 3x3, 1x1, 3x3, as Glow's; more blocks are more 1x1."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, features, 3, padding=1), nn.ReLU()]
    for _ in range(blocks):
        layers += [nn.Conv2d(features, features, 1), nn.ReLU()]
    return Stack(*layers, quiet(nn.Conv2d(features, out, 3, padding=1)))


def residual(inputs: int, out: int, features: int, blocks: int) -> Layer:
    """A 3x3 convolution, residual blocks, and a 1x1 convolution, as RealNVP's."""
    return Stack(
        nn.Conv2d(inputs, features, 3, padding=1),
        *(Residual(features) for _ in range(blocks)),
        nn.ReLU(),
        quiet(nn.Conv2d(features, out, 1)),
    )


@dataclass(frozen=True)
class ConditionerKind(Entry):
    """make: channels in and out, features, blocks -> the network"""

    make: Callable[[int, int, int, int], Layer]


CONDITIONERS: dict[str, ConditionerKind] = {
    "plain": ConditionerKind(plain, about="3x3, 1x1, 3x3 (1807.03039)"),
    "residual": ConditionerKind(residual, about="residual blocks (1605.08803)"),
}


def perceptron(inputs: int, out: int, hidden: Sequence[int]) -> Layer:
    """Of vectors."""
    if not inputs or not out:
        return Constant(out)
    layers: list[nn.Module] = []
    for a, b in pairwise([inputs, *hidden]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return Stack(*layers, quiet(nn.Linear([inputs, *hidden][-1], out)))
