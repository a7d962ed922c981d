"""Priors p(z) of a VAE: what each learns, and the distribution that it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

import torch
from torch import nn

from ptheta.config import Entry, OneOf
from ptheta.distributions.latents import Flow, LatentDistribution, Mixture, StandardNormal
from ptheta.nets.flow import masked_flow

if TYPE_CHECKING:
    from ptheta.models.variational.vae import VAE, VAEConfig
    from ptheta.specs import ImageSpec

Learned = Mapping[str, nn.Parameter | nn.Module]  # by the name that it has in the model

FLOW_UNITS = 128  # of each hidden layer of a flow


@dataclass(frozen=True)
class PriorKind(Entry):
    """learned: what the model keeps for it, as attributes; distribution: p(z), from the model"""

    learned: Callable[[ImageSpec, VAEConfig], Learned]
    distribution: Callable[[VAE], LatentDistribution]


def _nothing(spec: ImageSpec, config: VAEConfig) -> Learned:
    return {}


def _standard_normal(model: VAE) -> LatentDistribution:
    return StandardNormal(model.config.latent, next(model.parameters()).device)


def _pseudo_images(spec: ImageSpec, config: VAEConfig) -> Learned:
    # near 0.05 on average, as the images of the paper
    return {"pseudo": nn.Parameter(torch.randn(config.pseudo_inputs, *spec.shape) * 0.5 - 2)}


def _mixture_of_posteriors(model: VAE) -> LatentDistribution:
    """Tomczak & Welling 2018, eq. 9 (arXiv:1705.07120)."""
    return Mixture(model.infer(2 * model.pseudo.sigmoid() - 1))


def _flow(spec: ImageSpec, config: VAEConfig) -> Learned:
    return {"flow": masked_flow(config.latent, config.transforms, FLOW_UNITS)}


PRIORS: dict[str, PriorKind] = {
    "normal": PriorKind(_nothing, _standard_normal, about="N(0, I)"),
    "vamp": PriorKind(
        _pseudo_images,
        _mixture_of_posteriors,
        about="a mixture of posteriors of learned pseudo-images (1705.07120)",
    ),
    "flow": PriorKind(
        _flow, lambda model: Flow(model.flow()), about="a masked autoregressive flow (1705.07057)"
    ),
}

PriorName: TypeAlias = Annotated[str, OneOf(PRIORS)]
