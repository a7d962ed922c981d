"""Encoders and decoders between images and codes, chosen by config."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, TypeAlias

import torch
from torch import Tensor, nn

from ptheta.config import Count, Entry, OneOf, option
from ptheta.errors import PthetaError, unknown
from ptheta.nets.convolutional import ConvDecoder, ConvEncoder
from ptheta.nets.mlp import mlp
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, filled

Shape = tuple[int, ...]  # channels, height, width; or the numbers of a vector


@dataclass(frozen=True)
class CoderKind(Entry):
    """encoder: (config, shape of the input, numbers of the output, dcgan) -> network;
    decoder: (config, numbers of the input, shape of the output, dcgan) -> network
    maps: whether it is of images alone
    """

    encoder: Callable[[CoderConfig, Shape, int, bool], nn.Module]
    decoder: Callable[[CoderConfig, int, Shape, bool], nn.Module]
    maps: bool = False


def _vectors(about: str, hidden: Callable[[CoderConfig], tuple[int, ...]]) -> CoderKind:
    """Networks without maps. hidden: units between image and code"""

    def encode(config: CoderConfig, shape: Shape, out: int, dcgan: bool) -> nn.Module:
        return nn.Sequential(nn.Flatten(), mlp([math.prod(shape), *hidden(config), out]))

    def decode(config: CoderConfig, size: int, shape: Shape, dcgan: bool) -> nn.Module:
        sizes = [size, *hidden(config)[::-1], math.prod(shape)]
        return nn.Sequential(mlp(sizes), nn.Unflatten(1, shape))

    return CoderKind(encode, decode, about=about)


def _maps(about: str, resize: bool) -> CoderKind:
    """Convolutional networks. resize: see `ConvDecoder`"""

    def encode(config: CoderConfig, shape: Shape, out: int, dcgan: bool) -> nn.Module:
        maps, h, w = shape
        return ConvEncoder(maps, h, w, out, features=config.features, dcgan=dcgan)

    def decode(config: CoderConfig, size: int, shape: Shape, dcgan: bool) -> nn.Module:
        maps, h, w = shape
        features = config.features
        return ConvDecoder(size, h, w, maps, features=features, dcgan=dcgan, resize=resize)

    return CoderKind(encode, decode, maps=True, about=about)


CODERS: dict[str, CoderKind] = {
    "linear": _vectors("no hidden layer", lambda config: ()),
    "mlp": _vectors("hidden layers", lambda config: config.hidden),
    "conv": _maps("convolutions; transposed ones in the decoder", resize=False),
    "resize": _maps("convolutions; upsampling in the decoder", resize=True),
}

CoderNet: TypeAlias = Annotated[str, OneOf(CODERS)]


@dataclass(frozen=True)
class CoderConfig:
    latent: Count = option(40, "dimensions of the latent code z", basic=True)
    net: CoderNet = option("mlp", "architecture of encoder and decoder", basic=True)
    hidden: tuple[Count, ...] = option(
        (500, 500), "units of the encoder's layers (mlp)", basic=True
    )
    features: Count = option(32, "channels of the largest feature map (conv, resize)", basic=True)


def odd_net(spec: DataSpec, net: CoderNet) -> str | None:
    """Why examples cannot have this encoder and decoder: one sentence, or None."""
    if isinstance(spec, ImageSpec) or not CODERS[net].maps:
        return None
    return f"net = {net} is for images, not {spec}: use --net mlp"


def _kind(spec: DataSpec, config: CoderConfig) -> CoderKind:
    if config.net not in CODERS:
        raise unknown("net", config.net, CODERS)
    odd = odd_net(spec, config.net)
    if odd is not None:
        raise PthetaError(odd)
    return CODERS[config.net]


class Observed(nn.Module):
    """The network input for vectors with missing cells: 0 for missing values, and an additional
    mask per such column, 1 if its cell is missing.

    (B, width + extra) -> (B, width + extra + columns), after Nazabal et al. 2020, section 3.1
    (arXiv:1807.03653)
    """

    def __init__(self, spec: VectorSpec) -> None:
        super().__init__()
        starts = accumulate((column.width for column in spec.columns), initial=0)
        self.places = [
            start for start, column in zip(starts, spec.columns, strict=False) if column.missing
        ]

    def forward(self, s: Tensor) -> Tensor:
        missing = s[:, self.places].isnan().to(s.dtype)
        return torch.cat([filled(s), missing], 1)


def encoder(
    spec: DataSpec, config: CoderConfig, out: int, extra: int = 0, *, dcgan: bool = False
) -> nn.Module:
    """What the spec makes of examples -> (B, out): images (B, C + extra, H, W), vectors (B, width +
    extra), where NaN stands for what is missing.

    extra: additional channels of images or dimensions of vectors; dcgan: as in `ConvEncoder`
    (conv, resize). Raises PthetaError for an unknown network, and for one that such examples cannot
    have.
    """
    first, *rest = spec.scaled_shape
    inputs = first + extra + len(spec.missing)
    net = _kind(spec, config).encoder(config, (inputs, *rest), out, dcgan)
    if spec.missing and isinstance(spec, VectorSpec):
        return nn.Sequential(Observed(spec), net)
    return net


def decoder(
    spec: DataSpec, config: CoderConfig, numbers: int, extra: int = 0, *, dcgan: bool = False
) -> nn.Module:
    """(B, L + extra) -> so many numbers for each of the spec's own: (B, numbers * C, H, W) or
    (B, numbers * width). See `decoder_to`."""
    first, *rest = spec.scaled_shape
    return decoder_to(spec, config, (numbers * first, *rest), extra, dcgan=dcgan)


def decoder_to(
    spec: DataSpec, config: CoderConfig, shape: Shape, extra: int = 0, *, dcgan: bool = False
) -> nn.Module:
    """(B, L + extra) -> (B, *shape). extra: additional dimensions; dcgan: as in `ConvDecoder`
    (conv, resize). Raises PthetaError as `encoder` does."""
    return _kind(spec, config).decoder(config, config.latent + extra, shape, dcgan)
