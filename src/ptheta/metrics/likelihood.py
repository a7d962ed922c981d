"""Likelihood in nats and bits/dim: exact, a bound, or an estimate, which are never mixed; and the
terms of a bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import (
    HasBound,
    condition_of,
    conditional,
    device_of,
    exact_log_prob,
)
from ptheta.compute.parts import Found, each
from ptheta.compute.streams import seeded
from ptheta.conditions import word
from ptheta.data.dataset import Dataset
from ptheta.distributions.partition import LogPartition
from ptheta.errors import PthetaError
from ptheta.measures.intervals import Groups, mean_estimate
from ptheta.measures.results import Estimate
from ptheta.metrics.context import Context, together
from ptheta.tasks.conditions import with_conditions
from ptheta.tasks.log_p import LogP, log_p_of
from ptheta.terminal.progress import watched


@dataclass(frozen=True)
class Likelihood:
    """-log p per example.

    relation: "=" for exact, "<=" for an upper bound, "~" for an estimate
    density: whether p is a density, in the units of the data: -log p may then be negative
    partition: the estimate of log Z, whose error is shared by all examples
    bias: estimated mean error of a numerical solver in nats; None without a solver
    """

    nats: float
    error: float  # standard error of the mean over images
    relation: str
    how: str
    each: Tensor = field(repr=False, compare=False)  # by example, float64 (N,)
    density: bool = False
    partition: LogPartition | None = None
    bias: float | None = None

    @property
    def images(self) -> int:
        return len(self.each)

    @property
    def infinite(self) -> int:
        """Number of images with zero probability; nats is then infinite."""
        return int(self.each.isinf().sum())

    def bits(self, dims: int) -> tuple[float, float]:
        """(bits/dim, standard error) = nats / (D ln 2)."""
        return self.nats / (dims * math.log(2)), self.error / (dims * math.log(2))


def batches(
    model: nn.Module, data: Dataset, batch_size: int, what: str = "likelihood"
) -> Iterator[tuple[Tensor, Condition | None]]:
    """The images in order, with the conditions that the model needs, on its device.

    what: name of the work, for the progress bar
    """
    data = with_conditions(model, data)
    for start in watched(range(0, len(data), batch_size), what):
        yield _batch(model, data, start, batch_size)


def _batch(
    model: nn.Module, data: Dataset, start: int, size: int
) -> tuple[Tensor, Condition | None]:
    batch, device = data.batch(slice(start, min(start + size, len(data)))), device_of(model)
    condition = batch.condition if conditional(model) else None
    return batch.x.to(device), None if condition is None else condition.to(device)


def of_batches(
    compute: Callable[[Tensor, Condition | None], Found],
    model: nn.Module,
    data: Dataset,
    batch_size: int,
    seed: int,
    what: str,
) -> dict[str, Tensor]:
    """What is computed of each batch of `batches`, of all images, on the CPU. Each batch has its
    own random stream, and processes share them: see `ptheta.compute.parts`."""
    data = with_conditions(model, data)

    def of(number: int) -> Found:
        found = compute(*_batch(model, data, number * batch_size, batch_size))
        return {name: x.cpu() for name, x in found.items()}

    found = list(each(of, range(-(-len(data) // batch_size)), what, seed))
    return {name: torch.cat([part[name] for part in found]) for name in found[0]}


@torch.no_grad()
def likelihood(
    model: nn.Module,
    data: Dataset,
    *,
    is_k: int = 50,
    effort: float = 1.0,
    batch_size: int = 100,
    seed: int = 0,
) -> Likelihood | None:
    """The mean of -log p over the data, by the best likelihood of the model; None if it has none.

    is_k: importance samples of the bound (1: the ELBO); effort: settings of the estimate of log Z.
    With 2 levels the fixed binarisation of the data is used, so every model scores the same pixels.
    A conditional model is given the labels: the result is then -log p(x | y).

    For real-valued data p is a density. Raises PthetaError if a conditional model is evaluated on
    data without labels, and for invalid values: NaN, or positive log-probabilities of discrete
    data, as of a density.
    """
    with seeded(seed):
        log_p = log_p_of(model, is_k, effort)
    if log_p is None:
        return None
    data = with_conditions(model, data.with_fixed_binarisation())
    if conditional(model) and not data.has_conditions:
        kinds = word(condition_of(model)).replace("+", " and ")
        raise PthetaError(
            f"{data.name} has no {kinds}, and the model's likelihood is given them: evaluate on "
            "data that has them"
        )
    found = of_batches(partial(_with_bias, log_p), model, data, batch_size, seed, "likelihood")
    nats, bias = found["nats"].double(), found["bias"].double()
    _check_nats(nats, data)
    return Likelihood(
        nats=nats.mean().item(),
        error=(nats.std() / len(nats) ** 0.5).item() if len(nats) > 1 else 0.0,
        relation=log_p.relation,
        how=log_p.how,
        each=nats,
        density=not data.spec.discrete,
        partition=log_p.partition,
        bias=None if log_p.estimate is None else bias.mean().item(),
    )


def _with_bias(log_p: LogP, x: Tensor, condition: Condition | None) -> Found:
    """-log p and the estimated solver error, which is 0 without a solver."""
    if log_p.estimate is None:
        nats = -log_p.of(x, condition)
        return {"nats": nats, "bias": torch.zeros_like(nats)}
    found = log_p.estimate(x, condition)
    return {"nats": -found.value, "bias": found.bias}


def _check_nats(nats: Tensor, data: Dataset) -> None:
    """Raise PthetaError for invalid -log p: only for a density it can be negative."""
    mean = nats.mean().item()
    if data.spec.discrete and mean < -1e-3:
        raise PthetaError(
            f"-log p is {mean:.4g} nats on average: {data.examples} of {data.spec} "
            "have probabilities, so it is at least 0; "
            "score dequantised pixels with their volume, not a density"
        )
    if nats.isnan().any():
        lost = int(nats.isnan().sum())
        cure = "its weights may be no numbers, or its log_prob is at fault"
        if data.spec.missing:
            cure = f"it may not take missing cells; leave such {data.examples} out"
        raise PthetaError(
            f"-log p of the model is NaN for {lost} of {len(nats)} {data.examples}: {cure}"
        )


@torch.no_grad()
def bound_terms(
    model: nn.Module, data: Dataset, *, batch_size: int = 500, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """The mean over the data of each term of -ELBO and of their sum ("elbo"), in nats, with its
    standard error; {} for a model without a bound."""
    if not isinstance(model, HasBound):
        return {}
    data = data.with_fixed_binarisation()
    found = of_batches(model.bound_terms, model, data, batch_size, seed, "bound")
    terms = {name: term.double() for name, term in found.items()}
    terms["elbo"] = torch.stack(list(terms.values())).sum(0)
    error = max(1, len(data)) ** 0.5
    return {k: (v.mean().item(), v.std().item() / error) for k, v in terms.items()}


@together
def _likelihood(ctx: Context) -> Likelihood | None:
    return likelihood(ctx.the_model, ctx.test, is_k=ctx.is_k, seed=ctx.seed)


DENSITY = "density in the units of the data"


def nll(ctx: Context) -> Estimate:
    """-log p of the test examples, nats per example; of a density for real-valued data."""
    return _mean(ctx, 1.0)


def bits_per_dim(ctx: Context) -> Estimate:
    """-log2 p of the test images, bits per sub-pixel."""
    return _mean(ctx, ctx.test.spec.dims * math.log(2))


def _mean(ctx: Context, unit: float) -> Estimate:
    """The mean of -log p. unit: nats per unit of the result"""
    found = _likelihood(ctx)
    if found is None:
        return Estimate(None, reason="no likelihood")
    about: dict[str, object] = {"how": found.how}
    if found.density:
        about["of"] = DENSITY
    if found.infinite:
        why = f"-log p is infinite for {found.infinite:,} of {found.images:,} {ctx.test.examples}"
        return Estimate(None, about=about, reason=why)
    groups = Groups(found.images, "real")
    mean = mean_estimate(found.each / unit, groups, about, relation=found.relation)
    if found.bias is not None:
        return _solved(mean, found.bias / unit)
    return mean if found.partition is None else _two_sided(mean, found.partition, unit)


def _solved(mean: Estimate, bias: float) -> Estimate:
    """-log p with the solver error added to that of the examples, which includes the sampling noise
    of each."""
    if mean.error is None:
        return mean
    note = f"by a numerical solution, whose steps are off by about {abs(bias):.2g}"
    return replace(mean, error=math.hypot(mean.error, bias), draws=None, note=note)


def _two_sided(mean: Estimate, z: LogPartition, unit: float) -> Estimate:
    """-log p with the error of log Z, which is shared by all examples, added to that of the
    examples. It has no replicates, since a comparison by them would ignore the error of log Z."""
    if mean.value is None or mean.error is None:
        return mean
    low, high = (mean.value + (side - z.value) / unit for side in sorted((z.lower, z.upper)))
    error = math.hypot(mean.error, z.error / unit)
    note = f"between {low:.5g} and {high:.5g}, by the two sides of log Z"
    return replace(mean, error=error, draws=None, note=note)


ELBO = {"how": "ELBO"}


@together
def _bound(ctx: Context) -> dict[str, tuple[float, float]]:
    return bound_terms(ctx.the_model, ctx.test, seed=ctx.seed)


def has_finite_bound(ctx: Context) -> bool:
    """The model has a bound with finite terms."""
    if not isinstance(ctx.model, HasBound) or exact_log_prob(ctx.model) is not None:
        return False
    found = _likelihood(ctx)
    return found is not None and not found.infinite and bool(_bound(ctx))


def neg_elbo(ctx: Context) -> Estimate:
    """-ELBO, nats. Not ranked: the looseness of a bound does not show in the likelihood."""
    value, error = _bound(ctx)["elbo"]
    return Estimate(value, error, relation="<=", about=ELBO)


def elbo_terms(ctx: Context) -> dict[str, Estimate]:
    """Each term of -ELBO, nats."""
    terms = {name: found for name, found in _bound(ctx).items() if name != "elbo"}
    return {name: Estimate(value, error, about=ELBO) for name, (value, error) in terms.items()}


def elbo_gap(ctx: Context) -> Estimate:
    """How much tighter the importance bound is than the ELBO, nats: the cost of an inexact q(z |
    x)."""
    tighter = nll(ctx)
    assert tighter.value is not None  # see `has_finite_bound`
    value, _ = _bound(ctx)["elbo"]
    return Estimate(value - tighter.value, about={**ELBO, "to": tighter.about["how"]})
