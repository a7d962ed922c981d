"""Generators from image to image, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from ptheta.config import Entry, OneOf
from ptheta.nets.translation.generator import GeneratorOptions, ImageGenerator
from ptheta.nets.translation.unet import UNet

Make = Callable[[int, int, tuple[int, int], GeneratorOptions], ImageGenerator]


@dataclass(frozen=True)
class GeneratorKind(Entry):
    """make: channels of the input and of the output, height and width, options -> the network"""

    make: Make


GENERATORS: dict[str, GeneratorKind] = {
    "unet": GeneratorKind(UNet, about="down to one pixel and up, maps of one size joined"),
}

GeneratorName: TypeAlias = Annotated[str, OneOf(GENERATORS)]
