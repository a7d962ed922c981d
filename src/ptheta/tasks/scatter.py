"""Scatter plot of codes with the prior: needs `Encodes`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import HasPrior
from ptheta.compute.streams import seeded, undisturbed
from ptheta.errors import PthetaError
from ptheta.measures.classification import IntervalEstimate
from ptheta.measures.planes import Density, Plane, plane_of
from ptheta.tasks.codes import Codes, encode
from ptheta.tasks.conditions import check_condition

MASS = 0.95  # mass of the highest-density regions of p(z) and q(z)
MOST = 6000  # maximum number of codes for a density estimate


@dataclass(frozen=True, eq=False)
class Scatter:
    """Codes of examples and their projection on a plane.

    codes: codes of all examples, (N, L); plane: the projection
    drawn: one sample of q(z) = E_x q(z | x) per example, (N, L); the codes themselves for a model
        without a posterior
    prior: `MOST` samples of p(z), or None without a prior
    """

    codes: Codes
    plane: Plane
    drawn: Tensor
    prior: Tensor | None

    @property
    def points(self) -> Tensor:
        """The codes in the plane: (N, 2)."""
        return self.plane.of(self.codes.z)

    @cached_property
    def aggregate(self) -> Density:
        """The density of q(z) in the plane."""
        return Density.of(self.plane.of(self.drawn[:MOST]))

    @cached_property
    def expected(self) -> Density | None:
        """The density of p(z) in the plane; None without a prior."""
        return None if self.prior is None else Density.of(self.plane.of(self.prior[:MOST]))

    def overlap(self) -> tuple[IntervalEstimate, IntervalEstimate] | None:
        """(The mass of q(z) in the highest-density region of p(z), and that of p(z) in the region
        of q(z)), in the plane; both regions have `MASS`, so both are `MASS` if q = p. None without
        a prior."""
        if self.prior is None or self.expected is None:
            return None
        p, q = self.plane.of(self.prior), self.plane.of(self.drawn)
        return self.expected.holds(q, MASS), self.aggregate.holds(p, MASS)


@undisturbed()
@torch.no_grad()
def scatter(
    model: nn.Module,
    x: Tensor,
    condition: Condition | None = None,
    *,
    dims: tuple[int, int] | None = None,
    seed: int = 0,
) -> Scatter:
    """Project the codes of examples x (N, ...) on a plane: two dimensions of the code, by default
    the first principal components for codes of more than two dimensions.

    condition: one per example, for a conditional model; seed: for samples of q(z) and p(z)
    Raises PthetaError if the model cannot encode, for fewer than three examples, and for `dims`
    that its code does not have.
    """
    codes, y = encode(model, x, condition, seed=seed), check_condition(model, condition)
    if len(x) < 3:
        raise PthetaError(
            f"{len(x)} examples are too few for a scatter plot of codes: give at least three"
        )
    prior = None
    if isinstance(model, HasPrior):
        with seeded(seed + 1):
            prior = _prior(model, y)
    drawn = codes.z if codes.std is None else codes.drawn(seed)
    return Scatter(codes, plane_of(codes.z, dims), drawn, prior)


def _prior(model: HasPrior, y: Condition | None) -> Tensor:
    """Samples of p(z), given the conditions of examples in turn."""
    rows = None if y is None else y[torch.arange(MOST) % len(y)]
    return model.sample_latent(MOST, rows).float().cpu()
