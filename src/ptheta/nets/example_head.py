"""What makes a network's output a distribution of an example."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ptheta.distributions.base import ElementDistribution


class ExampleHead(nn.Module, ABC):
    """Makes a network's output the distribution of an example's elements."""

    if TYPE_CHECKING:  # as `forward`: torch leaves it open

        def __call__(self, out: Tensor) -> ElementDistribution: ...

    @property
    @abstractmethod
    def out_shape(self) -> tuple[int, ...]:
        """Of what the network gives for one example."""

    @abstractmethod
    def forward(self, out: Tensor) -> ElementDistribution:
        """out: (B, *out_shape), in any type of floating point."""
