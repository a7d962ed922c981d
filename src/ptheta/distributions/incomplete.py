"""A Gaussian of incomplete rows: the density of the observed values, the conditional distribution
of the missing ones, and expectation maximisation (Dempster, Laird & Rubin 1977; Little & Rubin
2002, section 8.2).

Rows are float64 (B, D), with NaN for missing values. Rows with the same pattern of observed values
share its matrices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from ptheta.distributions.gaussian import LOG_2PI

AT_ONCE = 2**23  # numbers of the matrices that are in memory


class Law(NamedTuple):
    """mean (D,) and covariance (D, D) of a Gaussian, float64"""

    mean: Tensor
    covariance: Tensor


class Expected(NamedTuple):
    """What EM sums over rows under a law: E v - mean, (D,), and E (v - mean)(v - mean)^T, (D, D),
    of v = x + e. n: rows; objective: of `Patterns.log_prob`, nats"""

    n: int
    first: Tensor
    second: Tensor
    objective: float

    def plus(self, other: Expected) -> Expected:
        return Expected(
            self.n + other.n,
            self.first + other.first,
            self.second + other.second,
            self.objective + other.objective,
        )

    def law(self, of: Law) -> Law:
        """The M-step. of: the law that they were expected under"""
        apart = self.first / self.n
        return Law(of.mean + apart, self.second / self.n - apart[:, None] * apart)


@dataclass(frozen=True, eq=False)
class Patterns:
    """What a law says of the rows of some patterns.

    at: the pattern of each row, int64 (B,); observed: of each pattern, bool (P, D)
    factor: Cholesky's of the covariance of what is observed, and ones where it is not, (P, D, D)
    gain: K of the regression E[v | x] = mean + K (x - mean), (P, D, D): of what is observed, itself
    """

    law: Law
    at: Tensor
    observed: Tensor
    factor: Tensor
    gain: Tensor

    @classmethod
    def of(cls, law: Law, there: Tensor) -> Self:
        """there: which numbers of each row are observed, bool (B, D)"""
        observed, at = torch.unique(there, dim=0, return_inverse=True)
        o = observed.to(law.mean)
        seen = law.covariance * o[:, None, :]  # of all numbers with what is observed
        factor = torch.linalg.cholesky(seen * o[:, :, None] + torch.diag_embed(1 - o))
        solved = torch.cholesky_solve(seen.mT, factor).mT
        eye = torch.eye(len(law.mean), dtype=o.dtype, device=o.device)
        gain = torch.where(observed[:, :, None], eye, solved)
        return cls(law, at, observed, factor, gain)

    def centred(self, x: Tensor) -> Tensor:
        """x - mean, 0 where a number is missing: (B, D)"""
        return torch.where(self.observed[self.at], x - self.law.mean, 0.0)

    def expected(self, x: Tensor) -> Tensor:
        """E[v | x]: (B, D)"""
        guess = torch.einsum("bij,bj->bi", self.gain[self.at], self.centred(x)) + self.law.mean
        return torch.where(self.observed[self.at], x, guess)

    def drawn(self, x: Tensor, v: Tensor) -> Tensor:
        """v | x, drawn: (B, D). v: drawn from the law itself, brought to what is observed by the
        regression of the difference (Matheron's rule; Doucet 2010)"""
        apart = torch.where(self.observed[self.at], x - v, 0.0)
        moved = v + torch.einsum("bij,bj->bi", self.gain[self.at], apart)
        return torch.where(self.observed[self.at], x, moved)

    def log_prob(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """log N of what is observed of each row: (B,) nats; the mean of log N(x + e) over e of
        these variances (D,), where there is noise."""
        unit = torch.linalg.solve_triangular(
            self.factor[self.at], self.centred(x)[..., None], upper=False
        )
        each = self.observed.sum(1) * LOG_2PI + 2 * self._diagonal().log().sum(1)
        if noise is not None:
            each = each + (
                torch.cholesky_inverse(self.factor).diagonal(dim1=1, dim2=2)
                * (self.observed * noise)
            ).sum(1)
        found: Tensor = -0.5 * (unit.square().sum((1, 2)) + each[self.at])
        return found

    def statistics(self, x: Tensor, noise: Tensor, weight: Tensor | None = None) -> Expected:
        """What the E-step makes of rows x, of which x + e is seen, e of these variances (D,).
        weight: of each row, (B,); 1 where it is None, and the objective is as if it were"""
        rows = x.new_zeros(len(self.observed))
        rows.index_add_(0, self.at, x.new_ones(len(x)) if weight is None else weight)
        lost = (~self.observed).to(x)
        seen = self.law.covariance * self.observed[:, None, :]
        left = (self.law.covariance - self.gain @ seen.mT) * lost[:, :, None] * lost[:, None, :]
        spread = self.gain * (self.observed * noise)[:, None, :] @ self.gain.mT
        apart = self.expected(x) - self.law.mean
        within = torch.einsum("p,pij->ij", rows, left + spread)
        found = self.log_prob(x, noise).sum().item()
        shared = apart if weight is None else weight[:, None] * apart
        return Expected(len(x), shared.sum(0), apart.T @ shared + within, found)

    def _diagonal(self) -> Tensor:
        return self.factor.diagonal(dim1=1, dim2=2)


def parts(x: Tensor) -> Iterator[Tensor]:
    """Rows (B, D), so many at a time that the matrices of their patterns fit in memory."""
    yield from x.split(max(1, AT_ONCE // x.shape[1] ** 2))


def _alike(weight: Tensor, x: Tensor) -> Iterator[Tensor]:
    """Weights (B,) in the parts of x (B, D)."""
    yield from weight.split(max(1, AT_ONCE // x.shape[1] ** 2))


def expected(law: Law, x: Tensor) -> Tensor:
    """E[v | x] of each row (B, D): regression of the missing values on the observed ones."""
    return torch.cat([Patterns.of(law, ~part.isnan()).expected(part) for part in parts(x)])


def drawn(law: Law, x: Tensor, v: Tensor) -> Tensor:
    """Rows x with sampled missing values: (B, D). v: samples of the unconditional law, as x"""
    pairs = zip(parts(x), parts(v), strict=True)
    return torch.cat([Patterns.of(law, ~part.isnan()).drawn(part, other) for part, other in pairs])


def log_prob(law: Law, x: Tensor, noise: Tensor | None = None) -> Tensor:
    """log-density of what is observed of each row: (B, D) -> (B,) nats. noise: as of `Patterns`"""
    return torch.cat([Patterns.of(law, ~part.isnan()).log_prob(part, noise) for part in parts(x)])


def statistics(law: Law, x: Tensor, noise: Tensor, weight: Tensor | None = None) -> Expected:
    """The E-step over rows (B, D). noise: variances (D,) of what is added to each number: it widens
    the covariance by as much, as dequantisation and a ridge do; weight: of each row, (B,)"""
    weights = [None] * len(list(parts(x))) if weight is None else list(_alike(weight, x))
    first, *rest = (
        Patterns.of(law, ~part.isnan()).statistics(part, noise, each)
        for part, each in zip(parts(x), weights, strict=True)
    )
    for more in rest:
        first = first.plus(more)
    return first


def maximised(x: Tensor, noise: Tensor, passes: int, tolerance: float) -> Law:
    """The law of most likelihood by EM from rows (B, D), starting at N(0, I).

    noise: as of `statistics`; it ends where a pass gains less than `tolerance` nats a row
    """
    dims = x.shape[1]
    law = Law(x.new_zeros(dims), torch.eye(dims, dtype=x.dtype, device=x.device))
    before = -float("inf")
    for _ in range(passes):
        found = statistics(law, x, noise)
        law = found.law(law)
        if found.objective - before < tolerance * len(x):
            break
        before = found.objective
    return law
