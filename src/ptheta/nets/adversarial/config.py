"""The options of the two networks of a GAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from annotated_types import Ge, Lt

from ptheta.config import AtLeastZero, Count, NonNegative, OneOf, option
from ptheta.errors import unknown
from ptheta.nets.adversarial.layers import ACTIVATIONS, DOWNSAMPLING
from ptheta.nets.adversarial.networks import NETWORKS, Network
from ptheta.nets.convolutional import pyramid
from ptheta.nets.minibatch import MINIBATCH
from ptheta.nets.norms import NORMS
from ptheta.nets.outputs import OutputConfig
from ptheta.specs import DataSpec, ImageSpec

NetName: TypeAlias = Annotated[str, OneOf(NETWORKS, "auto")]
NormName: TypeAlias = Annotated[str, OneOf(NORMS)]
NormOrAuto: TypeAlias = Annotated[str, OneOf(NORMS, "auto")]
ActivationName: TypeAlias = Annotated[str, OneOf(ACTIVATIONS, "auto")]
DownsamplingName: TypeAlias = Annotated[str, OneOf(DOWNSAMPLING)]
Share = Annotated[float, Ge(0), Lt(1)]
MinibatchName: TypeAlias = Annotated[str, OneOf(MINIBATCH, "none")]


@dataclass(frozen=True)
class NetConfig(OutputConfig):
    net: NetName = option(
        "auto", "the networks; auto: conv for images, mlp for vectors", basic=True
    )
    features: Count = option(64, "channels of the largest feature map (all but mlp)", basic=True)
    dense: NonNegative = option(
        0, "units of a fully connected layer between numbers and maps (conv, resize); 0: none"
    )
    g_hidden: tuple[Count, ...] = option(
        (128, 256, 512, 1024), "units of the generator's layers (mlp)", basic=True
    )
    d_hidden: tuple[Count, ...] = option(
        (512, 256), "units of the discriminator's layers (mlp)", basic=True
    )
    g_norm: NormName = option("batch", "normalisation between the generator's layers")
    d_norm: NormOrAuto = option(
        "auto",
        "the same of the discriminator; auto: batch in conv and resize where no part of "
        "the game forbids it, else none",
    )
    g_activation: ActivationName = option(
        "auto", "between the generator's layers; auto: leaky_relu in mlp, else relu"
    )
    g_dropout: Share = option(
        0.0, "share of the numbers between the generator's layers that become 0 (1611.07004)"
    )
    g_noise: AtLeastZero = option(
        0.0, "deviation of the Gaussian noise between the generator's layers (1609.03126)"
    )
    noise_in_sampling: bool = option(
        False, "keep the generator's dropout and noise in sampling (1611.07004)"
    )
    downsampling: DownsamplingName = option(
        "stride", "how the discriminator halves a map (conv, resize)"
    )
    reference: Count = option(64, "examples in the reference batch of virtual normalisation")
    minibatch: MinibatchName = option(
        "none", "statistics of its batch that the discriminator is given beside its features"
    )
    spectral_norm: bool = option(
        False,
        "divide the discriminator's weights by their largest singular value (1802.05957)",
        basic=True,
    )
    equalised: bool = option(
        False,
        "learn weights as numbers of deviation 1, times the constant of He's initialisation, so "
        "that all of them learn equally fast (1710.10196)",
    )
    stages: NonNegative = option(
        1,
        "sizes of images that the networks learn one after the other, each twice the one before "
        "(growing); 1: full size from the start, 0: all of them, from 4 to 7 pixels on",
        basic=True,
    )
    most_features: Count = option(512, "channels of any map at most (growing)")


def network_name(config: NetConfig, spec: DataSpec) -> str:
    """What `config.net` stands for."""
    if config.net != "auto":
        return config.net
    return "conv" if isinstance(spec, ImageSpec) else "mlp"


def network_of(config: NetConfig, spec: DataSpec) -> Network:
    """The entry of `config.net`. Raises PthetaError for the name of none."""
    name = network_name(config, spec)
    if name not in NETWORKS:
        raise unknown("net", name, NETWORKS)
    return NETWORKS[name]


def odd_network(config: NetConfig, spec: DataSpec) -> str | None:
    """Why the network cannot take examples of this kind or size; None where it can."""
    name, found = network_name(config, spec), network_of(config, spec)
    if not isinstance(spec, found.specs):
        able = [n for n, net in NETWORKS.items() if isinstance(spec, net.specs)]
        return f"net = {name} is not for {spec}: use --net {' or '.join(able)}"
    if not isinstance(spec, ImageSpec):
        return odd_stages(config, spec)
    least = found.least_side
    if min(spec.height, spec.width) >= least:
        return odd_stages(config, spec)
    smaller = next(n for n, net in NETWORKS.items() if net.least_side == 1)
    return (
        f"net = {name} halves images of {least} pixels a side or more, and these "
        f"have {spec.height}x{spec.width}: use --net {smaller}"
    )


def stages_of(config: NetConfig, spec: DataSpec) -> int:
    """How many sizes of images the networks learn, one after the other."""
    if not (network_of(config, spec).grows and isinstance(spec, ImageSpec)):
        return 1
    return config.stages or len(pyramid(spec.height, spec.width))


def odd_stages(config: NetConfig, spec: DataSpec) -> str | None:
    """Why the networks cannot grow through so many sizes; None where they can."""
    if config.stages <= 1:
        return None
    if not isinstance(spec, ImageSpec) or not network_of(config, spec).grows:
        able = [name for name, net in NETWORKS.items() if net.grows]
        return (
            f"stages = {config.stages}, and net = {network_name(config, spec)} does not grow: use "
            f"--net {' or '.join(able)}, or leave stages out"
        )
    most = len(pyramid(spec.height, spec.width))
    if config.stages <= most:
        return None
    return (
        f"stages = {config.stages}: images of {spec.height}x{spec.width} pixels have {most} sizes "
        f"of 4 pixels a side or more: give {most} or less"
    )
