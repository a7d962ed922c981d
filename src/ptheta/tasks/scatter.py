"""Codes in a plane, beside the prior: needs `Encodes`."""

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

MASS = 0.95  # of p(z) and of q(z), in a region of highest density
MOST = 6000  # codes, at most, that a density is estimated of


@dataclass(frozen=True, eq=False)
class Scatter:
    """codes: of all examples; plane: that they are seen in
    drawn: as many codes of q(z) = E_x q(z | x) as there are examples; the codes themselves of a
        model without a posterior; prior: `MOST` of p(z), None of a model without one; (N, L)
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
        """q(z) in the plane."""
        return Density.of(self.plane.of(self.drawn[:MOST]))

    @cached_property
    def expected(self) -> Density | None:
        """p(z) in the plane, of a model that has one."""
        return None if self.prior is None else Density.of(self.plane.of(self.prior[:MOST]))

    def overlap(self) -> tuple[IntervalEstimate, IntervalEstimate] | None:
        """(the share of q(z) where p(z) has `MASS` of its own, the share of p(z) where q(z) has
        it), in the plane: `MASS` both where they are one. None without a prior."""
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
    """The codes of examples x (N, ...) in a plane: two dimensions of the code, or of more than two
    the first principal components of these codes.

    condition: of each, for a conditional model; seed: of what is drawn of q(z) and p(z)
    Raises PthetaError where the model cannot encode, for fewer than three examples, and for `dims`
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
    """Draws of p(z), given the conditions of examples in turn."""
    rows = None if y is None else y[torch.arange(MOST) % len(y)]
    return model.sample_latent(MOST, rows).float().cpu()
