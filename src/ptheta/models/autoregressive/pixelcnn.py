"""PixelCNN (van den Oord et al. 2016, arXiv:1601.06759, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.conditions import ConditionSpec
from ptheta.config import Count, Parts, option
from ptheta.distributions.pixels import PixelDistribution
from ptheta.models.autoregressive.base import MaskedConvConfig, PixelModel
from ptheta.models.autoregressive.walk import Stepper
from ptheta.models.recipes import Recipes
from ptheta.nets.condition import embedding
from ptheta.nets.heads import levels_head
from ptheta.nets.incremental import Bank, Readout, masked_pointwise
from ptheta.nets.masked import MaskedConv2d, by_pixel
from ptheta.nets.modules import Modules, condition_shifts
from ptheta.specs import ImageSpec, full, to_symmetric


@dataclass(frozen=True)
class PixelCNNConfig(MaskedConvConfig):
    features: Count = option(
        64, "channels between the residual blocks (half as many inside)", basic=True
    )
    blocks: Parts = option(8, "residual blocks, each with one masked convolution", basic=True)
    kernel: Count = option(3, "width of the kernels in the blocks, pixels (odd)")
    dilation: Count = option(1, "largest dilation, pixels; the blocks cycle through 1, 2, 4, ...")
    position: bool = option(False, "learn a bias per pixel position after the first convolution")

    def kernels(self) -> dict[str, int]:
        return super().kernels() | {"kernel": self.kernel}


class Block(nn.Module):
    """x + 1x1(relu(kxk(relu(1x1(relu x))))), half the channels inside: figure 5 of the paper."""

    def __init__(self, features: int, kernel: int, colours: int, dilation: int = 1) -> None:
        super().__init__()
        half = max(features // 2, colours)
        self.reduce = MaskedConv2d(features, half, 1, "B", colours)
        self.look = MaskedConv2d(half, half, kernel, "B", colours, dilation)
        self.expand = MaskedConv2d(half, features, 1, "B", colours)

    def forward(self, x: Tensor, shift: Tensor | None = None) -> Tensor:
        """x (B, F, H, W); shift (B, half, 1, 1): what the label adds before the wide kernel."""
        h = self.reduce(x.relu())
        if shift is not None:
            h = h + shift
        return x + self.expand(self.look(h.relu()).relu())


class PixelCNN(PixelModel):
    """p(x) = prod_i p(x_i | x_<i) over sub-pixels in raster order, R before G before B."""

    def __init__(
        self, spec: ImageSpec, config: PixelCNNConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        c, f = spec.channels, config.features
        self.distribution = levels_head(spec)
        self.first = MaskedConv2d(c, f, config.first_kernel, "A", c)
        # the lower edge is ahead of every pixel, so without this a model cannot know it is near
        places = torch.zeros(f, spec.height, spec.width)
        self.place = nn.Parameter(places) if config.position else None
        self.blocks = Modules(
            Block(f, config.kernel, c, dilation) for dilation in dilations(config)
        )
        self.head = MaskedConv2d(f, config.head, 1, "B", c)
        self.last = MaskedConv2d(config.head, c * self.distribution.per_pixel, 1, "B", c)
        half = max(f // 2, c)
        self.label = embedding(condition, config.blocks * half, config)

    def shifts(self, condition: Condition | None) -> list[Tensor | None]:
        """What the condition adds in each block, (B, half, 1, 1) each; Nones without labels."""
        return condition_shifts(self.label, self.asked(condition), len(self.blocks))

    def output(
        self, x: Tensor, condition: Condition | None = None, context: Tensor | None = None
    ) -> Tensor:
        """The parameters of all conditionals, (B, P * C, H, W).

        context: added after the first convolution, (B, F, H, W): what is known beforehand
        """
        h = by_pixel(to_symmetric(self.spec.check(x)))
        h = self.first(h)
        if self.place is not None:
            h = h + self.place
        if context is not None:
            h = h + context
        for block, shift in zip(self.blocks, self.shifts(condition), strict=True):
            h = block(h, shift)
        return self.last(self.head(h.relu()).relu())

    def conditionals(self, x: Tensor, condition: Condition | None = None) -> PixelDistribution:
        return self.distribution(self.output(x, condition))

    def stepper(
        self, n: int, condition: Condition | None = None, context: Tensor | None = None
    ) -> Stepper:
        return PixelCNNStepper(self, n, condition, context)


def dilations(config: PixelCNNConfig) -> list[int]:
    """The dilation of each block: 1, 2, 4, ... up to the largest, and again."""
    cycle = [2**i for i in range(config.dilation.bit_length())]
    return [cycle[i % len(cycle)] for i in range(config.blocks)]


class BlockStep(NamedTuple):
    """A block at one pixel.

    reduce (F, half), bias (half,) or (n, half): the first 1x1 convolution, with what the label adds
    bank, layer: the wide kernels of its dilation, and which of them is its own
    expand: (half + 1, F), the last 1x1 convolution; beside a column of ones it adds the bias, too
    """

    reduce: Tensor
    bias: Tensor
    bank: Bank
    layer: int
    expand: Tensor

    @classmethod
    def of(cls, block: Block, shift: Tensor | None, bank: Bank, layer: int) -> BlockStep:
        reduce, bias = masked_pointwise(block.reduce)
        if shift is not None:
            bias = bias + full(shift.flatten(1))
        expand, expand_bias = masked_pointwise(block.expand)
        return cls(reduce, bias, bank, layer, torch.cat([expand, expand_bias[None]]))


class PixelCNNStepper(Stepper):
    """At each pixel the residual stream h (n, F) goes once through the blocks.

    Colour needs one pass for each colour, as the features of G need the value of R.
    """

    def __init__(
        self, model: PixelCNN, n: int, condition: Condition | None, context: Tensor | None = None
    ) -> None:
        self.distribution, self.width = model.distribution, model.spec.width
        self.grey = model.spec.channels == 1
        self.first = Bank([model.first], n, self.width)
        looks = [block.look for block in model.blocks]
        banks = {  # blocks of one dilation share their products
            dilation: Bank([conv for conv in looks if conv.dilation == dilation], n, self.width)
            for dilation in set(dilations(model.config))
        }
        self.banks = (self.first, *banks.values())
        self.steps: list[BlockStep] = []
        used = dict.fromkeys(banks, 0)
        for block, shift in zip(model.blocks, model.shifts(condition), strict=True):
            dilation = block.look.dilation
            self.steps.append(BlockStep.of(block, shift, banks[dilation], used[dilation]))
            used[dilation] += 1
        self.place = None
        if model.place is not None:
            self.place = full(model.place).permute(1, 2, 0)[:, :, None]  # (H, W, 1, F)
        if context is not None:
            known = full(context).permute(2, 3, 0, 1)  # (H, W, n, F)
            self.place = known if self.place is None else self.place + known
        self.looked = self.first.before.new_ones(n, len(self.steps[0].expand))
        self.readout = Readout(model.head, model.last, model.spec.channels)
        self.t = -1

    def conditional(self, t: int, c: int, pixel: Tensor) -> PixelDistribution:
        i, j = divmod(t, self.width)
        if t != self.t:
            self.t = t
            for bank in self.banks:
                if j == 0:
                    bank.begin_row()
            if j == 0 and self.place is not None:
                self.first.above[0] += self.place[i]
            for bank in self.banks:
                bank.begin_pixel(j)
        h = self.first.before[0]
        h = h.clone() if self.grey else self.first.own_tap(0, to_symmetric(pixel))
        inner = self.looked[:, :-1]
        for reduce, bias, bank, layer, expand in self.steps:
            slot = bank.slot(layer, j)
            torch.addmm(bias, h.relu(), reduce, out=slot).relu_()
            torch.addmm(bank.before[layer], slot, bank.own[layer], out=inner)
            h.addmm_(self.looked.relu_(), expand)
        return self.distribution(self.readout(h, c))

    def observe(self, t: int, pixel: Tensor) -> None:
        self.first.slot(0, t % self.width).copy_(to_symmetric(pixel))


RECIPES: Recipes = {
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
    "dilated": {
        "about": "wide context by dilation 1, 2, 4, 8 (arXiv:1511.07122)",
        "model": {"dilation": 8},
        "train": {"batch_size": 32, "epochs": 20.0, "clip": 1.0, "ema": 0.999},
    },
    "demo": {
        "about": "digits in just over four minutes on two cores",
        "model": {
            "features": 48,
            "blocks": 4,
            "first_kernel": 15,
            "kernel": 7,
            "head": 48,
            "position": True,
            "lr": 3e-3,
        },
        "train": {"batch_size": 16, "minutes": 4.2, "schedule": "cosine", "ema": 0.99},
        "data": {"levels": 4},
    },
}
