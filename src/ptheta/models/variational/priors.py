"""Priors p(z) of a VAE: what each learns, and the distribution that it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

import torch
from torch import nn

from ptheta.config import Entry, OneOf
from ptheta.distributions.latents import Flow, LatentDistribution, Mixture, StandardNormal
from ptheta.nets.flow import masked_flow, missing
from ptheta.specs import DataSpec, ImageSpec

if TYPE_CHECKING:
    from ptheta.models.variational.base import Variational, VariationalConfig

Learned = Mapping[str, nn.Parameter | nn.Module]  # by the name that it has in the model

FLOW_UNITS = 128  # of each hidden layer of a flow


@dataclass(frozen=True)
class PriorKind(Entry):
    """learned: what the model keeps for it, as attributes; distribution: p(z), from the model
    missing: what must be installed for it, one sentence, or None
    """

    learned: Callable[[DataSpec, VariationalConfig], Learned]
    distribution: Callable[[Variational], LatentDistribution]
    missing: Callable[[], str | None] = lambda: None


def _nothing(spec: DataSpec, config: VariationalConfig) -> Learned:
    return {}


def _standard_normal(model: Variational) -> LatentDistribution:
    return StandardNormal(model.config.latent, next(model.parameters()).device)


def _pseudo_inputs(spec: DataSpec, config: VariationalConfig) -> Learned:
    drawn = torch.randn(config.pseudo_inputs, *spec.scaled_shape)
    # images: near 0.05 on average, as those of the paper; numbers: as they are to a network
    return {"pseudo": nn.Parameter(drawn * 0.5 - 2 if isinstance(spec, ImageSpec) else drawn)}


def _mixture_of_posteriors(model: Variational) -> LatentDistribution:
    """Tomczak & Welling 2018, eq. 9 (arXiv:1705.07120)."""
    pseudo = model.pseudo
    image = isinstance(model.spec, ImageSpec)
    return Mixture(model.infer(2 * pseudo.sigmoid() - 1 if image else pseudo))


def _flow(spec: DataSpec, config: VariationalConfig) -> Learned:
    return {"flow": masked_flow(config.latent, config.transforms, FLOW_UNITS)}


PRIORS: dict[str, PriorKind] = {
    "normal": PriorKind(_nothing, _standard_normal, about="N(0, I)"),
    "vamp": PriorKind(
        _pseudo_inputs,
        _mixture_of_posteriors,
        about="a mixture of posteriors of learned pseudo-inputs (1705.07120)",
        reads=frozenset({"pseudo_inputs"}),
    ),
    "flow": PriorKind(
        _flow,
        lambda model: Flow(model.flow()),
        missing,
        about="a masked autoregressive flow (1705.07057)",
        reads=frozenset({"transforms"}),
    ),
}

PriorName: TypeAlias = Annotated[str, OneOf(PRIORS)]
