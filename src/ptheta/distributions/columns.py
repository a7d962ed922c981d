"""Distributions of the columns of a vector: densities of real numbers, probabilities of whole
numbers and of words.

Internally, a number x is s = (x - center) / scale, in network scale. Results are in the units of
the data: log p(x) = log p(s) - log scale for a real number. Sums are computed in float64, since the
mass of a bin is a difference of nearly equal numbers.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ptheta.compute import streams
from ptheta.distributions.base import ElementDistribution
from ptheta.distributions.kernels import Kernel, log_mass
from ptheta.specs import Column, DataSpec, VectorSpec

FAR = 1e4  # standard deviations: where a column without bounds is taken to end


def exact(device: torch.device) -> torch.dtype:
    """float64, where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


@dataclass(frozen=True, eq=False)
class Scaling:
    """Properties of n numeric columns, (n,) each: see `ptheta.specs.Column`."""

    center: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, columns: Sequence[Column]) -> Scaling:
        rows = [(c.center, c.scale, c.low, c.high) for c in columns]
        return cls(*torch.tensor(rows, dtype=torch.float64).unbind(1))

    def to(self, device: torch.device) -> Scaling:
        kind = exact(device)
        return Scaling(*(t.to(device, kind) for t in vars(self).values()))

    @property
    def constant(self) -> Tensor:
        """Which columns have but one value: bool (n,)."""
        return self.low == self.high

    def standard(self, x: Tensor) -> Tensor:
        """(B, n) in the units of the data -> s"""
        return (x.to(self.scale.dtype) - self.center) / self.scale

    def units(self, s: Tensor) -> Tensor:
        """The inverse."""
        return s * self.scale + self.center

    def within(self, x: Tensor) -> Tensor:
        """Numbers (B, n) as cells within the bounds, float32."""
        return x.float().clamp(self.low.float(), self.high.float())


class Parameters(NamedTuple):
    """Parameters of mixtures of M components for n columns: (B, n, M) each; weights are logits."""

    weights: Tensor
    loc: Tensor
    log_scale: Tensor

    def exactly(self) -> Parameters:
        return Parameters(*(t.to(exact(t.device)) for t in self))


class Picked(NamedTuple):
    """A component of each mixture, (B, n) each; rest: the noise that is left, in (0, 1)."""

    rest: Tensor
    loc: Tensor
    scale: Tensor


class Cells(ElementDistribution):
    """Of n columns: (B, n)."""

    @abstractmethod
    def scaled_means(self) -> list[Tensor]:
        """The mean of each column in network scale: (B, its width)."""


class Numbers(Cells):
    """Mixtures of M of one kernel, for columns of numbers.

    scaling: of the n columns, on the device of the parameters
    """

    def __init__(self, parameters: Parameters, scaling: Scaling, kernel: Kernel) -> None:
        self.parameters, self.scaling, self.kernel = parameters.exactly(), scaling, kernel

    @property
    def shape(self) -> torch.Size:
        return self.parameters.loc.shape[:2]

    @property
    def device(self) -> torch.device:
        return self.parameters.loc.device

    def mean(self) -> Tensor:
        """The mixture of the locations, (B, n), in the units of the data."""
        weights, loc, _ = self.parameters
        return self.scaling.units((weights.softmax(2) * loc).sum(2))

    def scaled_means(self) -> list[Tensor]:
        return list(self.scaling.standard(self.scaling.within(self.mean())).split(1, 1))

    def picked(self, u: Tensor) -> Picked:
        """The component chosen by the noise u (B, n). One uniform number is used twice: its
        remainder is uniform again."""
        weights, loc, log_scale = self.parameters
        probabilities = weights.softmax(2)
        cumulative, u = probabilities.cumsum(2), u.to(loc.dtype)[..., None]
        last = cumulative.shape[2] - 1
        pick = (cumulative <= u).sum(2, keepdim=True).clamp_(max=last)
        width = probabilities.gather(2, pick)
        rest = (u - (cumulative.gather(2, pick) - width)) / width
        tiny = torch.finfo(loc.dtype).eps
        scale = log_scale.gather(2, pick).exp()
        rest = rest.clamp(tiny, 1 - tiny)
        return Picked(rest.squeeze(2), loc.gather(2, pick).squeeze(2), scale.squeeze(2))


class Reals(Numbers):
    """Densities over all real numbers, in the units of the data.

    Samples are clipped to the bounds of a column, which are those of the training data; other data
    may exceed them. A constant column is not learned: it has log p = 0.
    """

    def log_prob(self, x: Tensor) -> Tensor:
        """(B, n) -> log-density of each cell, (B, n) nats."""
        weights, loc, log_scale = self.parameters
        s = self.scaling.standard(x)[..., None]
        each = self.kernel.log_density((s - loc) * (-log_scale).exp()) - log_scale
        log_p = (each + weights.log_softmax(2)).logsumexp(2) - self.scaling.scale.log()
        return log_p.masked_fill(self.scaling.constant, 0.0)

    def icdf(self, u: Tensor) -> Tensor:
        rest, loc, scale = self.picked(u)
        x = self.scaling.units(loc + scale * self.kernel.quantile(rest))
        return self.scaling.within(x)

    def mean_example(self) -> Tensor:
        return self.scaling.within(self.mean())


class Integers(Numbers):
    """Whole number k has the probability of its bin, k -+ 1/2; the bins of the bounds reach to
    infinity, so that those from `low` to `high` sum to one. A number beyond a bound is in its bin.
    """

    def log_prob(self, x: Tensor) -> Tensor:
        """(B, n) -> log-probability of each cell, (B, n) nats."""
        weights, loc, log_scale = self.parameters
        scaling, inverse = self.scaling, (-log_scale).exp()
        s, half = scaling.standard(x), 0.5 / scaling.scale
        below = torch.where(x <= scaling.low, -FAR, s - half)[..., None]
        above = torch.where(x >= scaling.high, FAR, s + half)[..., None]
        each = log_mass(self.kernel, (below - loc) * inverse, (above - loc) * inverse)
        return (each + weights.log_softmax(2)).logsumexp(2)

    def icdf(self, u: Tensor) -> Tensor:
        rest, loc, scale = self.picked(u)
        x = self.scaling.units(loc + scale * self.kernel.quantile(rest))
        return self.scaling.within(x.round())

    def mean_example(self) -> Tensor:
        """The whole number nearest to the mean."""
        return self.scaling.within(self.mean().round())


class Words(Cells):
    """Categories. logits (B, n, K): of n columns of K words each; cells are positions 0..K-1."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits

    @property
    def shape(self) -> torch.Size:
        return self.logits.shape[:2]

    @property
    def device(self) -> torch.device:
        return self.logits.device

    def log_prob(self, x: Tensor) -> Tensor:
        """(B, n) -> log-probability of each cell, (B, n) nats."""
        return self.logits.log_softmax(2).gather(2, x.long()[..., None]).squeeze(2)

    def tempered(self, temperature: float) -> Words:
        return Words(self.logits / temperature)

    def icdf(self, u: Tensor) -> Tensor:
        cumulative = self.logits.to(exact(self.device)).softmax(2).cumsum(2)
        word = (cumulative <= u.to(cumulative.dtype)[..., None]).sum(2)
        return self._told(word.clamp_(max=self.logits.shape[2] - 1))

    def scaled_means(self) -> list[Tensor]:
        return list(self.logits.softmax(2).unbind(1))

    def mean_example(self) -> Tensor:
        """The most likely word."""
        return self._told(self.logits.argmax(2))

    def _told(self, word: Tensor) -> Tensor:
        """Positions (B, n) as cells; NaN where a logit is, which speaks of no word."""
        return word.float().masked_fill(self.logits.isnan().any(2), math.nan)


class Columns(ElementDistribution):
    """Independent columns, in groups with a common distribution.

    parts: (indices int64 (n,), and the distribution of these n columns)
    filler: (D,), placeholder of missing cells during computation
    dtype: of log p
    """

    def __init__(
        self,
        parts: Sequence[tuple[Tensor, Cells]],
        filler: Tensor,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.parts, self.filler, self.dtype = parts, filler, dtype
        self.back = torch.cat([places for places, _ in parts]).argsort()

    @property
    def shape(self) -> torch.Size:
        return torch.Size((self.parts[0][1].shape[0], len(self.back)))

    @property
    def device(self) -> torch.device:
        return self.back.device

    def log_prob(self, x: Tensor) -> Tensor:
        """float32 (B, D) -> of each cell, (B, D) nats; 0 of a missing one, which makes the sum that
        of the others: given the parameters columns are independent."""
        missing = x.isnan()
        x = torch.where(missing, self.filler.to(x.dtype), x)
        each = [part.log_prob(x[:, places]) for places, part in self.parts]
        log_p = torch.cat([part.to(self.dtype) for part in each], 1)[:, self.back]
        return log_p.masked_fill(missing, 0.0)

    @torch.no_grad()
    def icdf(self, u: Tensor) -> Tensor:
        return torch.cat([part.icdf(u[:, places]) for places, part in self.parts], 1)[:, self.back]

    def mean_example(self) -> Tensor:
        return torch.cat([part.mean_example() for _, part in self.parts], 1)[:, self.back]

    def scaled_mean(self, spec: DataSpec) -> Tensor:
        each = [cells for _, part in self.parts for cells in part.scaled_means()]
        return torch.cat([each[i] for i in self.back.tolist()], 1).to(self.dtype)

    def sample(self) -> Tensor:
        """float32 (B, D), in the units, bounds and types of the columns."""
        return self.icdf(noise(self.shape[0], self.shape[1], self.device))


def noise(n: int, dims: int, device: torch.device) -> Tensor:
    """Uniform noise that determines n vectors, (n, D): fine enough for the tails of a density."""
    return streams.uniform(n, dims, device=device, dtype=exact(device))


def column_errors(spec: VectorSpec, out: Tensor, x: Tensor) -> Tensor:
    """(B, D): of a number the squared error, in its standard deviations; of a word the
    cross-entropy, nats.

    out: (B, width), numbers as a network sees them and logits of words; x: vectors (B, D)
    """
    errors = [
        cross_entropy(part, cells.long(), reduction="none")
        if column.values
        else (part - column.scaled(cells)).square().squeeze(1)
        for column, part, cells in zip(spec.columns, spec.split(out), x.unbind(1), strict=True)
    ]
    return torch.stack(errors, 1)
