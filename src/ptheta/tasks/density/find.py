"""log p of every example under a model, its rank among held-out examples, and baselines."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import EstimatesLogProb, EstimatesPartition, HasBound, HasLogProb
from ptheta.compute.streams import seeded, undisturbed
from ptheta.data.dataset import Dataset
from ptheta.distributions.partition import LogPartition
from ptheta.measures.intervals import Groups, mean_estimate
from ptheta.measures.results import Estimate
from ptheta.models.numbers import numbers_of
from ptheta.tasks.density.floors import FLOORS
from ptheta.tasks.log_p import LogP, log_p_of
from ptheta.tasks.needs import refusal
from ptheta.tasks.outliers.known import scored

SAMPLES = 16  # importance samples of a bound


@dataclass(frozen=True)
class Densities:
    """Log-likelihoods of examples.

    log_p: log p of every example, float64 (N,) nats
    held_out: log p of held-out examples, (M,)
    relation: of -log p to the truth: "=" exact, "<=" an upper bound, "~" an estimate
    how: the method; density: whether p is a density, in the units of the data
    binned: whether some columns are discrete, so that a density of dequantised values is a bound
    dims: dimensions of an example; floors: log p of baselines, (N,) by name
    partition: the estimated log Z, whose error is shared by all examples
    """

    log_p: Tensor = field(repr=False)
    held_out: Tensor = field(repr=False)
    relation: str
    how: str
    density: bool
    dims: int
    floors: dict[str, Tensor] = field(default_factory=dict, repr=False)
    partition: LogPartition | None = field(default=None, repr=False)
    binned: bool = True

    @property
    def bits(self) -> Tensor:
        """-log p in bits per dimension: (N,)."""
        return -self.log_p / (self.dims * math.log(2))

    @property
    def below(self) -> Tensor:
        """The fraction of held-out examples with a lower log p: float64 (N,) in 0 to 1."""
        ranked = self.held_out.sort().values
        return torch.searchsorted(ranked, self.log_p.contiguous()).double() / len(ranked)

    @property
    def order(self) -> Tensor:
        """Indices of the examples, the least likely first: int64 (N,)."""
        return self.log_p.argsort(stable=True)

    def relation_of(self, name: str = "") -> str:
        """Relation of -log p of the model or of a baseline to the truth: "=", "<=" or "~"."""
        if name not in FLOORS:
            return self.relation
        return "<=" if FLOORS[name].bound and self.binned else "="

    def mean(self, name: str = "") -> Estimate:
        """The mean of -log p in nats, with its error. name: a baseline, "held out", or the model on
        the examples"""
        each = {"": self.log_p, "held out": self.held_out, **self.floors}[name]
        groups = Groups(len(each), "real")
        if lost := int(each.isinf().sum()):
            return Estimate(None, reason=f"-log p is infinite for {lost:,} of {len(each):,}")
        found = mean_estimate(-each, groups, relation=self.relation_of(name))
        if name in self.floors or self.partition is None or found.error is None:
            return found
        return replace(found, error=math.hypot(found.error, self.partition.error), draws=None)


@undisturbed()
@torch.no_grad()
def density(
    model: nn.Module,
    data: Dataset,
    held_out: Dataset | None = None,
    train: Dataset | None = None,
    *,
    samples: int = SAMPLES,
    effort: float = 1.0,
    seed: int = 0,
) -> Densities:
    """log p of the examples of `data`; log p(x | y) for a conditional model.

    held_out: examples to rank against; default: the examples themselves
    train: training data of the baselines; without it there are none
    samples: importance samples of a bound (1: the ELBO); effort: settings of the estimate of log Z
    Noise depends on the seed and the position of an example.
    Raises PthetaError if the model has no likelihood, bound or estimate, and for NaN.
    """
    with seeded(seed):
        found = log_p_of(model, samples, effort)
    if found is None:
        raise refusal(
            *(model, HasBound, "evaluate likelihoods", "nor a likelihood"),
            among=(HasLogProb, EstimatesPartition, EstimatesLogProb, HasBound),
        )
    own = scored(_scorer(found), model, data, seed, "log p")
    others = own
    if held_out is not None:
        others = scored(_scorer(found), model, held_out, seed + len(data), "log p, held out")
    floors = {} if train is None else _floors(model, data, train, seed)
    return Densities(
        own,
        others,
        found.relation,
        found.how,
        not data.spec.discrete,
        data.spec.dims,
        floors,
        found.partition,
        not numbers_of(data.spec).exact,
    )


def _scorer(found: LogP) -> Callable[[Tensor, Condition | None], Tensor]:
    return lambda x, y: found.of(x, y)


def _floors(model: nn.Module, data: Dataset, train: Dataset, seed: int) -> dict[str, Tensor]:
    """log p by every baseline that supports these examples. Training and evaluated examples are
    dequantised with different seeds, so that the noise is new to the baseline."""
    train, found = train.with_fixed_binarisation(), {}
    for name, floor in FLOORS.items():
        if floor.whole and data.spec.missing:
            continue
        with seeded(seed):
            log_p = floor.make(train)
        found[name] = scored(_plain(log_p), model, data, seed + 1, name)
    return found


def _plain(log_p: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Condition | None], Tensor]:
    return lambda x, y: log_p(x)
