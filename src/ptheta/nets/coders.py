"""Encoders and decoders between images and codes, chosen by config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn

from ptheta.config import Count, option
from ptheta.errors import unknown
from ptheta.nets.convolutional import ConvDecoder, ConvEncoder
from ptheta.nets.mlp import mlp
from ptheta.specs import ImageSpec

CoderNet = Literal["linear", "mlp", "conv", "resize"]


@dataclass(frozen=True)
class CoderConfig:
    latent: Count = option(40, "dimensions of the code z")
    net: CoderNet = option(
        "mlp",
        "encoder and decoder; conv: transposed convolutions on the way up, resize: resized maps "
        "and convolutions",
    )
    hidden: tuple[Count, ...] = option((500, 500), "units of the encoder's layers (mlp)")
    features: Count = option(32, "channels of the largest feature map (conv, resize)")


def _hidden(config: CoderConfig) -> tuple[int, ...]:
    """Units between image and code of a network without maps. Raises PthetaError for another."""
    if config.net not in get_args(CoderNet):
        raise unknown("net", config.net, get_args(CoderNet))
    return config.hidden if config.net == "mlp" else ()


def encoder(
    spec: ImageSpec, config: CoderConfig, out: int, extra: int = 0, *, dcgan: bool = False
) -> nn.Module:
    """(B, C + extra, H, W) -> (B, out). extra: channels beside the image's own; dcgan: as in
    `ConvEncoder` (conv, resize)."""
    c, h, w = spec.shape
    if config.net in ("conv", "resize"):
        return ConvEncoder(c + extra, h, w, out, features=config.features, dcgan=dcgan)
    return nn.Sequential(nn.Flatten(), mlp([(c + extra) * h * w, *_hidden(config), out]))


def decoder(
    spec: ImageSpec, config: CoderConfig, per_pixel: int, extra: int = 0, *, dcgan: bool = False
) -> nn.Module:
    """(B, L + extra) -> (B, per_pixel * C, H, W). extra: numbers beside the code; dcgan: as in
    `ConvDecoder` (conv, resize)."""
    c, h, w = spec.shape
    size, maps = config.latent + extra, per_pixel * c
    if config.net in ("conv", "resize"):
        resize = config.net == "resize"
        return ConvDecoder(size, h, w, maps, features=config.features, dcgan=dcgan, resize=resize)
    sizes = [size, *_hidden(config)[::-1], maps * h * w]
    return nn.Sequential(mlp(sizes), nn.Unflatten(1, (maps, h, w)))
