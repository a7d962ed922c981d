"""Discriminators of images and captions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from ptheta.nets.convolutional import ConvEncoder, pyramid, widths_for
from ptheta.nets.norms import normalisation
from ptheta.nets.text_to_image.fusion import SLOPE
from ptheta.nets.text_to_image.generator import concatenated
from ptheta.specs import full


@dataclass(frozen=True)
class JudgeOptions:
    """features: channels of the first map; norm: name of `NORMS`; sentence: numbers of a caption"""

    features: int
    norm: str
    sentence: int


class MatchingDiscriminator(nn.Module):
    """Images (B, C, H, W) and sentences (B, W) -> outputs d (B,), high for a real image and its own
    caption.

    The image alone goes through halving convolutions to its smallest map; there each place is given
    the sentence (Reed et al. 2016, section 4.1, arXiv:1605.05396). So one image is rated with
    several captions at the cost of one: `maps`, then `rated`.
    """

    def __init__(self, shape: tuple[int, int, int], options: JudgeOptions) -> None:
        super().__init__()
        channels, height, width = shape
        f = options.features
        self.trunk = ConvEncoder(
            *(channels, height, width, 1),
            features=f,
            dcgan=True,
            norm=lambda maps, dims: normalisation(options.norm, maps, dims),
        ).body
        sizes = pyramid(height, width)
        seen = widths_for(len(sizes) - 1, f)[-1] if len(sizes) > 1 else channels
        self.join = nn.Conv2d(seen + options.sentence, seen, 3, padding=1)
        rows, columns = sizes[-1]
        self.last = nn.Linear(seen * rows * columns, 1)

    def maps(self, images: Tensor) -> Tensor:
        """(B, C, h, w) of the images alone."""
        found: Tensor = self.trunk(images)
        return found

    def rated(self, maps: Tensor, sentence: Tensor) -> Tensor:
        """(B,)"""
        joint = leaky_relu(self.join(concatenated(maps, sentence)), SLOPE)
        return full(self.last(joint.flatten(1))).squeeze(1)

    def forward(self, images: Tensor, sentence: Tensor) -> Tensor:
        return self.rated(self.maps(images), sentence)

    if TYPE_CHECKING:

        def __call__(self, images: Tensor, sentence: Tensor) -> Tensor: ...
