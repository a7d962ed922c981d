"""Samples without observation noise: the mean of p(x | z) for each code."""

from __future__ import annotations

from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import draws_elements
from ptheta.errors import PthetaError
from ptheta.models.base import Model
from ptheta.tasks.needs import DecodesPrior
from ptheta.tasks.tempered import Changed


class Averaged(Changed):
    """E[x | z] for codes z of the prior: those of `sample`, from the same seed."""

    def __init__(self, model: Model, decoding: DecodesPrior) -> None:
        super().__init__(model, model.spec)
        self.decoding = decoding

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.decoding.decode(self.decoding.sample_latent(n, condition), condition)


def can_average(model: nn.Module) -> bool:
    """Whether samples given a code are random, so that their mean differs from them."""
    return isinstance(model, DecodesPrior) and draws_elements(model)


def averaged(model: nn.Module) -> nn.Module:
    """The model with the means of p(x | z) as samples. Raises PthetaError if p(x | z) is not a
    distribution."""
    if not can_average(model):
        raise PthetaError(
            "--mean: this model does not sample given a code: its samples are decoder outputs "
            "already, or have no code; leave it out"
        )
    assert isinstance(model, Model)
    assert isinstance(model, DecodesPrior)
    return Averaged(model, model).eval()
