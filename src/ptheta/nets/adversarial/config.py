"""The options of the two networks of a GAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from ptheta.config import Count, NonNegative, OneOf, option
from ptheta.errors import unknown
from ptheta.nets.adversarial.networks import NETWORKS, Network
from ptheta.nets.minibatch import MINIBATCH
from ptheta.nets.norms import NORMS
from ptheta.specs import DataSpec

NetName: TypeAlias = Annotated[str, OneOf(NETWORKS)]
NormName: TypeAlias = Annotated[str, OneOf(NORMS)]
NormOrAuto: TypeAlias = Annotated[str, OneOf(NORMS, "auto")]
MinibatchName: TypeAlias = Annotated[str, OneOf(MINIBATCH, "none")]


@dataclass(frozen=True)
class NetConfig:
    net: NetName = option("conv", "the networks")
    features: Count = option(64, "channels of the largest feature map (all but mlp)")
    dense: NonNegative = option(
        0, "units of a fully connected layer between numbers and maps (conv, resize); 0: none"
    )
    g_hidden: tuple[Count, ...] = option(
        (128, 256, 512, 1024), "units of the generator's layers (mlp)"
    )
    d_hidden: tuple[Count, ...] = option((512, 256), "units of the discriminator's layers (mlp)")
    g_norm: NormName = option("batch", "normalisation between the generator's layers")
    d_norm: NormOrAuto = option(
        "auto",
        "the same of the discriminator; auto: batch in conv and resize where no part of "
        "the game forbids it, else none",
    )
    reference: Count = option(64, "images in the reference batch of virtual normalisation")
    minibatch: MinibatchName = option(
        "none", "statistics of its batch that the discriminator is given beside its features"
    )
    spectral_norm: bool = option(
        False, "divide the discriminator's weights by their largest singular value (1802.05957)"
    )


def network_of(config: NetConfig) -> Network:
    """The entry of `config.net`. Raises PthetaError for the name of none."""
    if config.net not in NETWORKS:
        raise unknown("net", config.net, NETWORKS)
    return NETWORKS[config.net]


def too_small(spec: DataSpec, config: NetConfig) -> str | None:
    """Why the network cannot take images of this size; None where it can."""
    least = network_of(config).least_side
    height, width = spec.shape[1:]
    if min(height, width) >= least:
        return None
    smaller = next(n for n, net in NETWORKS.items() if net.least_side == 1)
    return (
        f"net = {config.net} halves images of {least} pixels a side or more, and these "
        f"have {height}x{width}: use --net {smaller}"
    )
