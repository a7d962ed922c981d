"""Covariances by what is kept of them: all of it, a variance for each dimension, or one for all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ptheta.config import Choice, Entry


class Covariance(Choice, Protocol):
    """A kind of covariance C (D, D). It is kept by its factor F, with F F^T = C."""

    def identity(self, dims: int) -> Tensor:
        """The factor, and the covariance, of independent dimensions of variance one."""
        ...

    def scatter(self, x: Tensor) -> Tensor:
        """sum_i x_i x_i^T of (B, D), as far as it is kept."""
        ...

    def factor(self, covariance: Tensor) -> Tensor:
        """F of C."""
        ...

    def apply(self, factor: Tensor, x: Tensor) -> Tensor:
        """F x of each row: (B, D)."""
        ...

    def solve(self, factor: Tensor, x: Tensor) -> Tensor:
        """F^-1 x of each row: (B, D)."""
        ...

    def log_det(self, factor: Tensor, dims: int) -> Tensor:
        """log |F|: ()."""
        ...

    def inverse_trace(self, factor: Tensor, dims: int) -> Tensor:
        """tr C^-1: ()."""
        ...


@dataclass(frozen=True, kw_only=True)
class Full(Entry):
    """All of it, by Cholesky's factor (D, D)."""

    def identity(self, dims: int) -> Tensor:
        return torch.eye(dims)

    def scatter(self, x: Tensor) -> Tensor:
        return x.T @ x

    def factor(self, covariance: Tensor) -> Tensor:
        found: Tensor = torch.linalg.cholesky(covariance)
        return found

    def apply(self, factor: Tensor, x: Tensor) -> Tensor:
        return x @ factor.T

    def solve(self, factor: Tensor, x: Tensor) -> Tensor:
        found: Tensor = torch.linalg.solve_triangular(factor, x.T, upper=False)
        return found.T

    def log_det(self, factor: Tensor, dims: int) -> Tensor:
        return factor.diagonal().log().sum()

    def inverse_trace(self, factor: Tensor, dims: int) -> Tensor:
        return torch.cholesky_inverse(factor).trace()


@dataclass(frozen=True, kw_only=True)
class Diagonal(Entry):
    """Independent dimensions: their standard deviations (D,)."""

    def identity(self, dims: int) -> Tensor:
        return torch.ones(dims)

    def scatter(self, x: Tensor) -> Tensor:
        return x.square().sum(0)

    def factor(self, covariance: Tensor) -> Tensor:
        return covariance.sqrt()

    def apply(self, factor: Tensor, x: Tensor) -> Tensor:
        return x * factor

    def solve(self, factor: Tensor, x: Tensor) -> Tensor:
        return x / factor

    def log_det(self, factor: Tensor, dims: int) -> Tensor:
        return factor.expand(dims).log().sum()

    def inverse_trace(self, factor: Tensor, dims: int) -> Tensor:
        return factor.expand(dims).square().reciprocal().sum()


@dataclass(frozen=True, kw_only=True)
class Isotropic(Diagonal):
    """Independent dimensions of one standard deviation (1,)."""

    def identity(self, dims: int) -> Tensor:
        return torch.ones(1)

    def scatter(self, x: Tensor) -> Tensor:
        return x.square().mean(1).sum(0, keepdim=True)


COVARIANCES: dict[str, Covariance] = {
    "full": Full(about="all pairs of sub-pixels"),
    "diagonal": Diagonal(about="independent sub-pixels, one variance each"),
    "isotropic": Isotropic(about="independent sub-pixels with one shared variance"),
}


class Moments(NamedTuple):
    """mean: (D,); covariance: as far as its kind keeps it; both `wide`. n: examples"""

    n: int
    mean: Tensor
    covariance: Tensor


def moments(batches: Iterable[Tensor], kind: Covariance) -> Moments:
    """The mean and the covariance (divided by N) of all rows of the batches (B, D), in one pass.

    Batches are joined by Chan, Golub & LeVeque 1983, which subtracts no large numbers.
    """
    parts = iter(batches)
    first = next(parts)
    n, mean, scatter = _part(first, kind)
    for batch in parts:
        m, other, more = _part(batch, kind)
        apart = other - mean
        scatter = scatter + more + kind.scatter(apart[None]) * (n * m / (n + m))
        mean = mean + apart * (m / (n + m))
        n += m
    return Moments(n, mean, scatter / n)


def _part(x: Tensor, kind: Covariance) -> tuple[int, Tensor, Tensor]:
    x = wide(x)
    mean = x.mean(0)
    return len(x), mean, kind.scatter(x - mean)


def wide(x: Tensor) -> Tensor:
    """float64, where the device has it."""
    return x.float() if x.device.type == "mps" else x.double()
