"""The best available log p(x) of a model: exact, a bound, or an estimate."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import (
    EstimatesLogProb,
    EstimatesPartition,
    HasBound,
    LogProbEstimate,
    MayBeExact,
    exact_log_prob,
)
from ptheta.distributions.partition import LogPartition


class LogP(NamedTuple):
    """A log-likelihood function: of(x, condition) -> log p, (B,) nats.

    relation: of -log p to the truth: "=" exact, "<=" an upper bound, "~" an estimate; how: the
        method
    partition: the estimated log Z, whose error is shared by all examples
    estimate: the same with the error of each example, for an estimate that reports it
    """

    of: Callable[[Tensor, Condition | None], Tensor]
    relation: str
    how: str
    partition: LogPartition | None = None
    estimate: Callable[[Tensor, Condition | None], LogProbEstimate] | None = None


def log_p_of(model: nn.Module, is_k: int, effort: float = 1.0) -> LogP | None:
    """The best likelihood of a model: exact, a bound with is_k importance samples, an energy with
    an estimated log Z, an estimate of log p itself (slow, and skipped without effort), or None.
    Uses the current random stream."""
    exact = exact_log_prob(model)
    if exact is not None:
        return LogP(exact, "=", "exact")
    if isinstance(model, EstimatesPartition):
        return _normalised(model, effort)
    if isinstance(model, EstimatesLogProb):
        return _estimated(model) if effort else None
    if not isinstance(model, HasBound):
        return None
    if is_k == 1:
        return LogP(model.elbo, "<=", "ELBO")
    bound = model.importance_bound
    return LogP(lambda x, y: bound(x, is_k, y), "<=", f"importance bound, k = {is_k}")


def _estimated(model: EstimatesLogProb) -> LogP:
    estimate = model.log_prob_estimate
    return LogP(lambda x, y: estimate(x, y).value, "~", model.estimated_by(), None, estimate)


def known_log_p(model: nn.Module) -> LogP | None:
    """The exact log p(x), the model's own or by enumeration of an energy's states; else None."""
    exact = exact_log_prob(model)
    if exact is not None:
        return LogP(exact, "=", "exact")
    if not isinstance(model, EstimatesPartition):
        return None
    found = _normalised(model, 0.0)
    return found if found.relation == "=" else None


def _normalised(model: EstimatesPartition, effort: float) -> LogP:
    """-energy - log Z, with the midpoint of the two-sided estimate of log Z. It is a bound if the
    energy is of dequantised values and log Z is not estimated; else an estimate."""
    partition = model.log_partition(effort)

    def log_p(x: Tensor, condition: Condition | None) -> Tensor:
        return -model.energy(x).double() - partition.value

    relation, of = "=" if partition.exact else "~", "energy"
    if isinstance(model, MayBeExact) and not model.exact():
        relation, of = "<=" if partition.exact else "~", "energy of dequantised numbers"
    how = "exact" if relation == "=" else f"{of}, log Z by {partition.how}"
    return LogP(log_p, relation, how, None if partition.exact else partition)
