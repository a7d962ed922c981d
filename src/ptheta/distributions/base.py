"""The base class of all distributions: of examples or codes, posteriors and priors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ptheta.compute import streams
from ptheta.specs import DataSpec


class Distribution(ABC):
    """A batch of distributions, one per example, unless stated otherwise."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Log-probability, or log-density, nats: of each example, (B,), or of each of its elements,
        (B, ...), where these are independent."""

    @abstractmethod
    def sample(self) -> Tensor:
        """One draw from each row: (B, ...)."""


class ElementDistribution(Distribution):
    """An independent distribution for each element of x: a sub-pixel, or a column of a vector."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """x (B, ...) -> of each element, as x, nats."""

    def log_prob_of_example(self, x: Tensor) -> Tensor:
        """log p of whole examples, (k B,) nats, where the distribution has k rows for each: row i
        is for example i modulo B. x: (B, ...)"""
        k = self.shape[0] // len(x)
        return self.log_prob(x.repeat(k, *[1] * (x.ndim - 1))).flatten(1).sum(1)

    @abstractmethod
    def icdf(self, u: Tensor) -> Tensor:
        """The sample determined by uniform noise in [0, 1), shaped as x."""

    @abstractmethod
    def mean_example(self) -> Tensor:
        """The mean as an example, shaped as x; the mode for values without a mean."""

    def scaled_mean(self, spec: DataSpec) -> Tensor:
        """The mean in network scale: (B, *scaled_shape); for categories, the probabilities."""
        return spec.scaled(self.mean_example())

    @property
    @abstractmethod
    def shape(self) -> torch.Size:
        """(B, ...), of x"""

    @property
    @abstractmethod
    def device(self) -> torch.device: ...

    def sample(self) -> Tensor:
        return self.icdf(streams.uniform(*self.shape, device=self.device))


@runtime_checkable
class HasLogits(Protocol):
    """A distribution with logits as log-probabilities, up to a constant."""

    def tempered(self, temperature: float) -> ElementDistribution:
        """p^(1 / temperature), normalised: logits over the temperature."""
        ...
