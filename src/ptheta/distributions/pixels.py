"""Distributions of pixels, for decoders `p(x | z)` and autoregressive conditionals.

All take image batches (uint8) and work in level numbers inside; `log_prob` is of each sub-pixel.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.special import log_ndtr, ndtri

from ptheta.distributions.base import ElementDistribution
from ptheta.specs import DataSpec, from_levels, from_unit, to_levels


class PixelDistribution(ElementDistribution):
    """An independent distribution for each sub-pixel of an image batch."""

    levels: int

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """uint8 (B, C, H, W) -> log-probability of each sub-pixel, (B, C, H, W) nats."""

    def log_probs(self) -> Tensor:
        """log-probability of every level, (B, C, H, W, K) nats."""
        numbers = torch.arange(self.levels, device=self.device)
        shades = from_levels(numbers, self.levels).tolist()
        each = (torch.full(self.shape, s, dtype=torch.uint8, device=self.device) for s in shades)
        return torch.stack([self.log_prob(x) for x in each], -1)

    @abstractmethod
    def icdf(self, u: Tensor) -> Tensor:
        """The sample determined by uniform noise (B, C, H, W) in [0, 1), uint8."""

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """Expected pixel value as a fraction of white: float (B, C, H, W) in [0, 1]."""

    def mean_example(self) -> Tensor:
        """In 256 levels: uint8 (B, C, H, W)."""
        return from_unit(self.mean)

    def scaled_mean(self, spec: DataSpec) -> Tensor:
        return 2 * self.mean - 1


class Bernoulli(PixelDistribution):
    """Two levels. logits (B, C, H, W): log-odds of white."""

    levels = 2

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits

    @property
    def shape(self) -> torch.Size:
        return self.logits.shape

    @property
    def device(self) -> torch.device:
        return self.logits.device

    def log_prob(self, x: Tensor) -> Tensor:
        return -F.softplus(self.logits * self._sign(x), threshold=40)

    def log_prob_of_example(self, x: Tensor) -> Tensor:
        each = self.logits.unflatten(0, (-1, len(x))) * self._sign(x)  # (k, B, C, H, W)
        return -F.softplus(each, threshold=40).flatten(2).sum(2).flatten()

    def _sign(self, x: Tensor) -> Tensor:
        """log sigmoid(l) = -softplus(-l) for white, -softplus(l) for black: -1 or 1. A third of the
        time of binary_cross_entropy_with_logits on the CPU."""
        return x.ge(128).to(self.logits.dtype).mul_(-2).add_(1)

    def tempered(self, temperature: float) -> Bernoulli:
        return Bernoulli(self.logits / temperature)

    def icdf(self, u: Tensor) -> Tensor:
        return (u < self.logits.sigmoid()).to(torch.uint8).mul_(255)

    @property
    def mean(self) -> Tensor:
        return self.logits.sigmoid()


class Categorical(PixelDistribution):
    """Any number of levels. logits (B, K, C, H, W) over the K levels."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        self.levels = logits.shape[1]

    @property
    def shape(self) -> torch.Size:
        b, _, c, h, w = self.logits.shape
        return torch.Size((b, c, h, w))

    @property
    def device(self) -> torch.device:
        return self.logits.device

    def log_prob(self, x: Tensor) -> Tensor:
        return -F.cross_entropy(self.logits, to_levels(x, self.levels), reduction="none")

    def tempered(self, temperature: float) -> Categorical:
        return Categorical(self.logits / temperature)

    def log_probs(self) -> Tensor:
        return self.logits.log_softmax(1).movedim(1, -1)

    def icdf(self, u: Tensor) -> Tensor:
        # the sample is the first level whose cumulative probability exceeds u
        cumulative = self.logits.float().softmax(1).cumsum(1)
        k = (cumulative <= u.unsqueeze(1)).sum(1).clamp_(max=self.levels - 1)
        return from_levels(k, self.levels)

    @property
    def mean(self) -> Tensor:
        k = torch.linspace(0, 1, self.levels, device=self.device).view(1, -1, 1, 1, 1)
        return (self.logits.softmax(1) * k).sum(1)


class LogisticMixture(PixelDistribution):
    """Discretised mixture of M logistics (Salimans et al. 2017, arXiv:1701.05517).

    On the axis [-1, 1] where level k of L sits at s = 2k / (L - 1) - 1 and owns the bin
    s -+ 1 / (L - 1); the first and last bins reach to infinity, so the levels sum to 1.

    weights, loc, log_scale: (B, M, C, H, W); weights are logits over M
    """

    def __init__(self, weights: Tensor, loc: Tensor, log_scale: Tensor, levels: int) -> None:
        self.weights, self.loc, self.log_scale, self.levels = weights, loc, log_scale, levels

    @property
    def shape(self) -> torch.Size:
        b, _, c, h, w = self.loc.shape
        return torch.Size((b, c, h, w))

    @property
    def device(self) -> torch.device:
        return self.loc.device

    def log_prob(self, x: Tensor) -> Tensor:
        return torch.logsumexp(self.component_log_prob(x) + self.weights.log_softmax(1), 1)

    def component_log_prob(self, x: Tensor) -> Tensor:
        """log-probability of each sub-pixel under each logistic: (B, M, C, H, W) nats."""
        k = to_levels(x, self.levels).unsqueeze(1)  # (B, 1, C, H, W)
        centre = k.to(self.loc.dtype) * (2 / (self.levels - 1)) - 1 - self.loc
        half = 1 / (self.levels - 1)
        inv = torch.exp(-self.log_scale)
        upper, lower = (centre + half) * inv, (centre - half) * inv
        log_below, log_above = F.logsigmoid(upper), F.logsigmoid(-lower)
        # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)): no cancellation
        inside = log_below + log_above + torch.log(-torch.expm1(-2 * half * inv))
        return torch.where(k == 0, log_below, torch.where(k == self.levels - 1, log_above, inside))

    def icdf(self, u: Tensor) -> Tensor:
        # one uniform number is used twice: it picks the component, and its remainder is uniform
        cumulative = self.weights.softmax(1).cumsum(1)  # (B, M, C, H, W)
        last = cumulative.shape[1] - 1
        pick = (cumulative <= u.unsqueeze(1)).sum(1, keepdim=True).clamp_(max=last)
        top = cumulative.gather(1, pick).squeeze(1)
        width = self.weights.softmax(1).gather(1, pick).squeeze(1)
        rest = ((u - (top - width)) / width).clamp(1e-6, 1 - 1e-6)
        loc, scale = self.loc.gather(1, pick), self.log_scale.gather(1, pick).exp()
        s = loc.squeeze(1) + scale.squeeze(1) * torch.logit(rest)
        k = ((s.clamp(-1, 1) + 1) * ((self.levels - 1) / 2)).round_()
        return from_levels(k, self.levels)

    @property
    def mean(self) -> Tensor:
        """The mixture of the locations, clamped to the pixel range."""
        loc = (self.weights.softmax(1) * self.loc).sum(1)
        return loc.clamp(-1, 1).add(1).mul(0.5)


class DiscretisedGaussian(PixelDistribution):
    """Level k has the probability of its bin, as in `LogisticMixture`.

    loc, log_sigma: (B, C, H, W), on the axis [-1, 1]; the first and last bins reach to infinity
    """

    def __init__(self, loc: Tensor, log_sigma: Tensor, levels: int) -> None:
        self.loc, self.log_sigma, self.levels = loc, log_sigma, levels

    @property
    def shape(self) -> torch.Size:
        return self.loc.shape

    @property
    def device(self) -> torch.device:
        return self.loc.device

    def log_prob(self, x: Tensor) -> Tensor:
        k = to_levels(x, self.levels)
        centre = k.to(self.loc.dtype) * (2 / (self.levels - 1)) - 1 - self.loc
        half, inv = 1 / (self.levels - 1), torch.exp(-self.log_sigma)
        # Phi(a) - Phi(b), a > b, mirrored into the lower tail, where Phi keeps its precision
        log_a = log_ndtr((half - centre.abs()) * inv)
        log_b = log_ndtr((-half - centre.abs()) * inv)
        inside = log_a + torch.log(-torch.expm1((log_b - log_a).clamp(max=-1e-7)))
        below, above = log_ndtr((centre + half) * inv), log_ndtr((half - centre) * inv)
        return torch.where(k == 0, below, torch.where(k == self.levels - 1, above, inside))

    def icdf(self, u: Tensor) -> Tensor:
        s = self.loc + self.log_sigma.exp() * ndtri(u.clamp(1e-7, 1 - 1e-7))
        k = ((s.clamp(-1, 1) + 1) * ((self.levels - 1) / 2)).round_()
        return from_levels(k, self.levels)

    @property
    def mean(self) -> Tensor:
        """The location, clamped to the pixel range."""
        return self.loc.clamp(-1, 1).add(1).mul(0.5)
