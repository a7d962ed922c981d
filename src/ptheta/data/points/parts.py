"""The parts that a toy's density is a mixture of: each is sampled and has its density exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

NODES = 256  # of Gauss and Legendre, along a curve
CHUNK = 4096  # points integrated at once
TAIL = 8.0  # standard deviations beyond which nothing is expected: 1e-15 of the mass

Sides = tuple[tuple[float, float], ...]


class Part(Protocol):
    """A density over points of D numbers.

    sides: the box that holds all of it but 1e-14 of its mass, (least, greatest) of each number
    finest: the length within which the density changes much
    """

    @property
    def sides(self) -> Sides: ...

    @property
    def finest(self) -> float: ...

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """float64 (n, D)"""

    def log_density(self, x: Tensor) -> Tensor:
        """float64 (N, D) -> (N,), nats; differentiable"""


@dataclass(frozen=True)
class Gaussian:
    """Independent numbers around a centre, of one standard deviation."""

    centre: tuple[float, ...]
    deviation: float

    @property
    def sides(self) -> Sides:
        reach = TAIL * self.deviation
        return tuple((c - reach, c + reach) for c in self.centre)

    @property
    def finest(self) -> float:
        return self.deviation

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return self.centre + self.deviation * rng.standard_normal((n, len(self.centre)))

    def log_density(self, x: Tensor) -> Tensor:
        return _log_normal(x - x.new_tensor(self.centre), self.deviation)


@dataclass(frozen=True)
class Square:
    """Uniform over a box. The density is constant inside, and nothing outside."""

    low: tuple[float, ...]
    side: float

    @property
    def sides(self) -> Sides:
        return tuple((low, low + self.side) for low in self.low)

    @property
    def finest(self) -> float:
        return self.side

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return self.low + self.side * rng.random((n, len(self.low)))

    def log_density(self, x: Tensor) -> Tensor:
        offset = x - x.new_tensor(self.low)
        inside = ((offset >= 0) & (offset < self.side)).all(1)
        flat = 0 * offset.sum(1) - len(self.low) * math.log(self.side)  # a gradient of zeros
        return flat.masked_fill(~inside, -math.inf)


@dataclass(frozen=True)
class Curve:
    """A curve in the plane, uniform in its parameter t, blurred by Gaussian noise:

        p(x) = 1 / (stop - start) * integral of N(x; point(t), deviation^2 I) dt

    The integral is computed by Gauss-Legendre quadrature with 256 nodes, in log space. If nodes are
    closer than the deviation, the error is at float64 precision; for the curves here it is below
    1e-6 nats within ten units of them (a test doubles the nodes).

    point: t of any shape -> (..., 2)
    """

    point: Callable[[np.ndarray], np.ndarray]
    start: float
    stop: float
    deviation: float
    nodes: int = NODES

    @cached_property
    def _nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Points on the curve, (K, 2), and the logarithms of their weights, (K,)."""
        at, weights = np.polynomial.legendre.leggauss(self.nodes)
        t = self.start + (self.stop - self.start) * (at + 1) / 2
        return self.point(t), np.log(weights / 2)

    @property
    def sides(self) -> Sides:
        points, reach = self._nodes[0], TAIL * self.deviation
        low, high = points.min(0) - reach, points.max(0) + reach
        return tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))

    @property
    def finest(self) -> float:
        return self.deviation

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        t = rng.uniform(self.start, self.stop, n)
        return self.point(t) + self.deviation * rng.standard_normal((n, 2))

    def log_density(self, x: Tensor) -> Tensor:
        points, log_weights = (x.new_tensor(a) for a in self._nodes)
        parts = (
            _log_normal(some[:, None] - points, self.deviation) + log_weights
            for some in x.split(CHUNK)
        )
        return torch.cat([part.logsumexp(1) for part in parts])


def _log_normal(offset: Tensor, deviation: float) -> Tensor:
    """The log-density of offsets (..., D) from the centre: (...,), nats."""
    constant = offset.shape[-1] * math.log(deviation * math.sqrt(2 * math.pi))
    return -0.5 * (offset / deviation).square().sum(-1) - constant
