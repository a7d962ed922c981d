"""Likelihood in nats and bits/dim: exact, or a bound; the two are never mixed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import nn

from ptheta.batch import Condition
from ptheta.capabilities import HasBound, HasLogProb, conditional, device_of
from ptheta.compute.streams import seeded
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.tasks.conditions import with_conditions
from ptheta.terminal.progress import watched


@dataclass(frozen=True)
class Likelihood:
    """-log p per image. relation: "=" where exact, "<=" where the truth is at most this."""

    nats: float
    error: float  # standard error of the mean over images
    relation: str
    how: str
    each: torch.Tensor = field(repr=False, compare=False)  # of every image, float64 (N,)

    @property
    def images(self) -> int:
        return len(self.each)

    @property
    def infinite(self) -> int:
        """Images that the model calls impossible; nats is then infinite."""
        return int(self.each.isinf().sum())

    def bits(self, dims: int) -> tuple[float, float]:
        """(bits/dim, standard error) = nats / (D ln 2)."""
        return self.nats / (dims * math.log(2)), self.error / (dims * math.log(2))


def batches(
    model: nn.Module, data: Dataset, batch_size: int, what: str = "likelihood"
) -> Iterator[tuple[torch.Tensor, Condition | None]]:
    """The images, in order, with the conditions that the model wants, on its device.

    what: what they are taken for, for whoever watches
    """
    device, data = device_of(model), with_conditions(model, data)
    for start in watched(range(0, len(data), batch_size), what):
        batch = data.batch(slice(start, min(start + batch_size, len(data))))
        condition = batch.condition if conditional(model) else None
        yield batch.x.to(device), None if condition is None else condition.to(device)


@torch.no_grad()
def bound_terms(
    model: nn.Module, data: Dataset, *, batch_size: int = 500, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """The mean over the data of each term of -ELBO and of their sum ("elbo"), in nats, with its
    standard error; {} for a model without a bound."""
    if not isinstance(model, HasBound):
        return {}
    data, found = data.with_fixed_binarisation(), []
    with seeded(seed):
        found = [model.bound_terms(x, y) for x, y in batches(model, data, batch_size, "bound")]
    terms = {name: torch.cat([part[name] for part in found]).double() for name in found[0]}
    terms["elbo"] = torch.stack(list(terms.values())).sum(0)
    error = max(1, len(data)) ** 0.5
    return {k: (v.mean().item(), v.std().item() / error) for k, v in terms.items()}


@torch.no_grad()
def likelihood(
    model: nn.Module, data: Dataset, *, is_k: int = 50, batch_size: int = 100, seed: int = 0
) -> Likelihood | None:
    """The mean of -log p over the data, by what the model has; None where it has neither.

    is_k: importance samples of the bound (1: the ELBO). With 2 levels the data's binarisation is
    the fixed one, so every model scores the same pixels. A conditional model is given the labels:
    the result is then -log p(x | y).

    Raises PthetaError where such a model meets data without labels, and where the numbers cannot be
    log-probabilities: NaN, or above 0, as of a density, which would make -log p look small.
    """
    data = with_conditions(model, data.with_fixed_binarisation())
    if conditional(model) and not data.has_conditions:
        raise PthetaError(
            f"{data.name} has no labels (or attributes), and the model's likelihood is given them: "
            "evaluate on labelled images"
        )
    values = []
    with seeded(seed):
        for x, condition in batches(model, data, batch_size):
            if isinstance(model, HasLogProb):
                values.append(-model.log_prob(x, condition))
            elif isinstance(model, HasBound):
                if is_k == 1:
                    values.append(-model.elbo(x, condition))
                else:
                    values.append(-model.importance_bound(x, is_k, condition))
            else:
                return None
    nats = torch.cat(values).double().cpu()
    if nats.isnan().any() or nats.mean() < -1e-3:
        raise PthetaError(
            f"-log p is {nats.mean().item():.4g} nats/image on average: images of "
            f"{data.levels} levels have probabilities, so it is at least 0; "
            "score dequantised pixels with their volume, not a density"
        )
    exact = isinstance(model, HasLogProb)
    return Likelihood(
        nats=nats.mean().item(),
        error=(nats.std() / len(nats) ** 0.5).item() if len(nats) > 1 else 0.0,
        relation="=" if exact else "<=",
        how="exact" if exact else "ELBO" if is_k == 1 else f"importance bound, k = {is_k}",
        each=nats,
    )
