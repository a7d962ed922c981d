"""Generators that learn from pairs of images, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from torch import nn

from ptheta.config import Entry, OneOf
from ptheta.nets.translation.hd import CoarseToFine
from ptheta.nets.translation.unet import UNet, UNetOptions


@dataclass(frozen=True)
class PairGenerator(Entry):
    """make(channels, out, (height, width), options): a network of images (B, C, H, W), and of
    codes (B, L) where the options say so, -> (B, out, H, W), no end"""

    make: Callable[[int, int, tuple[int, int], UNetOptions], nn.Module]


PAIR_GENERATORS: dict[str, PairGenerator] = {
    "unet": PairGenerator(UNet, about="down to one pixel and up, maps of one size joined"),
    "hd": PairGenerator(
        CoarseToFine, about="a global network at half the size, then an enhancer (1711.11585)"
    ),
}

PairGeneratorName: TypeAlias = Annotated[str, OneOf(PAIR_GENERATORS)]
