"""A small U-Net for images with noise (Ronneberger et al. 2015, arXiv:1505.04597; Ho et al. 2020,
arXiv:2006.11239, appendix B).

Squares of `patch` x `patch` pixels are the channels of one place at its entry, so that a CPU begins
with a quarter of the places. An image of any size is padded, and what it makes is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptheta.compute import streams
from ptheta.nets.diffusion.embedding import faint
from ptheta.nets.modules import Layer, Modules

GROUP = 8  # channels of a group that is normalised, at least
HEAD = 32  # channels of a head of attention


def group_norm(channels: int) -> nn.GroupNorm:
    """The largest number of groups, up to 8, that divides the channels."""
    most = max(1, min(8, channels // GROUP))
    groups = next(g for g in range(most, 0, -1) if channels % g == 0)
    return nn.GroupNorm(groups, channels)


class ResidualBlock(nn.Module):
    """Two convolutions; the embedding scales and shifts between them."""

    def __init__(self, entry: int, channels: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = group_norm(entry), group_norm(channels)
        self.conv1 = nn.Conv2d(entry, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.of_embedding = nn.Linear(embedding, 2 * channels)
        self.dropout = streams.Dropout(dropout)
        self.skip = nn.Identity() if entry == channels else nn.Conv2d(entry, channels, 1)
        faint(self.conv2)
        faint(self.of_embedding)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.of_embedding(embedded)[:, :, None, None].chunk(2, 1)
        h = torch.addcmul(shift, self.norm2(h), 1 + scale)
        out: Tensor = self.skip(x) + self.conv2(self.dropout(F.silu(h)))
        return out

    if TYPE_CHECKING:

        def __call__(self, x: Tensor, embedded: Tensor) -> Tensor: ...


class PlaneAttention(Layer):
    """x + attention among all places: (B, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wanted = max(1, channels // HEAD)
        self.heads = next(h for h in range(wanted, 0, -1) if channels % h == 0)
        self.norm = group_norm(channels)
        self.qkv, self.out = nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(channels, channels, 1)
        faint(self.out)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        parts = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w)
        q, k, v = parts.transpose(3, 4).unbind(1)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(b, c, h, w)
        out: Tensor = x + self.out(attended)
        return out


class UNet(nn.Module):
    """Images (B, C, H, W) and an embedding (B, E) -> (B, C, H, W), nearly 0 at the start.

    channels: of each resolution, each half of the one before; blocks: at each, on either way
    """

    def __init__(
        self,
        colours: int,
        channels: Sequence[int],
        blocks: int,
        patch: int,
        embedding: int,
        dropout: float,
        attention: bool,
    ) -> None:
        super().__init__()
        self.patch, self.factor = patch, patch * 2 ** (len(channels) - 1)
        numbers, first = colours * patch**2, channels[0]
        self.entry = nn.Conv2d(numbers, first, 3, padding=1)
        self.down, self.shrink = Modules[Modules[ResidualBlock]]([]), Modules[nn.Conv2d]([])
        self.up, self.enlarge = Modules[Modules[ResidualBlock]]([]), Modules[nn.Conv2d]([])
        now = first
        for i, width in enumerate(channels):
            if i:
                self.shrink.append(nn.Conv2d(now, width, 3, stride=2, padding=1))
                now = width
            here = [ResidualBlock(now, width, embedding, dropout) for _ in range(blocks)]
            self.down.append(Modules(here))
        self.middle = ResidualBlock(now, now, embedding, dropout)
        self.attention: nn.Module = PlaneAttention(now) if attention else nn.Identity()
        self.last = ResidualBlock(now, now, embedding, dropout)
        for i in reversed(range(len(channels))):
            width = channels[i]
            here = [
                ResidualBlock(2 * width if j == 0 else width, width, embedding, dropout)
                for j in range(blocks)
            ]
            self.up.append(Modules(here))
            if i:
                self.enlarge.append(nn.Conv2d(width, channels[i - 1], 3, padding=1))
        self.norm = group_norm(first)
        self.exit = nn.Conv2d(first, numbers, 3, padding=1)
        faint(self.exit)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        x = F.pad(x, (0, -w % self.factor, 0, -h % self.factor))
        x = self.entry(
            F.pixel_unshuffle(x, self.patch).contiguous(memory_format=torch.channels_last)
        )
        kept, embedded = [], F.silu(embedded)
        for i, blocks in enumerate(self.down):
            x = self.shrink[i - 1](x) if i else x
            for block in blocks:
                x = block(x, embedded)
            kept.append(x)
        x = self.last(self.attention(self.middle(x, embedded)), embedded)
        for i, blocks in enumerate(self.up):
            x = torch.cat([x, kept.pop()], 1)
            for block in blocks:
                x = block(x, embedded)
            if i < len(self.enlarge):
                x = self.enlarge[i](F.interpolate(x, scale_factor=2.0, mode="nearest"))
        x = F.pixel_shuffle(self.exit(F.silu(self.norm(x))), self.patch)
        return x[..., :h, :w].contiguous()
