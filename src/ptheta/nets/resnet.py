"""Residual networks of SN-GAN (Miyato et al. 2018, appendix B.4, arXiv:1802.05957) for any size of
image: blocks of two 3x3 convolutions that double or halve a map along the sizes of `pyramid`."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from ptheta.nets.convolutional import Norm, Size, pyramid, widths_for


def _or_identity(layer: nn.Module | None) -> nn.Module:
    return nn.Identity() if layer is None else layer


class UpBlock(nn.Module):
    """(B, a, h, w) -> (B, b, H, W): doubled, and cropped to `size`."""

    def __init__(self, a: int, b: int, size: Size, norm: Norm) -> None:
        super().__init__()
        self.size = size
        self.norm1, self.norm2 = _or_identity(norm(a, 4)), _or_identity(norm(b, 4))
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.conv1, self.conv2 = nn.Conv2d(a, b, 3, padding=1), nn.Conv2d(b, b, 3, padding=1)
        self.skip = nn.Conv2d(a, b, 1)

    def resized(self, x: Tensor) -> Tensor:
        return interpolate(x, scale_factor=2)[..., : self.size[0], : self.size[1]]

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.conv1(self.resized(self.relu1(self.norm1(x))))
        # a 1x1 convolution of the small map costs a quarter of one of the large map
        h = self.conv2(self.relu2(self.norm2(h)))
        return h + self.resized(self.skip(x))


class DownBlock(nn.Module):
    """(B, a, H, W) -> (B, b, h, w): halved rounding up, or of the same size.

    first: the block of the image itself, with no nonlinearity before it
    """

    def __init__(self, a: int, b: int, norm: Norm, *, halve: bool, first: bool = False) -> None:
        super().__init__()
        self.halve, self.first = halve, first
        self.norm1 = nn.Identity() if first else _or_identity(norm(a, 4))
        self.norm2 = _or_identity(norm(b, 4))
        self.conv1, self.conv2 = nn.Conv2d(a, b, 3, padding=1), nn.Conv2d(b, b, 3, padding=1)
        self.skip = nn.Conv2d(a, b, 1) if halve or a != b else nn.Identity()

    def resized(self, x: Tensor) -> Tensor:
        return avg_pool2d(x, 2, ceil_mode=True) if self.halve else x

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = x if self.first else relu(self.norm1(x))
        h = self.conv2(relu(self.norm2(self.conv1(h))))
        # averaging and a 1x1 convolution commute: the small map first
        skipped: Tensor = self.skip(self.resized(x))
        return self.resized(h) + skipped


class ResNetDecoder(nn.Module):
    """(B, latent) -> (B, out, H, W)"""

    def __init__(
        self, latent: int, height: int, width: int, out: int, *, features: int, norm: Norm
    ) -> None:
        """features: channels of the largest map."""
        super().__init__()
        sizes = pyramid(height, width)[::-1]
        counts = widths_for(len(sizes), features)[::-1]
        self.start = (counts[0], *sizes[0])
        self.project = nn.Linear(latent, counts[0] * sizes[0][0] * sizes[0][1])
        self.blocks = nn.Sequential(
            *(UpBlock(a, b, s, norm) for (a, b), s in zip(pairwise(counts), sizes[1:], strict=True))
        )
        self.norm, self.relu = _or_identity(norm(counts[-1], 4)), nn.ReLU()
        self.last = nn.Conv2d(counts[-1], out, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        maps = self.blocks(self.project(z).unflatten(1, self.start))
        out: Tensor = self.last(self.relu(self.norm(maps)))
        return out


class ResNetTrunk(nn.Module):
    """(B, C, H, W) -> (B, width): blocks that halve, one that does not, and a sum over places."""

    def __init__(
        self, channels: int, height: int, width: int, *, features: int, norm: Norm
    ) -> None:
        super().__init__()
        counts = [channels, *widths_for(len(pyramid(height, width)) - 1, features)]
        blocks = [
            DownBlock(a, b, norm, halve=True, first=i == 0)
            for i, (a, b) in enumerate(pairwise(counts))
        ]
        blocks.append(DownBlock(counts[-1], counts[-1], norm, halve=False, first=not blocks))
        self.blocks = nn.Sequential(*blocks)
        self.width = counts[-1]

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.blocks(x)).sum((2, 3))
