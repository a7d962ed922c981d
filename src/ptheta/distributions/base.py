"""What every distribution can do, be it of examples or of codes, a posterior or a prior."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ptheta.compute import streams
from ptheta.specs import DataSpec


class Distribution(ABC):
    """A row for each example; what has one row for all of them says so."""

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
        """Uniform noise in [0, 1), shaped as x -> the x that it stands for."""

    @abstractmethod
    def mean_example(self) -> Tensor:
        """The mean as an example, shaped as x; of what has no mean, the most likely value."""

    def scaled_mean(self, spec: DataSpec) -> Tensor:
        """The mean of what a network sees of an example: (B, *scaled_shape). Of that of words, the
        probabilities."""
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
    """Of values whose log-probabilities are logits, up to a constant."""

    def tempered(self, temperature: float) -> ElementDistribution:
        """p^(1 / temperature), normalised: logits over the temperature."""
        ...
