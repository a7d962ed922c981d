"""Encoders and decoders between images and codes, chosen by config."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from torch import nn

from ptheta.config import Count, Entry, OneOf, option
from ptheta.errors import unknown
from ptheta.nets.convolutional import ConvDecoder, ConvEncoder
from ptheta.nets.mlp import mlp
from ptheta.specs import ImageSpec

Shape = tuple[int, int, int]  # channels, height, width


@dataclass(frozen=True)
class CoderKind(Entry):
    """encoder: (config, shape of the input, numbers of the output, dcgan) -> network;
    decoder: (config, numbers of the input, shape of the output, dcgan) -> network"""

    encoder: Callable[[CoderConfig, Shape, int, bool], nn.Module]
    decoder: Callable[[CoderConfig, int, Shape, bool], nn.Module]


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
        return ConvEncoder(*shape, out, features=config.features, dcgan=dcgan)

    def decode(config: CoderConfig, size: int, shape: Shape, dcgan: bool) -> nn.Module:
        maps, h, w = shape
        features = config.features
        return ConvDecoder(size, h, w, maps, features=features, dcgan=dcgan, resize=resize)

    return CoderKind(encode, decode, about=about)


CODERS: dict[str, CoderKind] = {
    "linear": _vectors("no hidden layer", lambda config: ()),
    "mlp": _vectors("hidden layers", lambda config: config.hidden),
    "conv": _maps("convolutions, transposed on the way up", resize=False),
    "resize": _maps("convolutions, maps resized on the way up", resize=True),
}

CoderNet: TypeAlias = Annotated[str, OneOf(CODERS)]


@dataclass(frozen=True)
class CoderConfig:
    latent: Count = option(40, "dimensions of the code z")
    net: CoderNet = option("mlp", "encoder and decoder")
    hidden: tuple[Count, ...] = option((500, 500), "units of the encoder's layers (mlp)")
    features: Count = option(32, "channels of the largest feature map (conv, resize)")


def _kind(config: CoderConfig) -> CoderKind:
    if config.net not in CODERS:
        raise unknown("net", config.net, CODERS)
    return CODERS[config.net]


def encoder(
    spec: ImageSpec, config: CoderConfig, out: int, extra: int = 0, *, dcgan: bool = False
) -> nn.Module:
    """(B, C + extra, H, W) -> (B, out). extra: channels beside the image's own; dcgan: as in
    `ConvEncoder` (conv, resize). Raises PthetaError for an unknown network."""
    c, h, w = spec.shape
    return _kind(config).encoder(config, (c + extra, h, w), out, dcgan)


def decoder(
    spec: ImageSpec, config: CoderConfig, per_pixel: int, extra: int = 0, *, dcgan: bool = False
) -> nn.Module:
    """(B, L + extra) -> (B, per_pixel * C, H, W). extra: numbers beside the code; dcgan: as in
    `ConvDecoder` (conv, resize). Raises PthetaError for an unknown network."""
    c, h, w = spec.shape
    return _kind(config).decoder(config, config.latent + extra, (per_pixel * c, h, w), dcgan)
