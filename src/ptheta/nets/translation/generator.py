"""What every generator from image to image is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

import torch
from torch import Tensor, nn

from ptheta.config import Entry, OneOf


@dataclass(frozen=True)
class CodePlace(Entry):
    """levels: number of layers of the encoder -> those that are given the code beside their map"""

    levels: Callable[[int], range]


CODE_PLACES: dict[str, CodePlace] = {
    "input": CodePlace(lambda depth: range(1), about="planes beside the image"),
    "all": CodePlace(range, about="planes beside the map of each layer of the encoder"),
}

CodePlaceName: TypeAlias = Annotated[str, OneOf(CODE_PLACES)]


@dataclass(frozen=True)
class GeneratorOptions:
    """features: channels of the largest map, doubled at each halving
    norm: a name of `NORMS`
    dropout: share of the numbers of some inner layers that become 0: the noise
    noise_in_sampling: whether at use, too
    latent: numbers of a code that the network is given; code_place: a name of `CODE_PLACES`
    """

    features: int = 64
    norm: str = "instance"
    dropout: float = 0.0
    noise_in_sampling: bool = False
    latent: int = 0
    code_place: str = "input"

    def coded(self, depth: int) -> range:
        """The layers of an encoder of so many that are given the code."""
        return CODE_PLACES[self.code_place].levels(depth) if self.latent else range(0)


class ImageGenerator(nn.Module):
    """Images (B, C, H, W) of any height and width, and codes (B, L) where it takes some
    -> (B, out, H, W), no end."""

    if TYPE_CHECKING:

        def __call__(self, x: Tensor, z: Tensor | None = None) -> Tensor: ...


def with_code(h: Tensor, z: Tensor | None) -> Tensor:
    """Maps (B, F, H, W) and codes (B, L) -> (B, F + L, H, W), a plane for each number."""
    if z is None:
        return h
    planes = z[:, :, None, None].to(h.dtype).expand(-1, -1, *h.shape[-2:])
    return torch.cat([h, planes], 1)
