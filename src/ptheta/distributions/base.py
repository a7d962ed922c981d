"""What every distribution can do, be it of pixels or of codes, a posterior or a prior."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class Distribution(ABC):
    """A row for each example; what has one row for all of them says so."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Log-probability, or log-density, nats: of each example, (B,), or of each of its elements,
        (B, ...), where these are independent."""

    @abstractmethod
    def sample(self) -> Tensor:
        """One draw from each row: (B, ...)."""
