"""PixelCNN (van den Oord et al. 2016, arXiv:1601.06759, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ptheta.config import Count, NonNegative, Positive, option
from ptheta.errors import PthetaError
from ptheta.games import Game, Move, Player, Terms
from ptheta.likelihoods import Bernoulli, Categorical, PixelDistribution
from ptheta.nets.masked import MaskedConv2d
from ptheta.pixels import Batch, ImageSpec, to_symmetric


@dataclass(frozen=True)
class PixelCNNConfig:
    features: Count = option(64, "channels between the residual blocks (half as many inside)")
    blocks: Count = option(8, "residual blocks, each with one masked convolution")
    first_kernel: Count = option(7, "width of the first kernel, pixels (odd)")
    kernel: Count = option(3, "width of the kernels in the blocks, pixels (odd)")
    head: Count = option(64, "channels of the two last 1x1 convolutions")
    position: bool = option(False, "learn a bias for each place after the first convolution")
    classes: NonNegative = option(0, "labels to condition on; 0: unconditional")
    lr: Positive = option(1e-3, "learning rate of Adam")


class Block(nn.Module):
    """x + 1x1(relu(kxk(relu(1x1(relu x))))), half the channels inside: figure 5 of the paper."""

    def __init__(self, features: int, kernel: int, colours: int) -> None:
        super().__init__()
        half = max(features // 2, colours)
        self.reduce = MaskedConv2d(features, half, 1, "B", colours)
        self.look = MaskedConv2d(half, half, kernel, "B", colours)
        self.expand = MaskedConv2d(half, features, 1, "B", colours)

    def forward(self, x: Tensor, shift: Tensor | None = None) -> Tensor:
        """x (B, F, H, W); shift (B, half, 1, 1): what the label adds before the wide kernel."""
        h = self.reduce(x.relu())
        if shift is not None:
            h = h + shift
        return x + self.expand(self.look(h.relu()).relu())


class PixelCNN(nn.Module):
    """p(x) = prod_i p(x_i | x_<i) over sub-pixels in raster order, R before G before B."""

    def __init__(self, spec: ImageSpec, config: PixelCNNConfig) -> None:
        super().__init__()
        self.spec, self.config, self.classes = spec, config, config.classes
        for name in ("first_kernel", "kernel"):
            if getattr(config, name) % 2 == 0:
                raise PthetaError(f"{name} = {getattr(config, name)} must be odd: take one more")
        c, f = spec.channels, config.features
        # Bernoulli logits for 2 levels, else one logit for each level
        out = c if spec.levels == 2 else c * spec.levels
        self.first = MaskedConv2d(c, f, config.first_kernel, "A", c)
        # the lower edge is ahead of every pixel, so without this a model cannot know it is near
        places = torch.zeros(f, spec.height, spec.width)
        self.place = nn.Parameter(places) if config.position else None
        self.blocks = nn.ModuleList(Block(f, config.kernel, c) for _ in range(config.blocks))
        self.head = MaskedConv2d(f, config.head, 1, "B", c)
        self.last = MaskedConv2d(config.head, out, 1, "B", c)
        half = max(f // 2, c)
        self.label = nn.Embedding(config.classes, config.blocks * half) if config.classes else None

    def shifts(self, condition: Tensor | None) -> list[Tensor | None]:
        """What the labels add in each block, (B, half, 1, 1) each; Nones without labels."""
        if self.label is None:
            return [None] * len(self.blocks)
        if condition is None:
            raise PthetaError(
                f"this pixelcnn is conditional on {self.config.classes} labels and got none: "
                "give a label for each image"
            )
        return list(self.label(condition)[:, :, None, None].chunk(len(self.blocks), 1))

    def distribution(self, out: Tensor) -> PixelDistribution:
        """The network's output (B, out, H, W) as a distribution over sub-pixels."""
        if self.spec.levels == 2:
            return Bernoulli(out.float())
        return Categorical(out.float().unflatten(1, (self.spec.levels, self.spec.channels)))

    def conditionals(self, x: Tensor, condition: Tensor | None = None) -> PixelDistribution:
        """p(x_i | x_<i) for every sub-pixel at once: batch shape (B, C, H, W)."""
        h = to_symmetric(self.spec.check(x)).contiguous(memory_format=torch.channels_last)
        h = self.first(h)
        if self.place is not None:
            h = h + self.place
        for block, shift in zip(self.blocks, self.shifts(condition), strict=True):
            h = block(h, shift)
        return self.distribution(self.last(self.head(h.relu()).relu()))

    def log_prob(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.conditionals(x, condition).log_prob(x).sum((1, 2, 3))

    @torch.no_grad()
    def sample(self, n: int, condition: Tensor | None = None) -> Tensor:
        device = self.first.weight.device
        return self.sample_from_noise(torch.rand(n, *self.spec.shape, device=device), condition)

    @torch.no_grad()
    def sample_from_noise(self, u: Tensor, condition: Tensor | None = None) -> Tensor:
        """The image that uniform noise u (n, C, H, W) stands for, sub-pixel by sub-pixel.

        Each pixel's features are computed once, from the stored features of the pixels before it
        (three times for colour, as G needs R and B both); the definition that this is tested
        against is `conditionals` evaluated anew for each sub-pixel.
        """
        c, height, width = self.spec.shape
        x = torch.zeros(u.shape, dtype=torch.uint8, device=u.device)
        shifts = [None if s is None else s.flatten(1) for s in self.shifts(condition)]
        first = _Pixelwise(self.first, self.spec, len(u))
        blocks = [
            (_Pixelwise(b.reduce), _Pixelwise(b.look, self.spec, len(u)), _Pixelwise(b.expand))
            for b in self.blocks
            if isinstance(b, Block)
        ]
        head, last = _Pixelwise(self.head), _Pixelwise(self.last)
        for i in range(height):
            for j in range(width):
                for colour in range(c):
                    h = first.at(i, j, to_symmetric(x[:, :, i, j]))
                    if self.place is not None:
                        h = h + self.place[:, i, j]
                    for (reduce, look, expand), shift in zip(blocks, shifts, strict=True):
                        r = reduce(h.relu())
                        if shift is not None:
                            r = r + shift
                        h = h + expand(look.at(i, j, r.relu_()).relu_())
                    out = last(head(h.relu_()).relu_())[:, :, None, None]
                    drawn = self.distribution(out).icdf(u[:, :, i : i + 1, j : j + 1])
                    x[:, colour, i, j] = drawn[:, colour, 0, 0]
                first.store(i, j, to_symmetric(x[:, :, i, j]))
        return x

    def loss(self, batch: Batch) -> Terms:
        condition = batch.y if self.label is not None else None
        return {"nll": -self.log_prob(batch.x, condition)}

    def game(self) -> Game:
        return Game(
            players={"pixelcnn": Player((self,), lr=self.config.lr)},
            moves=(Move("pixelcnn", self.loss),),
        )


class _Pixelwise:
    """A masked convolution evaluated at one pixel: (n, c_in) -> (n, c_out).

    A wide kernel keeps the features of earlier pixels, zero-padded, as (rows, columns, n, c_in):
    the kernel's window is then a few contiguous blocks.
    """

    def __init__(self, conv: MaskedConv2d, spec: ImageSpec | None = None, n: int = 0) -> None:
        assert conv.bias is not None
        self.reach, self.bias = conv.reach, conv.bias
        kernel = conv.kernel().float()  # (c_out, c_in, rows, columns)
        self.rows, self.columns = kernel.shape[2:]
        own = kernel[:, :, -1, self.reach]
        self.own = own.t().contiguous()  # (c_in, c_out)
        # the taps before the pixel: rows above in full, then the left part of its own row
        above = kernel[:, :, :-1].permute(2, 3, 1, 0).flatten(0, 1)
        left = kernel[:, :, -1, : self.reach].permute(2, 1, 0)
        self.before = torch.cat([above, left]).flatten(0, 1).contiguous()  # (taps * c_in, c_out)
        if spec is not None:
            shape = (spec.height + self.reach, spec.width + 2 * self.reach, n, kernel.shape[1])
            self.store_of = kernel.new_zeros(shape)
            self.context: tuple[int, int] = (-1, -1)

    def __call__(self, h: Tensor) -> Tensor:
        return torch.addmm(self.bias, h, self.own)

    def at(self, i: int, j: int, h: Tensor) -> Tensor:
        """The output at pixel (i, j), whose own input is h; h is stored for later pixels."""
        if self.context != (i, j):  # the part that only earlier pixels give: once for all colours
            window = self.store_of[i : i + self.reach, j : j + self.columns].flatten(0, 1)
            left = self.store_of[i + self.reach, j : j + self.reach]
            taps = torch.cat([window, left]).transpose(0, 1).flatten(1)  # (n, taps * c_in)
            self.before_sum = torch.addmm(self.bias, taps, self.before)
            self.context = (i, j)
        self.store(i, j, h)
        return torch.addmm(self.before_sum, h, self.own)

    def store(self, i: int, j: int, h: Tensor) -> None:
        self.store_of[i + self.reach, j + self.reach] = h


RECIPES: dict[str, dict[str, Any]] = {
    "default": {
        "about": "eight residual blocks of 64 channels",
        "model": {},
        "train": {"batch_size": 32, "epochs": 20.0, "clip": 1.0, "ema": 0.999},
    },
    "oord-2016": {
        "about": "the PixelCNN of arXiv:1601.06759 for MNIST: 81.30 nats, static binarisation",
        "model": {"features": 128, "blocks": 15, "head": 128},
        "train": {"batch_size": 16, "epochs": 100.0, "ema": 0.999},
        "data": {"levels": 2},
    },
    "demo": {
        "about": "digits in under four minutes on two cores",
        "model": {
            "features": 48,
            "blocks": 4,
            "first_kernel": 15,
            "kernel": 7,
            "head": 48,
            "position": True,
            "lr": 3e-3,
        },
        "train": {"batch_size": 16, "minutes": 3.6, "schedule": "cosine", "ema": 0.99},
        "data": {"levels": 4},
    },
}
