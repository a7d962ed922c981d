"""A mixture of Gaussians, or of Bernoulli distributions, fitted by expectation maximisation
(Dempster, Laird & Rubin 1977).

    p(v) = sum_k w_k p_k(v)

A pass over the data is a step. It finds the share r_ik of example i that is of component k, in
proportion to w_k p_k(v_i), and then the weights and components that explain the examples best in
these proportions. No pass lowers the objective, which is the log-likelihood of the training
examples with the priors below. Gaussian components see dequantised examples
(`ptheta.models.numbers`), and what they maximise of v + e, whose noise e is not drawn, is

    sum_i log sum_k w_k exp E_e log p_k(v_i + e)

a bound of the bound E log p(v + e), since log sum exp is convex. A ridge is more of such noise: it
keeps every variance above it, so that no component narrows down to one example. Bernoulli
components of images of 2 levels have an exact log p.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Annotated

import torch
from torch import Tensor, nn

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import AtLeastZero, Count, OneOf, Parts, option
from ptheta.models.base import LastPass, Model, as_learned, refuse_missing
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.mixtures.components import COMPONENTS, Kept, Overall, Sums
from ptheta.models.mixtures.covariance import wide
from ptheta.models.mixtures.seeding import EACH, MOST, seeded, some
from ptheta.models.numbers import numbers_of
from ptheta.models.recipes import Recipes
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, filled, full

LOWEST = -1e9  # nats: below any likelihood that a first pass is held against


@dataclass(frozen=True)
class MixtureConfig:
    component: Annotated[str, OneOf(COMPONENTS)] = option(
        "full", "type of the components", basic=True
    )
    components: Count = option(10, "number of components K", basic=True)
    ridge: AtLeastZero = option(
        0.0,
        "value added to every variance (full, diagonal): levels squared, for tables standard "
        "deviations squared; dequantisation always adds 1/12 of the squared bin width",
    )
    prior: AtLeastZero = option(
        1.0,
        "pseudo-examples per component, for its weight and for its covariance (full, diagonal: "
        "with the covariance of all examples) or its pixels (bernoulli: with the mean of all "
        "examples)",
        basic=True,
    )
    restarts: Parts = option(3, "random starts; the one with the closest centres is kept")
    tolerance: AtLeastZero = option(1e-4, "stop EM when a pass gains less than this, nats/example")

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        kind = COMPONENTS[self.component]
        odd = kind.odd(spec)
        if odd is not None:
            return f"component = {self.component} {odd}"
        if kind.exact and self.ridge:
            return f"ridge = {self.ridge} is added to variances: leave it out with {self.component}"
        return None


class Mixture(Model):
    """log_weight: (K,); mean: (K, D); spread: what a kind keeps beside them, as it is stored.

    middle, about: mean and variance of all examples; begun: whether it has found where to start;
    before: the objective before the last pass
    """

    specs = (ImageSpec, VectorSpec)
    takes_missing = True
    before: Tensor
    middle: Tensor
    about: Tensor
    begun: Tensor

    def __init__(
        self, spec: DataSpec, config: MixtureConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config, self.kind = config, COMPONENTS[config.component]
        self.numbers = numbers = numbers_of(spec)
        k, dims = config.components, numbers.dims
        apart = streams.normal(k, dims).double() * 0.25
        if self.kind.exact:
            apart = apart.clamp(-0.4, 0.4)
        middle = 1.0 if self.kind.exact else numbers.middle
        variances = torch.full((dims,), float(numbers.spread) ** 2).double()
        kept = self.kind.start(
            middle + apart * (1.0 if self.kind.exact else numbers.spread), variances
        )
        self.log_weight = _fixed(torch.full((k,), -math.log(k)))
        self.mean = _fixed(kept.mean)
        self.spread = _fixed(self.kind.packed(kept.spread))
        self.register_buffer("middle", torch.full((dims,), float(middle)))
        self.register_buffer("about", full(variances))
        self.register_buffer("before", torch.tensor(LOWEST, dtype=torch.float64))
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))

    def kept(self) -> Kept:
        return Kept(wide(self.mean), self.kind.unpacked(wide(self.spread)))

    def overall(self) -> Overall:
        return Overall(wide(self.middle), wide(self.about))

    # -- learning

    def fit(self, batches: Iterable[Batch]) -> Iterator[dict[str, float]]:
        """EM. Gives after each pass -(the objective before it), with that of the priors, nats for
        each example, and how many components the examples are shared by: exp of the entropy of the
        weights."""
        if not self.begun:
            if not self._seed(batches):
                return
            self.begun.fill_(True)
        while True:
            found = self._pass(batches)
            gain = found - self.before.item()
            self.before.fill_(found)
            weight = wide(self.log_weight).exp()
            entropy = -(weight * weight.clamp_min(1e-30).log()).sum()
            metrics = {"negative_objective": -found, "used": entropy.exp().item()}
            if gain < self.config.tolerance:
                yield LastPass(metrics)
                return
            yield metrics

    def _seed(self, batches: Iterable[Batch]) -> bool:
        """Where EM starts, by some of the examples; False where there are none."""
        c = self.config
        parts = (self._filled(self.numbers.of(self.spec.check(batch.x))) for batch in batches)
        first = next(parts, None)
        if first is None:
            return False
        with streams.alone():
            rows = some(chain([first], parts), max(MOST, EACH * c.components))
            start = seeded(rows, c.components, c.restarts)
        n, more = len(rows), self._noise()
        self.middle.copy_((rows.sum(0) + self.numbers.middle) / (n + 1))
        self.about.copy_(rows.var(0, correction=0) + more)
        kept = self.kind.start(start.centres, start.variances + more)
        self._keep((start.share * n + 1) / (n + c.components), kept)
        return True

    def _filled(self, v: Tensor) -> Tensor:
        """Numbers with the middle in the place of what is missing."""
        return filled(v - self.numbers.middle) + self.numbers.middle

    def _noise(self) -> Tensor:
        """Variances of what is added to each number."""
        return wide(self.numbers.variance(self.config.ridge)).to(self.mean.device)

    def _pass(self, batches: Iterable[Batch]) -> float:
        """One step of EM; the objective before it, for each example."""
        kept, noise, overall = self.kept(), self._noise(), self.overall()
        log_weight, total, value, n = wide(self.log_weight), None, 0.0, 0
        for batch in batches:
            v = self.numbers.of(self.spec.check(batch.x))
            each = log_weight + self.kind.log_each(kept, v, noise)
            log_p = each.logsumexp(1)
            value += (log_p - self.numbers.log_unit(v)).sum().item()
            n += len(v)
            found = self.kind.sums(kept, v, (each - log_p[:, None]).exp(), noise)
            total = found if total is None else total.plus(found)
        assert total is not None
        prior = self.config.prior
        value += prior * (log_weight.sum() + self.kind.log_prior(kept, overall)).item()
        self._maximise(kept, total, n)
        return value / n

    def _maximise(self, kept: Kept, total: Sums, n: int) -> None:
        c = self.config
        share = (total.weight + c.prior) / (n + c.prior * c.components)
        self._keep(share, self.kind.maximised(kept, total, self.overall(), c.prior))

    def _keep(self, share: Tensor, kept: Kept) -> None:
        self.log_weight.copy_(share.clamp_min(1e-30).log())
        self.mean.copy_(kept.mean)
        self.spread.copy_(self.kind.packed(kept.spread))

    # -- the density

    def joint(self, v: Tensor) -> Tensor:
        """log w_k p_k of numbers, of which those that are NaN are left out: (B, K) nats,
        float64."""
        return wide(self.log_weight) + self.kind.log_each(self.kept(), wide(v))

    def log_density(self, v: Tensor) -> Tensor:
        """log p of what is there of numbers (B, D): (B,) nats, float64."""
        return self.joint(v).logsumexp(1)

    def shares(self, x: Tensor) -> Tensor:
        """p(k | x) of the middle of each bin: (B, K)"""
        return self.joint(self.numbers.of(as_learned(self.spec, x))).softmax(1)

    def exact(self) -> bool:
        return self.kind.exact or self.numbers.exact

    def elbo(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.importance_bound(x, 1)

    def bound_terms(self, x: Tensor, condition: Condition | None = None) -> dict[str, Tensor]:
        return {"negative_log_density": -self.elbo(x)}

    def importance_bound(self, x: Tensor, k: int, condition: Condition | None = None) -> Tensor:
        x = as_learned(self.spec, x)
        if self.exact():
            k = 1
        drawn = (self.numbers.of(x) if self.kind.exact else self.numbers.drawn(x) for _ in range(k))
        each = torch.stack([self.log_density(v) - self.numbers.log_unit(v) for v in drawn])
        return (each.logsumexp(0) - math.log(k)).to(full(self.mean).dtype)

    # -- uses

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        k = streams.categorical(self.log_weight.expand(n, -1))
        return self.numbers.examples(self.kind.drawn(self.kept(), k))

    def cluster(self, x: Tensor) -> Tensor:
        return self.shares(x).argmax(1)

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """p(k | x): (B, K)"""
        return self.shares(x).to(full(self.mean).dtype)

    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """Sample the unknown elements given the known ones: first a component, then the rest given
        the component. Exact for levels and real numbers; dequantised values are conditioned on the
        middle of their bins. More candidates have no effect."""

        def fill(v: Tensor) -> Tensor:
            return self.kind.drawn(self.kept(), streams.categorical(self.joint(v)), v)

        return self._completed(x, known, fill)

    def conditional_mean(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        def fill(v: Tensor) -> Tensor:
            return self.kind.expected(self.kept(), v, self.joint(v).softmax(1))

        return self._completed(x, known, fill)

    def _completed(self, x: Tensor, known: Tensor, fill: Callable[[Tensor], Tensor]) -> Tensor:
        known = known.expand(x.shape)
        refuse_missing(self.spec, x[known])
        v = self.numbers.of(self.spec.check(x))
        v = v.masked_fill(~self.numbers.elements(known), torch.nan)
        return torch.where(known, x, self.numbers.examples(fill(v)).to(x))

    def graph(self) -> Graph:
        c = self.config
        return Graph(
            (
                Variable("k", "latent", f"one of {c.components} components"),
                Variable("x", "observed", f"{self.spec.one}: {c.component} components"),
            ),
            (Arrow("k", "x", law="p_k(x)"), Arrow("x", "k", "inference", "p(k | x)")),
        )


def _fixed(x: Tensor) -> nn.Parameter:
    """The quantities learned without gradients."""
    return nn.Parameter(x.to(torch.get_default_dtype()), requires_grad=False)


_FIT = {"batch_size": 512, "epochs": 200.0, "log_every": 1}

RECIPES: Recipes = {
    "default": {
        "about": "10 Gaussians with full covariance; slow for images of many pixels",
        "model": {},
        "train": _FIT,
    },
    "bernoulli": {
        "about": "100 components of independent pixels, for binary images: exact log p",
        "model": {"component": "bernoulli", "components": 100},
        "train": _FIT,
        "data": {"levels": 2},
    },
    "diagonal": {
        "about": "100 Gaussians of independent pixels, with a ridge for constant pixels",
        "model": {"component": "diagonal", "components": 100, "ridge": 1.0},
        "train": _FIT,
        "data": {"levels": 16},
    },
    "points": {
        "about": "16 Gaussians with full covariance: points in seconds on one core",
        "model": {"components": 16, "restarts": 10, "prior": 0.0},
        "train": _FIT,
    },
}
