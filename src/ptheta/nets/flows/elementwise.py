"""Transforms of each number by itself."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from ptheta.nets.flows import mixture_cdf
from ptheta.nets.flows.laws import MOST_OF_COMPONENTS, SPREAD, bounded
from ptheta.nets.flows.transform import Image, Transform, summed
from ptheta.specs import full

EDGE = 1e-6  # of (0, 1), which a logit in 32 bits needs


class Shift(Transform):
    """y = (x - middle) / spread"""

    def __init__(self, middle: float, spread: float) -> None:
        super().__init__()
        self.middle, self.spread = middle, spread

    def forward(self, x: Tensor, context: Tensor | None = None) -> Image:
        moved = -x[0].numel() * math.log(self.spread)
        return (x - self.middle) / self.spread, x.new_full((len(x),), moved)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z * self.spread + self.middle


class Logit(Transform):
    """y = logit(alpha / 2 + (1 - alpha) x) of x in [0, 1] (arXiv:1605.08803, section 4.1)."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = max(alpha, 2 * EDGE)

    def greatest(self) -> float:
        """The logit of 1."""
        return math.log(2 / self.alpha - 1)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Image:
        p = (self.alpha / 2 + (1 - self.alpha) * x).clamp(EDGE, 1 - EDGE)
        y = p.log() - (-p).log1p()
        log_d = math.log1p(-self.alpha) - logsigmoid(y) - logsigmoid(-y)
        return y, summed(log_d)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return (z.sigmoid() - self.alpha / 2) / (1 - self.alpha)


class Sigmoid(Transform):
    """y = sigmoid(x)"""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Image:
        return x.sigmoid(), summed(-softplus(x) - softplus(-x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        z = z.clamp(EDGE, 1 - EDGE)
        return z.log() - (-z).log1p()


class Scaling(Transform):
    """y = exp(s) x, one s for each number (arXiv:1410.8516, section 3.3)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Image:
        log_s = full(self.log_scale)
        return x * log_s.exp(), log_s.sum().expand(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z * (-full(self.log_scale)).exp()


class ElementwiseMixtureCDF(Transform):
    """logit F(x), F the CDF of a mixture of logistics of its own for each number: it makes each
    margin about logistic before anything else is learned."""

    def __init__(self, shape: tuple[int, ...], components: int, spread: float = SPREAD) -> None:
        """spread: of the means at the start"""
        super().__init__()
        k = components
        means = torch.linspace(-spread, spread, k) if k > 1 else torch.zeros(1)
        start = means.view(k, *[1] * len(shape)).expand(k, *shape)
        self.weight = nn.Parameter(torch.zeros(k, *shape))
        self.mean = nn.Parameter(start.clone())
        self.raw_scale = nn.Parameter(torch.zeros(k, *shape))

    def mixture(self) -> mixture_cdf.Mixture:
        return mixture_cdf.Mixture(
            full(self.weight).log_softmax(0)[None],
            full(self.mean)[None],
            bounded(full(self.raw_scale), MOST_OF_COMPONENTS)[None],
        )

    def forward(self, x: Tensor, context: Tensor | None = None) -> Image:
        y, log_d = mixture_cdf.forward(x, self.mixture())
        return y, summed(log_d)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return mixture_cdf.inverse(z, self.mixture())
