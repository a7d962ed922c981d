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
        "auto", "architecture; auto: conv for images, mlp for vectors", basic=True
    )
    features: Count = option(64, "channels of the largest feature map (all but mlp)", basic=True)
    dense: NonNegative = option(
        0, "units of a fully connected layer between vectors and maps (conv, resize); 0: none"
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
        "normalisation between the discriminator's layers; auto: batch in conv and resize unless "
        "another choice excludes it, else none",
    )
    g_activation: ActivationName = option(
        "auto", "activation in the generator; auto: leaky_relu in mlp, else relu"
    )
    g_dropout: Share = option(0.0, "dropout between the generator's layers (1611.07004)")
    g_noise: AtLeastZero = option(
        0.0, "standard deviation of Gaussian noise between the generator's layers (1609.03126)"
    )
    noise_in_sampling: bool = option(
        False, "keep the generator's dropout and noise in sampling (1611.07004)"
    )
    downsampling: DownsamplingName = option(
        "stride", "downsampling in the discriminator (conv, resize)"
    )
    reference: Count = option(64, "examples in the reference batch of virtual batch normalisation")
    minibatch: MinibatchName = option(
        "none", "minibatch statistics appended to the discriminator's features"
    )
    spectral_norm: bool = option(
        False,
        "divide the discriminator's weights by their largest singular value (1802.05957)",
        basic=True,
    )
    equalised: bool = option(
        False,
        "equalised learning rate: unit-variance weights, scaled at run time by He's constant "
        "(1710.10196)",
    )
    stages: NonNegative = option(
        1,
        "number of image sizes learned one after the other, each twice the one before (growing); "
        "1: full size from the start, 0: as many as possible, starting at 4 to 7 pixels",
        basic=True,
    )
    most_features: Count = option(512, "maximum channels of a map (growing)")


def network_name(config: NetConfig, spec: DataSpec) -> str:
    """The architecture of `config.net`, with `auto` resolved."""
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
        f"net = {name} needs images of at least {least} pixels a side, and these "
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
            f"stages = {config.stages}, but net = {network_name(config, spec)} cannot grow: use "
            f"--net {' or '.join(able)}, or leave stages out"
        )
    most = len(pyramid(spec.height, spec.width))
    if config.stages <= most:
        return None
    return (
        f"stages = {config.stages}: images of {spec.height}x{spec.width} pixels have {most} sizes "
        f"of 4 pixels a side or more: give {most} or less"
    )
