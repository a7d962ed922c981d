"""The generators from image to image, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from torch import nn

from ptheta.config import Entry, OneOf
from ptheta.nets.translation.hd import CoarseToFine
from ptheta.nets.translation.residual import ResidualGenerator, ResidualOptions
from ptheta.nets.translation.unet import UNet, UNetOptions


@dataclass(frozen=True)
class GeneratorOptions:
    """What a generator is made of, as far as it has such a part.

    features: channels of the largest map; norm: a name of `NORMS`
    blocks: residual blocks; resize: maps are enlarged by copying pixels, then convolved
    kernel: odd side of the first convolution and of the last, pixels
    latent: dimensions of a code given in addition to the image
    dropout, noise_in_sampling: see `ptheta.nets.translation.unet.UNetOptions`
    """

    features: int = 64
    blocks: int = 9
    norm: str = "instance"
    resize: bool = False
    kernel: int = 7
    latent: int = 0
    dropout: float = 0.0
    noise_in_sampling: bool = False

    def of_unet(self) -> UNetOptions:
        return UNetOptions(
            self.features, self.norm, self.dropout, self.noise_in_sampling, self.latent
        )


@dataclass(frozen=True)
class ImageGenerator(Entry):
    """make(channels, out, (height, width), options): a network of images (B, C, H, W) and codes
    (B, L), or None -> (B, out, H, W), no end
    drops: whether it has dropout
    staged: whether a part of it learns first, by itself
    """

    make: Callable[[int, int, tuple[int, int], GeneratorOptions], nn.Module]
    drops: bool = False
    staged: bool = False


def residual(channels: int, out: int, size: tuple[int, int], o: GeneratorOptions) -> nn.Module:
    options = ResidualOptions(o.features, o.blocks, o.norm, o.latent, o.resize, o.kernel)
    return ResidualGenerator(channels, out, options)


def unet(channels: int, out: int, size: tuple[int, int], o: GeneratorOptions) -> nn.Module:
    return UNet(channels, out, size, o.of_unet())


def hd(channels: int, out: int, size: tuple[int, int], o: GeneratorOptions) -> nn.Module:
    return CoarseToFine(channels, out, size, o.of_unet())


GENERATORS: dict[str, ImageGenerator] = {
    "residual": ImageGenerator(
        residual, about="two downsamplings, then residual blocks (1603.08155)"
    ),
    "unet": ImageGenerator(unet, about="U-Net with skip connections (1505.04597)", drops=True),
    "hd": ImageGenerator(
        hd,
        about="a global network at half the size, then an enhancer (1711.11585)",
        drops=True,
        staged=True,
    ),
}

ImageGeneratorName: TypeAlias = Annotated[str, OneOf(GENERATORS)]
