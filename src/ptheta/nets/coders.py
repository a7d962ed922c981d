"""Encoders and decoders between images and codes, chosen by config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from ptheta.config import Count, option
from ptheta.nets.convolutional import ConvDecoder, ConvEncoder
from ptheta.nets.mlp import mlp
from ptheta.pixels import ImageSpec


@dataclass(frozen=True)
class CoderConfig:
    latent: Count = option(40, "dimensions of the code z")
    net: Literal["linear", "mlp", "conv", "resize"] = option(
        "mlp",
        "encoder and decoder; conv: transposed convolutions on the way up, resize: resized maps "
        "and convolutions",
    )
    hidden: tuple[Count, ...] = option((500, 500), "units of the encoder's layers (mlp)")
    features: Count = option(32, "channels of the largest feature map (conv, resize)")


def encoder(
    spec: ImageSpec, config: CoderConfig, out: int, extra: int = 0, *, dcgan: bool = False
) -> nn.Module:
    """(B, C + extra, H, W) -> (B, out). extra: channels beside the image's own; dcgan: as in
    `ConvEncoder` (conv, resize)."""
    c, h, w = spec.shape
    if config.net in ("conv", "resize"):
        return ConvEncoder(c + extra, h, w, out, features=config.features, dcgan=dcgan)
    hidden = config.hidden if config.net == "mlp" else ()
    return nn.Sequential(nn.Flatten(), mlp([(c + extra) * h * w, *hidden, out]))


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
    hidden = config.hidden[::-1] if config.net == "mlp" else ()
    return nn.Sequential(mlp([size, *hidden, maps * h * w]), nn.Unflatten(1, (maps, h, w)))
