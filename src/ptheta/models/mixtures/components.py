"""Components of mixtures, by name: `COMPONENTS`.

K components of D numbers are kept together: their means (K, D), and what else a kind keeps, (K,
...). Numbers are `wide` (B, D), NaN where one is missing. Where numbers have bins or a ridge, they
are v + e of which v is seen and e has the variances `noise` (D,): what is maximised has the mean of
log N(v + e) over e in the place of log N(v), so that no noise is drawn and the maximum has a closed
form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ptheta.compute import streams
from ptheta.config import Choice, Entry
from ptheta.distributions import incomplete
from ptheta.distributions.gaussian import LOG_2PI
from ptheta.distributions.incomplete import Law
from ptheta.specs import DataSpec, ImageSpec

FEW = 1e-8  # of an example: a component that has less of all of them keeps what it is


class Kept(NamedTuple):
    """mean (K, D); spread: what a kind keeps beside it, (K, ...); both `wide`"""

    mean: Tensor
    spread: Tensor


class Sums(NamedTuple):
    """Of the examples in proportion to how far they are of each component. weight: (K,); first: of
    E v - mean, (K, D); second: of what a kind needs beside, (K, ...)"""

    weight: Tensor
    first: Tensor
    second: Tensor

    def plus(self, other: Sums) -> Sums:
        return Sums(*(a + b for a, b in zip(self, other, strict=True)))


class Overall(NamedTuple):
    """mean and variance of each number over all examples, (D,) each"""

    mean: Tensor
    variance: Tensor


class Component(Choice, Protocol):
    """A kind of component."""

    @property
    def exact(self) -> bool:
        """Whether it has the probabilities of levels, and no density of dequantised ones."""
        ...

    def odd(self, spec: DataSpec) -> str | None:
        """Why such examples have no such components: the end of a sentence, or None."""
        ...

    def shape(self, dims: int) -> tuple[int, ...]:
        """Of `spread`, for each component."""
        ...

    def start(self, means: Tensor, variances: Tensor) -> Kept:
        """Around centres (K, D), all of the same variances (D,)."""
        ...

    def packed(self, spread: Tensor) -> Tensor:
        """`spread` as it is stored, in float32, and `unpacked` back."""
        ...

    def unpacked(self, stored: Tensor) -> Tensor: ...

    def log_each(self, kept: Kept, v: Tensor, noise: Tensor | None = None) -> Tensor:
        """log p_k of what is there of each row: (B, K) nats. noise: None for log p_k(v) itself"""
        ...

    def sums(self, kept: Kept, v: Tensor, share: Tensor, noise: Tensor) -> Sums:
        """The E-step. share: of each row that is of each component, (B, K)"""
        ...

    def maximised(self, kept: Kept, sums: Sums, overall: Overall, prior: float) -> Kept:
        """The M-step. overall: what `prior` examples of each component are thought to have: its own
        mean and these variances, or (levels) this mean"""
        ...

    def log_prior(self, kept: Kept, overall: Overall) -> Tensor:
        """What one such example of each component adds to the objective: () nats."""
        ...

    def drawn(self, kept: Kept, k: Tensor, v: Tensor | None = None) -> Tensor:
        """Numbers of components k, int64 (n,), drawn: (n, D); given what is there of v."""
        ...

    def expected(self, kept: Kept, v: Tensor, share: Tensor) -> Tensor:
        """What is missing of v by its mean under the components, in proportion to `share`: (B,
        D)"""
        ...


def _there(v: Tensor) -> tuple[Tensor, Tensor]:
    """1 where a number is there, else 0; the numbers, 0 where one is missing: (B, D) each"""
    gone = v.isnan()
    return (~gone).to(v), v.masked_fill(gone, 0.0)


def _replaced(old: Tensor, new: Tensor, count: Tensor) -> Tensor:
    """What is new of the components that have examples, and the old of the others."""
    has = (count > FEW).view(-1, *[1] * (old.ndim - 1))
    return torch.where(has, new, old)


def _mean(kept: Kept, sums: Sums) -> tuple[Tensor, Tensor]:
    """The new means, and how far they are from the old ones: (K, D) each"""
    apart = sums.first / sums.weight.clamp_min(FEW)[:, None]
    return kept.mean + apart, apart


@dataclass(frozen=True, kw_only=True)
class _Stored(Entry):
    """What is stored as it is."""

    def packed(self, spread: Tensor) -> Tensor:
        return spread

    def unpacked(self, stored: Tensor) -> Tensor:
        return stored


@dataclass(frozen=True, kw_only=True)
class _Gaussian(_Stored):
    """What all Gaussian components have in common."""

    exact: bool = False

    def odd(self, spec: DataSpec) -> str | None:
        return None


@dataclass(frozen=True, kw_only=True)
class Diagonal(_Gaussian):
    """N(mean, diag(spread))."""

    def shape(self, dims: int) -> tuple[int, ...]:
        return (dims,)

    def start(self, means: Tensor, variances: Tensor) -> Kept:
        return Kept(means, variances.expand_as(means).clone())

    def log_each(self, kept: Kept, v: Tensor, noise: Tensor | None = None) -> Tensor:
        there, u = _there(v)
        per = kept.spread.reciprocal()
        each = (kept.mean.square() + (0.0 if noise is None else noise)) * per + kept.spread.log()
        square = (there * u.square()) @ per.T - 2 * u @ (kept.mean * per).T
        return -0.5 * (square + there @ (each + LOG_2PI).T)

    def log_prior(self, kept: Kept, overall: Overall) -> Tensor:
        each = kept.spread.log() + overall.variance / kept.spread + LOG_2PI
        return -0.5 * each.sum()

    def sums(self, kept: Kept, v: Tensor, share: Tensor, noise: Tensor) -> Sums:
        there, u = _there(v)
        seen = share.T @ there  # (K, D): how many of each are there
        first = share.T @ u - seen * kept.mean
        square = share.T @ u.square() - 2 * kept.mean * (share.T @ u) + seen * kept.mean.square()
        count = share.sum(0)
        lost = (count[:, None] - seen) * kept.spread
        return Sums(count, first, square + seen * noise + lost)

    def maximised(self, kept: Kept, sums: Sums, overall: Overall, prior: float) -> Kept:
        mean, apart = _mean(kept, sums)
        count = sums.weight[:, None]
        total = sums.second - count * apart.square() + prior * overall.variance
        spread = total / (count + prior).clamp_min(FEW)
        return Kept(
            *(_replaced(*pair, sums.weight) for pair in zip(kept, (mean, spread), strict=True))
        )

    def drawn(self, kept: Kept, k: Tensor, v: Tensor | None = None) -> Tensor:
        noise = streams.normal(len(k), kept.mean.shape[1], device=k.device).to(kept.mean)
        found = kept.mean[k] + kept.spread[k].sqrt() * noise
        return found if v is None else torch.where(v.isnan(), found, v)

    def expected(self, kept: Kept, v: Tensor, share: Tensor) -> Tensor:
        return torch.where(v.isnan(), share @ kept.mean, v)


@dataclass(frozen=True, kw_only=True)
class Full(_Gaussian):
    """N(mean, spread), spread (D, D), stored by Cholesky's factor, which has the precision."""

    def packed(self, spread: Tensor) -> Tensor:
        found: Tensor = torch.linalg.cholesky(spread)
        return found

    def unpacked(self, stored: Tensor) -> Tensor:
        return stored @ stored.mT

    def shape(self, dims: int) -> tuple[int, ...]:
        return (dims, dims)

    def start(self, means: Tensor, variances: Tensor) -> Kept:
        return Kept(means, variances.diag().repeat(len(means), 1, 1))

    def log_each(self, kept: Kept, v: Tensor, noise: Tensor | None = None) -> Tensor:
        gaps = bool(v.isnan().any())
        laws = (Law(*law) for law in zip(*kept, strict=True))
        if gaps:
            return torch.stack([incomplete.log_prob(law, v, noise) for law in laws], 1)
        return torch.stack([_log_normal(law, v, noise) for law in laws], 1)

    def log_prior(self, kept: Kept, overall: Overall) -> Tensor:
        laws = (Law(*law) for law in zip(*kept, strict=True))
        each = [_log_normal(law, law.mean[None], overall.variance) for law in laws]
        return torch.cat(each).sum()

    def sums(self, kept: Kept, v: Tensor, share: Tensor, noise: Tensor) -> Sums:
        gaps, found = bool(v.isnan().any()), []
        for k in range(len(kept.mean)):
            law, weight = Law(kept.mean[k], kept.spread[k]), share[:, k]
            if gaps:
                e = incomplete.statistics(law, v, noise, weight)
                found.append((e.first, e.second))
                continue
            apart = v - law.mean
            shared = weight[:, None] * apart
            found.append((shared.sum(0), apart.T @ shared + (weight.sum() * noise).diag()))
        first, second = zip(*found, strict=True)
        return Sums(share.sum(0), torch.stack(first), torch.stack(second))

    def maximised(self, kept: Kept, sums: Sums, overall: Overall, prior: float) -> Kept:
        mean, apart = _mean(kept, sums)
        count = sums.weight[:, None, None]
        total = sums.second - count * apart[:, :, None] * apart[:, None, :]
        spread = (total + prior * overall.variance.diag()) / (count + prior).clamp_min(FEW)
        return Kept(
            *(_replaced(*pair, sums.weight) for pair in zip(kept, (mean, spread), strict=True))
        )

    def drawn(self, kept: Kept, k: Tensor, v: Tensor | None = None) -> Tensor:
        noise = streams.normal(len(k), kept.mean.shape[1], device=k.device).to(kept.mean)
        found = torch.empty_like(noise)
        for one in k.unique().tolist():
            rows = (k == one).nonzero()[:, 0]
            law = Law(kept.mean[one], kept.spread[one])
            free = law.mean + noise[rows] @ torch.linalg.cholesky(law.covariance).T
            found[rows] = free if v is None else incomplete.drawn(law, v[rows], free)
        return found

    def expected(self, kept: Kept, v: Tensor, share: Tensor) -> Tensor:
        laws = (Law(*law) for law in zip(*kept, strict=True))
        each = (share[:, k, None] * incomplete.expected(law, v) for k, law in enumerate(laws))
        total = torch.zeros_like(v)
        for part in each:
            total += part
        return torch.where(v.isnan(), total, v)


def _log_normal(law: Law, v: Tensor, noise: Tensor | None) -> Tensor:
    """E_e log N(v + e; law) of whole rows (B, D): (B,)."""
    factor: Tensor = torch.linalg.cholesky(law.covariance)
    unit = torch.linalg.solve_triangular(factor, (v - law.mean).T, upper=False)
    each = len(law.mean) * LOG_2PI + 2 * factor.diagonal().log().sum()
    if noise is not None:
        each = each + (torch.cholesky_inverse(factor).diagonal() * noise).sum()
    found: Tensor = -0.5 * (unit.square().sum(0) + each)
    return found


@dataclass(frozen=True, kw_only=True)
class Bernoulli(_Stored):
    """Independent pixels of two levels, whose probabilities of the upper one are the mean, less
    1/2: level k has the number k + 1/2 (`ptheta.models.numbers`)."""

    exact: bool = True

    def odd(self, spec: DataSpec) -> str | None:
        if isinstance(spec, ImageSpec) and spec.levels == 2:
            return None
        return f"needs pixels of 2 levels, not {spec}: give --levels 2, or choose another"

    def shape(self, dims: int) -> tuple[int, ...]:
        return (0,)

    def start(self, means: Tensor, variances: Tensor) -> Kept:
        """Half way between the centres and 1/2, so that no level is ruled out."""
        return Kept(0.5 * means + 0.5, means.new_zeros(len(means), 0))

    def log_each(self, kept: Kept, v: Tensor, noise: Tensor | None = None) -> Tensor:
        there, u = _there(v)
        p, x = _probabilities(kept), u - 0.5 * there
        return x @ (p.log() - (-p).log1p()).T + there @ (-p).log1p().T

    def sums(self, kept: Kept, v: Tensor, share: Tensor, noise: Tensor) -> Sums:
        there, u = _there(v)
        first = share.T @ u - (share.T @ there) * kept.mean
        return Sums(share.sum(0), first, kept.spread)

    def maximised(self, kept: Kept, sums: Sums, overall: Overall, prior: float) -> Kept:
        count = sums.weight[:, None]
        total = sums.first + count * kept.mean + prior * overall.mean
        mean = total / (count + prior).clamp_min(FEW)
        return Kept(_replaced(kept.mean, mean, sums.weight + prior), kept.spread)

    def log_prior(self, kept: Kept, overall: Overall) -> Tensor:
        return self.log_each(kept, overall.mean[None]).sum()

    def drawn(self, kept: Kept, k: Tensor, v: Tensor | None = None) -> Tensor:
        p = _probabilities(kept)[k]
        u = streams.uniform(*p.shape, device=k.device).to(p)
        found = (u < p).to(p) + 0.5
        return found if v is None else torch.where(v.isnan(), found, v)

    def expected(self, kept: Kept, v: Tensor, share: Tensor) -> Tensor:
        return torch.where(v.isnan(), share @ kept.mean, v)


SURE = 1e-9  # a probability is not nearer to 0 or 1


def _probabilities(kept: Kept) -> Tensor:
    return (kept.mean - 0.5).clamp(SURE, 1 - SURE)


COMPONENTS: dict[str, Component] = {
    "full": Full(about="Gaussians with full covariance"),
    "diagonal": Diagonal(about="Gaussians with diagonal covariance"),
    "bernoulli": Bernoulli(about="independent binary pixels, with exact log p"),
}
