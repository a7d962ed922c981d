"""Encoders of images to a grid of vectors, decoders of such a grid, and the same for vectors.

A grid is (B, D, H', W'). Each halving makes a map half as high and wide, rounding up; on the way up
it is doubled and cropped to the size that it had, so any height and width work. Residual blocks
stand at the smallest size, as in van den Oord et al. 2017, section 4.1 (arXiv:1711.00937).
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from ptheta.nets.convolutional import Cropped, down, up
from ptheta.nets.mlp import mlp

Size = tuple[int, int]


def halved(height: int, width: int, halvings: int) -> list[Size]:
    """The sizes of the maps, from the image to the grid."""
    sizes = [(height, width)]
    for _ in range(halvings):
        h, w = sizes[-1]
        sizes.append(((h + 1) // 2, (w + 1) // 2))
    return sizes


class Block(nn.Module):
    """x + conv1x1(relu(conv3x3(relu(x))))"""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(features, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden, features, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


def _blocks(features: int, blocks: int) -> list[nn.Module]:
    hidden = max(1, features // 4)
    return [*(Block(features, hidden) for _ in range(blocks)), nn.ReLU()]


def image_encoder(
    channels: int, sizes: list[Size], out: int, features: int, blocks: int
) -> nn.Sequential:
    """Images (B, channels, *sizes[0]) -> grid (B, out, *sizes[-1])."""
    layers: list[nn.Module] = []
    width = channels
    for size in sizes[:-1]:
        layers += [down(width, features, size, bias=True), nn.ReLU()]
        width = features
    layers += [nn.Conv2d(width, features, 3, padding=1), *_blocks(features, blocks)]
    return nn.Sequential(*layers, nn.Conv2d(features, out, 1))


def image_decoder(
    dims: int, sizes: list[Size], out: int, features: int, blocks: int
) -> nn.Sequential:
    """Grid (B, dims, *sizes[-1]) -> maps (B, out, *sizes[0])."""
    layers: list[nn.Module] = [nn.Conv2d(dims, features, 3, padding=1), *_blocks(features, blocks)]
    for larger, size in zip(sizes[-2::-1], sizes[:0:-1], strict=True):
        layers += up(features, features, bias=True, resize=False)
        if larger != (2 * size[0], 2 * size[1]):
            layers.append(Cropped(larger))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, nn.Conv2d(features, out, 3, padding=1))


def vector_encoder(
    inputs: int, dims: int, positions: int, hidden: tuple[int, ...]
) -> nn.Sequential:
    """Vectors (B, inputs) -> grid (B, dims, 1, positions)."""
    net = mlp([inputs, *hidden, dims * positions])
    return nn.Sequential(net, nn.Unflatten(1, (dims, 1, positions)))


def vector_decoder(
    dims: int, positions: int, shape: tuple[int, ...], hidden: tuple[int, ...]
) -> nn.Sequential:
    """Grid (B, dims, 1, positions) -> (B, *shape)."""
    net = mlp([dims * positions, *hidden[::-1], math.prod(shape)])
    return nn.Sequential(nn.Flatten(), net, nn.Unflatten(1, shape))
