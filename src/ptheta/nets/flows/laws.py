"""Elementwise transformations with parameters from a network: additive, affine, or by the CDF of a
mixture. Scales are bounded on both sides, so that a product of many stays finite."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ptheta.config import Entry
from ptheta.nets.flows import mixture_cdf

MOST = 2.0  # of |log s| of an affine map
MOST_OF_COMPONENTS = 5.0  # of |log s| of a component
FLOOR = 0.01  # of a sigmoid scale
SPREAD = 2.0  # of the means of the components at the start


def bounded(raw: Tensor, most: float = MOST) -> Tensor:
    """In (-most, most), with slope 1 at 0."""
    return most * torch.tanh(raw / most)


def floored(raw: Tensor) -> Tensor:
    """log(floor + (1 - floor) sigmoid(raw + 2)), as Glow's scale but never 0."""
    floor = raw.new_full((), math.log(FLOOR))
    return torch.logaddexp(floor, math.log1p(-FLOOR) + logsigmoid(raw + 2))


@dataclass(frozen=True)
class Scale(Entry):
    """log_scale: what a network gives -> log s of an affine map"""

    log_scale: Callable[[Tensor], Tensor]


SCALES: dict[str, Scale] = {
    "tanh": Scale(bounded, about="log s in (-2, 2)"),
    "sigmoid": Scale(floored, about="s in (0.01, 1), 0.88 at the start (1807.03039)"),
}


class Law(ABC):
    """numbers: that a network gives for each number that is moved; p: (B, numbers, *x.shape[1:])"""

    numbers: int

    @abstractmethod
    def forward(self, x: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """x -> y and log dy/dx, both of the shape of x"""

    @abstractmethod
    def inverse(self, y: Tensor, p: Tensor) -> Tensor:
        """y -> x"""


class Additive(Law):
    """y = x + t"""

    numbers = 1

    def forward(self, x: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        return x + p[:, 0], torch.zeros_like(x)

    def inverse(self, y: Tensor, p: Tensor) -> Tensor:
        return y - p[:, 0]


class Affine(Law):
    """y = (x + t) s"""

    numbers = 2

    def __init__(self, scale: str) -> None:
        self.log_scale = SCALES[scale].log_scale

    def forward(self, x: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        log_s = self.log_scale(p[:, 1])
        return (x + p[:, 0]) * log_s.exp(), log_s

    def inverse(self, y: Tensor, p: Tensor) -> Tensor:
        t, raw = p.unbind(1)
        return y / self.log_scale(raw).exp() - t


class MixtureCDF(Law):
    """The CDF of a mixture of logistics, its logit, then an affine map (arXiv:1902.00275)."""

    def __init__(self, components: int, scale: str) -> None:
        self.components, self.affine = components, Affine(scale)
        self.numbers = 3 * components + self.affine.numbers

    def _parts(self, p: Tensor) -> tuple[mixture_cdf.Mixture, Tensor]:
        k = self.components
        weight, mean, log_s, affine = p.split([k, k, k, self.affine.numbers], 1)
        spread = torch.linspace(-SPREAD, SPREAD, k, dtype=p.dtype, device=p.device)
        mean = mean + (spread if k > 1 else 0 * spread).view(1, k, *[1] * (p.ndim - 2))
        log_s = bounded(log_s, MOST_OF_COMPONENTS)
        return mixture_cdf.Mixture(weight.log_softmax(1), mean, log_s), affine

    def forward(self, x: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        mixture, affine = self._parts(p)
        y, log_d = mixture_cdf.forward(x, mixture)
        y, more = self.affine.forward(y, affine)
        return y, log_d + more

    def inverse(self, y: Tensor, p: Tensor) -> Tensor:
        mixture, affine = self._parts(p)
        return mixture_cdf.inverse(self.affine.inverse(y, affine), mixture)


@dataclass(frozen=True)
class LawKind(Entry):
    """make: components, name of the scale -> the law"""

    make: Callable[[int, str], Law]


LAWS: dict[str, LawKind] = {
    "affine": LawKind(lambda components, scale: Affine(scale), about="shift and scale"),
    "mixture": LawKind(
        MixtureCDF,
        about="CDF of a mixture of logistics, then affine (1902.00275)",
        reads=frozenset({"components"}),
    ),
}
