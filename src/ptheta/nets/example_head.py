"""Heads that turn network outputs into a distribution of an example."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ptheta.distributions.base import ElementDistribution


class ExampleHead(nn.Module, ABC):
    """Turn a network's output into the distribution of an example's elements."""

    if TYPE_CHECKING:  # as `forward`: torch leaves it open

        def __call__(self, out: Tensor) -> ElementDistribution: ...

    @property
    @abstractmethod
    def out_shape(self) -> tuple[int, ...]:
        """The shape of the network's output for one example."""

    @abstractmethod
    def forward(self, out: Tensor) -> ElementDistribution:
        """out: (B, *out_shape), in any type of floating point."""
