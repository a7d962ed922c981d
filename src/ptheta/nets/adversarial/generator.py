"""The generator of a GAN: numbers to examples."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ptheta.nets.adversarial.config import NetConfig, network_of
from ptheta.nets.adversarial.equalised import equalise
from ptheta.nets.adversarial.layers import ACTIVATIONS, Dropout, GaussianNoise, with_activations
from ptheta.nets.condition import ConditionVector
from ptheta.nets.convolutional import Norm
from ptheta.nets.norms import norm_entry, normalisation
from ptheta.nets.outputs import output
from ptheta.specs import DataSpec, full


def norm_of(kind: str, config: NetConfig) -> Norm:
    """Makes the layers of this name: (channels, dims) -> layer or None.

    Raises PthetaError for another name, at once: a small network has no place for one.
    """
    norm_entry(kind)
    return lambda channels, dims: normalisation(kind, channels, dims, config.reference)


def _activation(config: NetConfig, own: nn.Module) -> nn.Module:
    """What stands in the place of an activation of the network: noise before it, where asked for,
    and it or another."""
    chosen = ACTIVATIONS[config.g_activation].make() if config.g_activation != "auto" else own
    layers: list[nn.Module] = []
    if config.g_dropout:
        layers.append(Dropout(config.g_dropout, config.noise_in_sampling))
    if config.g_noise:
        layers.append(GaussianNoise(config.g_noise, config.noise_in_sampling))
    return nn.Sequential(*layers, chosen) if layers else chosen


class Generator(nn.Module):
    """Numbers (B, N) -> examples as a network sees them, (B, *scaled_shape).

    reference: numbers (R, N) that virtual normalisation refers to; none without it
    vectors: what makes numbers of a condition for this network, where there is one
    """

    reference: Tensor | None

    if TYPE_CHECKING:  # torch leaves the type of its call open

        def __call__(self, numbers: Tensor, drawn: bool = True) -> Tensor: ...

    def __init__(self, spec: DataSpec, config: NetConfig, inputs: int) -> None:
        super().__init__()
        norm = norm_of(config.g_norm, config)
        self.body = with_activations(
            network_of(config, spec).generator(spec, config, inputs, norm),
            partial(_activation, config),
        )
        self.vectors: ConditionVector | None = None
        refers = norm_entry(config.g_norm).refers
        if config.equalised:
            equalise(self.body)
        self.output = output(spec, config)
        self.register_buffer("reference", torch.randn(config.reference, inputs) if refers else None)

    def forward(self, numbers: Tensor, drawn: bool = True) -> Tensor:
        """drawn: as of `Output`"""
        if self.reference is None:
            return self.output(full(self.body(numbers)), drawn)
        both = self.body(torch.cat([self.reference.to(numbers.dtype), numbers]))
        return self.output(full(both[len(self.reference) :]), drawn)
