"""The generators from image to image, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from torch import nn

from ptheta.config import Entry, OneOf
from ptheta.nets.translation.residual import ResidualGenerator, ResidualOptions
from ptheta.nets.translation.unet import UNet, UNetOptions


@dataclass(frozen=True)
class GeneratorOptions:
    """What a generator is made of, as far as it has such a part.

    features: channels of the largest map; norm: a name of `NORMS`
    blocks: residual blocks; resize: maps are enlarged by copying pixels, then convolved
    kernel: odd side of the first convolution and of the last, pixels
    latent: numbers of a code that it is given beside the image
    """

    features: int = 64
    blocks: int = 9
    norm: str = "instance"
    resize: bool = False
    kernel: int = 7
    latent: int = 0


@dataclass(frozen=True)
class ImageGenerator(Entry):
    """make(channels, out, (height, width), options): a network of images (B, C, H, W) and codes
    (B, L), or None -> (B, out, H, W), no end"""

    make: Callable[[int, int, tuple[int, int], GeneratorOptions], nn.Module]


def residual(channels: int, out: int, size: tuple[int, int], o: GeneratorOptions) -> nn.Module:
    options = ResidualOptions(o.features, o.blocks, o.norm, o.latent, o.resize, o.kernel)
    return ResidualGenerator(channels, out, options)


def unet(channels: int, out: int, size: tuple[int, int], o: GeneratorOptions) -> nn.Module:
    return UNet(channels, out, size, UNetOptions(o.features, o.norm, latent=o.latent))


GENERATORS: dict[str, ImageGenerator] = {
    "residual": ImageGenerator(residual, about="two halvings, then residual blocks (1603.08155)"),
    "unet": ImageGenerator(unet, about="maps on the way down go to those on the way up"),
}

ImageGeneratorName: TypeAlias = Annotated[str, OneOf(GENERATORS)]
