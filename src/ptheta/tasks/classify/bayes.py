"""P(y | x) of a model of p(x | y): proportional to p(x | y) p(y)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ptheta.capabilities import HasBound, HasLogProb, condition_of, device_of, exact_log_prob
from ptheta.compute.streams import seeded, undisturbed
from ptheta.conditions import Labels, word
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.tasks.effort import effort
from ptheta.tasks.needs import refuse_unconditional, require_one
from ptheta.terminal.progress import watched

SAMPLES = 16  # of the importance bound
BLOCK = 200  # examples per random stream
EXACT = "exact"
NUMBERS = 6400  # codes drawn at once

WAYS = (HasLogProb, HasBound)  # alternative capabilities: a model needs one
Likelihood = Callable[[Tensor, Tensor], Tensor]  # (x, y) -> (B,) nats


@dataclass(frozen=True)
class Posterior:
    """Class probabilities of examples under a model.

    log_p: log P(y | x), float64 (N, K), nats; names: names of the K classes
    how: type of log p(x | y): "exact", or the name of a bound
    """

    log_p: Tensor = field(repr=False)
    names: tuple[str, ...]
    how: str

    @property
    def found(self) -> Tensor:
        """The most probable class of each: int64 (N,)."""
        return self.log_p.argmax(1)


@undisturbed()
@torch.no_grad()
def classify(
    model: nn.Module,
    data: Dataset,
    *,
    prior: Tensor | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Posterior:
    """log P(y | x) = log p(x | y) + log p(y) - log sum_y' p(x | y') p(y') of each example.

    If the model has only a bound on log p(x | y), the importance-weighted bound is used, with the
    same noise for every class of an example.

    prior: log p(y), (K,) nats; None: uniform
    samples: importance samples of the bound
    Raises PthetaError if the model is not conditional on labels only or has no likelihood, and for
    examples whose likelihood is 0 under every class.
    """
    require_one(model, WAYS, "classify", condition_kind=Labels.kind)
    labels = labels_of(model)
    if samples < 1:
        raise PthetaError(f"samples = {samples}: want 1 or more")
    log_prob, how = _likelihood(model, samples)
    data = data.with_fixed_binarisation()
    each = BLOCK if how == EXACT else max(1, min(BLOCK, NUMBERS // samples))
    joint = []
    with effort(model, lambda: _joint(log_prob, data.batch([0]).x, 1, model, seed), each):
        for number, start in enumerate(watched(range(0, len(data), each), "classifying")):
            x = data.batch(slice(start, min(start + each, len(data)))).x
            joint.append(_joint(log_prob, x, len(labels), model, seed + number))
    found = torch.cat(joint)
    if prior is not None:
        found = found + prior.double()
    _check(found, data)
    return Posterior(found.log_softmax(1), labels.names, how)


def labels_of(model: nn.Module) -> Labels:
    """The condition spec of a label-conditional model. Raises PthetaError if it is not conditional
    on labels only."""
    condition = condition_of(model)
    if isinstance(condition, Labels):
        return condition
    refuse_unconditional(model, Labels.kind, "classify", WAYS)
    if condition is None:
        raise PthetaError(
            "this run learned p(x) without labels, but classification needs p(x | y): train it "
            "with --condition labels"
        )
    raise PthetaError(
        f"this run is conditional on {word(condition).replace('+', ' and ')}, but classification "
        "needs p(x | y) with labels only: train it with --condition labels"
    )


def _likelihood(model: nn.Module, samples: int) -> tuple[Likelihood, str]:
    """log p(x | y) or its best bound, with its type ("exact" or the name of the bound)."""
    exact = exact_log_prob(model)
    if exact is not None:
        return exact, EXACT
    assert isinstance(model, HasBound)  # asked before
    bound = model.importance_bound
    return lambda x, y: bound(x, samples, y), f"by importance bound, k = {samples}"


def _joint(log_prob: Likelihood, x: Tensor, classes: int, model: nn.Module, seed: int) -> Tensor:
    """log p(x | y) of every class: float64 (B, K)."""
    x, found = x.to(device_of(model)), []
    for k in range(classes):
        with seeded(seed):
            y = torch.full((len(x),), k, device=x.device)
            found.append(log_prob(x, y).cpu().double())
    return torch.stack(found, 1)


def _check(joint: Tensor, data: Dataset) -> None:
    odd = joint.isnan().any(1) | (joint.max(1).values == -torch.inf)
    if bool(odd.any()):
        raise PthetaError(
            f"the likelihoods of all classes are 0 or some are NaN for {int(odd.sum()):,} of "
            f"{len(data):,} {data.examples}, first for number {int(odd.nonzero()[0]) + 1}: leave "
            f"such {data.examples} out"
        )


def log_prior(y: Tensor, classes: int) -> Tensor:
    """log p(y) from training labels, int64 (N,), with add-one smoothing, (n_y + 1) / (N + K), so
    that no class is impossible. float64 (K,)"""
    counts = torch.bincount(y, minlength=classes).double() + 1
    return (counts / counts.sum()).log()
