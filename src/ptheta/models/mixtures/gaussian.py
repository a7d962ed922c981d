"""A Gaussian of all numbers of an example, by maximum likelihood: right to second order.

It sees dequantised examples (`ptheta.models.numbers`). The noise is not drawn in fitting:
its share of every variance is known (Sheppard 1898). Of examples that lack nothing the fit is one
pass, in closed form; of incomplete rows it is expectation maximisation (Dempster, Laird & Rubin
1977), of which each pass does not lower the likelihood of what is observed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import AtLeastZero, OneOf, option
from ptheta.corruption import NOISES, noise_of
from ptheta.distributions import incomplete
from ptheta.distributions.gaussian import LOG_2PI
from ptheta.distributions.incomplete import Law
from ptheta.errors import PthetaError
from ptheta.models.base import LastPass, Model, as_learned, refuse_missing
from ptheta.models.graph import Graph, Variable
from ptheta.models.mixtures.covariance import COVARIANCES, moments, wide
from ptheta.models.mixtures.damage import estimate, seen
from ptheta.models.numbers import numbers_of
from ptheta.models.recipes import Recipes
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, from_unit, full, images_only

LOWEST = -1e9  # nats: below any likelihood that a first pass is held against


@dataclass(frozen=True)
class GaussianConfig:
    covariance: Annotated[str, OneOf(COVARIANCES)] = option(
        "full", "structure of the covariance", basic=True
    )
    ridge: AtLeastZero = option(
        0.0,
        "value added to every variance: levels squared, for tables standard deviations squared; "
        "dequantisation always adds 1/12 of the squared bin width",
    )
    tolerance: AtLeastZero = option(
        1e-4, "stop EM (incomplete rows) when a pass gains less than this, nats/row"
    )


class Gaussian(Model):
    """p(v) = N(mean, F F^T) of dequantised examples v. What is drawn is rounded to the bin that it
    lies in; a density of real numbers gives levels, whole numbers and words a bound on their
    probability."""

    specs = (ImageSpec, VectorSpec)
    takes_missing = True
    before: Tensor

    def __init__(
        self, spec: DataSpec, config: GaussianConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        self.kind = COVARIANCES[config.covariance]
        self.numbers = numbers = numbers_of(spec)
        mean = torch.full((numbers.dims,), float(numbers.middle))
        factor = self.kind.identity(numbers.dims) * numbers.spread
        self.mean = nn.Parameter(mean, requires_grad=False)
        self.factor = nn.Parameter(factor, requires_grad=False)
        if spec.missing:  # EM goes on from what its last pass reached
            self.register_buffer("before", torch.tensor(LOWEST, dtype=torch.float64))

    # -- learning

    def fit(self, batches: Iterable[Batch]) -> Iterator[dict[str, float]]:
        """One pass, or EM. Gives -ELBO of the training examples, nats each: after the pass; of EM
        before it, with that of the ridge."""
        return self._maximised(batches) if self.spec.missing else self._closed(batches)

    def _closed(self, batches: Iterable[Batch]) -> Iterator[dict[str, float]]:
        unit = torch.zeros((), dtype=torch.float64)
        numbers = self.numbers

        def seen() -> Iterator[Tensor]:
            nonlocal unit
            for batch in batches:
                v = numbers.of(self.spec.check(batch.x))
                unit = unit + numbers.log_unit(v).sum().cpu()
                yield numbers.centred(v)

        found, more = moments(seen(), self.kind), numbers.variance(self.config.ridge)
        factor = self.kind.factor(found.covariance + self._kept(more.to(found.covariance)))
        self.mean.copy_(found.mean)
        self.factor.copy_(factor)
        negative = -(self._of_training(factor) - unit.item() / found.n)
        yield LastPass(negative_elbo=negative)

    def _of_training(self, factor: Tensor) -> float:
        """The mean of log p(v) over the training examples, of whose covariance C was made:
        E |F^-1 (v - mean)|^2 = tr(C^-1 (C - R)) = D - tr(C^-1 R), R the ridge."""
        dims, ridge = self.numbers.dims, self.config.ridge
        distance = dims - ridge * self.kind.inverse_trace(factor, dims)
        density = -0.5 * (dims * LOG_2PI + distance) - self.kind.log_det(factor, dims)
        return density.item()

    def _maximised(self, batches: Iterable[Batch]) -> Iterator[dict[str, float]]:
        more = wide(self.numbers.variance(self.config.ridge)).to(self.mean.device)
        while True:
            law, total, unit = self.law(), None, 0.0
            for batch in batches:
                v = self.numbers.of(self.spec.check(batch.x))
                unit += self.numbers.log_unit(v).sum().item()
                found = incomplete.statistics(law, v, more)
                total = found if total is None else total.plus(found)
            if total is None:
                return
            mean, covariance = total.law(law)
            self.mean.copy_(mean)
            self.factor.copy_(self.kind.factor(self._kept_of(covariance)))
            now = (total.objective - unit) / total.n
            gain = now - self.before.item()
            self.before.fill_(now)
            if gain < self.config.tolerance:
                yield LastPass(negative_elbo=-now)
                return
            yield {"negative_elbo": -now}

    def _kept(self, variances: Tensor) -> Tensor:
        """What is kept of a diagonal covariance (D,)."""
        return self.kind.scatter(variances.sqrt().diag())

    def _kept_of(self, covariance: Tensor) -> Tensor:
        """What is kept of a covariance (D, D), by the scatter of the rows of a root of it."""
        values, vectors = torch.linalg.eigh(covariance)
        return self.kind.scatter((vectors * values.clamp_min(0.0).sqrt()).T)

    # -- the density

    def law(self) -> Law:
        """Mean and the whole covariance."""
        eye = torch.eye(self.numbers.dims, dtype=wide(self.mean).dtype, device=self.mean.device)
        rows = self.kind.apply(wide(self.factor), eye)  # of F^T
        return Law(wide(self.mean), rows.T @ rows)

    def log_density(self, v: Tensor) -> Tensor:
        """log N(v; mean, F F^T) of numbers, of which those that are NaN are left out: (B, D) ->
        (B,) nats, float64."""
        v = wide(v)
        if bool(v.isnan().any()):
            return incomplete.log_prob(self.law(), v)
        factor, mean = wide(self.factor), wide(self.mean)
        unit = self.kind.solve(factor, v - mean)
        distance = 0.5 * (unit.square() + LOG_2PI).sum(1)
        return -distance - self.kind.log_det(factor, self.numbers.dims)

    def exact(self) -> bool:
        return self.numbers.exact

    def elbo(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.importance_bound(x, 1)

    def bound_terms(self, x: Tensor, condition: Condition | None = None) -> dict[str, Tensor]:
        return {"negative_log_density": -self.elbo(x)}

    def importance_bound(self, x: Tensor, k: int, condition: Condition | None = None) -> Tensor:
        x = as_learned(self.spec, x)
        drawn = (self.numbers.drawn(x) for _ in range(k))
        each = torch.stack([self.log_density(v) - self.numbers.log_unit(v) for v in drawn])
        return (each.logsumexp(0) - math.log(k)).to(full(self.mean).dtype)

    # -- uses

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.numbers.examples(self._drawn(n))

    def _drawn(self, n: int) -> Tensor:
        noise = wide(streams.normal(n, self.numbers.dims, device=self.mean.device))
        return wide(self.mean) + self.kind.apply(wide(self.factor), noise)

    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """Draws the unknown elements given the known ones: of real numbers exactly, whatever the
        pattern; of what has a bin, given its middle. One candidate is as good as many."""
        return self._completed(
            x, known, lambda v: incomplete.drawn(self.law(), v, self._drawn(len(v)))
        )

    def conditional_mean(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        return self._completed(x, known, lambda v: incomplete.expected(self.law(), v))

    def _completed(self, x: Tensor, known: Tensor, fill: Callable[[Tensor], Tensor]) -> Tensor:
        known = known.expand(x.shape)
        refuse_missing(self.spec, x[known])
        v = self.numbers.of(self.spec.check(x))
        v = v.masked_fill(~self.numbers.elements(known), torch.nan)
        return torch.where(known, x, self.numbers.examples(fill(v)).to(x))

    def denoise(
        self, x: Tensor, noise: str, level: float, condition: Condition | None = None
    ) -> Tensor:
        """The best linear estimate; under Gaussian noise that clips nothing the posterior mean."""
        spec, kind = images_only(self.spec, "denoising"), noise_of(noise, level)
        if kind.moments is None:
            raise PthetaError(
                f"noise = {noise}: a Gaussian needs its moments to denoise, which are unknown: "
                "give `moments` with it, or use "
                f"{' or '.join(n for n in NOISES if NOISES[n].moments)}"
            )
        if not level:
            return spec.check(x).clone()
        steps, law, moments = spec.levels - 1, self.law(), kind.moments
        unit = Law((law.mean - 0.5) / steps, law.covariance / steps**2)  # white - black = 1
        found = seen(unit.mean, unit.covariance.diagonal(), lambda u: moments(u, level))
        y = wide(spec.check(x)).flatten(1) / 255
        return from_unit(estimate(unit, y, found)).view_as(x)

    def graph(self) -> Graph:
        law = f"{self.spec.one}: one Gaussian, {self.config.covariance} covariance"
        return Graph((Variable("x", "observed", law),), ())


RECIPES: Recipes = {
    "default": {
        "about": "mean and full covariance in one pass over the data; by EM for incomplete rows",
        "model": {},
        "train": {"batch_size": 512, "epochs": 500.0, "log_every": 1},
    },
    "ridge": {
        "about": "full covariance with a ridge, for pixels that are constant in most images",
        "model": {"ridge": 1.0},
        "train": {"batch_size": 512, "epochs": 500.0, "log_every": 1},
    },
    "table": {
        "about": "full covariance with a ridge, for tables with few rows or nearly collinear "
        "columns",
        "model": {"ridge": 1e-2},
        "train": {"batch_size": 512, "epochs": 500.0, "log_every": 1},
    },
    "points": {
        "about": "points of known density, such as points-moons: what mean and covariance capture",
        "model": {},
        "train": {"batch_size": 512, "epochs": 500.0, "log_every": 1},
    },
    "independent": {
        "about": "mean and variance of every dimension",
        "model": {"covariance": "diagonal"},
        "train": {"batch_size": 512, "epochs": 500.0, "log_every": 1},
    },
}
