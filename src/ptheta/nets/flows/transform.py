"""The base class of flow steps: a bijection with its log-determinant."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ptheta.nets.modules import Modules

Image = tuple[Tensor, Tensor]  # z and log |det dz/dx|, (B,)


class Transform(nn.Module):
    """z = f(x; context), a bijection of x. context: additional input, shaped as x but for its
    channels; None without one."""

    if TYPE_CHECKING:

        def __call__(self, x: Tensor, context: Tensor | None = None) -> Image: ...

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> Image:
        """x -> (z, log |det dz/dx| (B,))"""

    @abstractmethod
    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """z -> x"""


class Chain(Transform):
    """Transforms one after the other."""

    def __init__(self, parts: Sequence[Transform]) -> None:
        super().__init__()
        self.parts = Modules(parts)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Image:
        total = x.new_zeros(len(x))
        for part in self.parts:
            x, log_det = part(x, context)
            total = total + log_det
        return x, total

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        for part in reversed(list(self.parts)):
            z = part.inverse(z, context)
        return z


def nothing(x: Tensor) -> Tensor:
    """The log-determinant of what moves no volume: (B,) zeros."""
    return x.new_zeros(len(x))


def summed(each: Tensor) -> Tensor:
    """(B, ...) -> (B,)"""
    return each.flatten(1).sum(1)


def seed_of(number: int) -> torch.Generator:
    """A random stream of its own, so that what is fixed is so wherever a model is built."""
    return torch.Generator("cpu").manual_seed(number)
