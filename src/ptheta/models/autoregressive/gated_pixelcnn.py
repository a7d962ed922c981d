"""Gated PixelCNN (van den Oord et al. 2016, arXiv:1606.05328): two stacks, no blind spot."""

from __future__ import annotations

from dataclasses import dataclass

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
from ptheta.nets.gate import gate, gate_into
from ptheta.nets.heads import levels_head
from ptheta.nets.incremental import (
    Readout,
    RowBank,
    RowsAbove,
    masked_pointwise,
    pointwise,
    row_taps,
)
from ptheta.nets.masked import AboveConv2d, MaskedConv2d, RowConv2d, by_pixel
from ptheta.nets.modules import Modules, condition_shifts
from ptheta.specs import ImageSpec, full, to_symmetric


@dataclass(frozen=True)
class GatedPixelCNNConfig(MaskedConvConfig):
    features: Count = option(48, "channels of each stack", basic=True)
    layers: Parts = option(6, "gated layers, including the first", basic=True)
    kernel: Count = option(3, "width of the other kernels, pixels (odd)")
    position: bool = option(False, "learn a bias per pixel position in the first layer")

    def kernels(self) -> dict[str, int]:
        return super().kernels() | {"kernel": self.kernel}


class Layer(nn.Module):
    """One layer of both stacks: figure 2 of the paper.

    The vertical stack sees the rows above, the horizontal stack the row up to the pixel and, by
    the link, the vertical stack. The first layer shifts: it sees neither its own row (vertical)
    nor its own colour (horizontal), and has no residual connection.
    """

    def __init__(self, c_in: int, c: int, kernel: int, colours: int, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.down = AboveConv2d(c_in, 2 * c, kernel, strict=first)
        self.link = nn.Conv2d(2 * c, 2 * c, 1)
        self.row = RowConv2d(c_in, 2 * c, kernel, "A" if first else "B", colours, parts=2)
        # the residual and the skip connection read the same features: one product for both
        self.mix = MaskedConv2d(c, 2 * c, 1, "B", colours, parts=2)

    def forward(
        self, v: Tensor, h: Tensor, shift: Tensor | None, place: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """v, h (B, c_in, H, W) -> the next v, h, and the skip connection, (B, c, H, W) each."""
        down = self.down(v)
        across = self.row(h) + self.link(down)
        if shift is not None:
            down, across = down + shift, across + shift
        if place is not None:
            across = across + place
        residual, skip = self.mix(gate(across)).chunk(2, 1)
        return gate(down), residual if self.first else h + residual, skip


class GatedPixelCNN(PixelModel):
    """p(x) = prod_i p(x_i | x_<i) over sub-pixels in raster order, R before G before B."""

    def __init__(
        self, spec: ImageSpec, config: GatedPixelCNNConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        c, f = spec.channels, config.features
        self.distribution = levels_head(spec)
        self.layers = Modules(
            Layer(f if i else c, f, config.kernel if i else config.first_kernel, c, first=not i)
            for i in range(config.layers)
        )
        places = torch.zeros(2 * f, spec.height, spec.width)
        self.place = nn.Parameter(places) if config.position else None
        self.head = MaskedConv2d(f, config.head, 1, "B", c)
        self.last = MaskedConv2d(config.head, c * self.distribution.per_pixel, 1, "B", c)
        self.label = embedding(condition, config.layers * 2 * f, config)

    def shifts(self, condition: Condition | None) -> list[Tensor | None]:
        """What the condition adds before the gates of each layer, (B, 2 F, 1, 1); Nones without."""
        return condition_shifts(self.label, self.asked(condition), len(self.layers))

    def conditionals(self, x: Tensor, condition: Condition | None = None) -> PixelDistribution:
        v = h = by_pixel(to_symmetric(self.spec.check(x)))
        skips, place = None, self.place
        for layer, shift in zip(self.layers, self.shifts(condition), strict=True):
            v, h, skip = layer(v, h, shift, place)
            skips, place = skip if skips is None else skips + skip, None
        assert skips is not None
        return self.distribution(self.last(self.head(skips.relu()).relu()))

    def stepper(self, n: int, condition: Condition | None = None) -> Stepper:
        return GatedStepper(self, n, condition)


class GatedStepper(Stepper):
    """The vertical stack a row at a time, the horizontal one pixel by pixel."""

    def __init__(self, model: GatedPixelCNN, n: int, condition: Condition | None) -> None:
        self.distribution, self.spec = model.distribution, model.spec
        layers = list(model.layers)
        c, f, width = model.spec.channels, model.config.features, model.spec.width
        self.down = [
            RowsAbove(
                full(layer.down.weight.detach()).permute(2, 3, 1, 0).contiguous(),
                full(layer.down.bias.detach()),
                n,
                width,
            )
            for layer in layers
        ]
        self.link = [pointwise(layer.link.weight, layer.link.bias) for layer in layers]
        self.row_bias = [full(layer.row.bias.detach()) for layer in layers]
        self.shifts = [None if s is None else full(s.flatten(1)) for s in model.shifts(condition)]
        self.first = RowBank(row_taps([layers[0].row]), n, width)
        self.rest = (
            RowBank(row_taps([la.row for la in layers[1:]]), n, width) if layers[1:] else None
        )
        mixes = [masked_pointwise(layer.mix) for layer in layers]
        # beside a column of ones a product adds the bias as well
        self.residual = [torch.cat([w[:, :f], b[None, :f]]) for w, b in mixes]
        # the skips of all layers are one product at the end
        self.gated = mixes[0][0].new_ones(len(layers), n, f + 1)
        self.skip = torch.stack([w[:, f:] for w, _ in mixes]).flatten(0, 1)
        self.skip_bias = torch.stack([b[f:] for _, b in mixes]).sum(0)
        self.readout = Readout(model.head, model.last, c)
        self.place = None
        if model.place is not None:
            self.place = full(model.place.detach()).permute(1, 2, 0)[:, :, None]  # (H, W, 1, 2F)
        self.finished = mixes[0][0].new_zeros(width, n, c)  # the row above, as the network sees it
        self.t = -1

    def begin_row(self, i: int) -> None:
        """The vertical stack of row i, from the rows above: what it links to the horizontal one."""
        if i:
            self.down[0].push(self.finished)
        for k, (down, link, shift) in enumerate(
            zip(self.down, self.link, self.shifts, strict=True)
        ):
            features = down()  # (W, n, 2F)
            weight, bias = link
            across = torch.addmm(bias + self.row_bias[k], features.flatten(0, 1), weight).view_as(
                features
            )
            if shift is not None:
                features, across = features + shift, across + shift
            if k == 0:
                if self.place is not None:
                    across = across + self.place[i]
                self.first.row.zero_()
                self.first.above[0] = across
            elif self.rest is not None:
                self.rest.above[k - 1] = across
            if k + 1 < len(self.down):
                self.down[k + 1].push(gate(features, -1))
        if self.rest is not None:
            self.rest.row.zero_()

    def conditional(self, t: int, c: int, pixel: Tensor) -> PixelDistribution:
        i, j = divmod(t, self.spec.width)
        if t != self.t:
            self.t = t
            if j == 0:
                self.begin_row(i)
            self.first.begin_pixel(j)
            if self.rest is not None:
                self.rest.begin_pixel(j)
        if self.spec.channels == 1:
            across = self.first.before[0]
        else:
            across = self.first.own_tap(0, to_symmetric(pixel))
        gate_into(across, self.gated[0])
        if self.rest is not None:
            h = torch.mm(self.gated[0], self.residual[0], out=self.rest.slot(0, j))
            for k in range(1, len(self.down)):
                gate_into(self.rest.own_tap(k - 1, h), self.gated[k])
                if k + 1 < len(self.down):
                    h = torch.addmm(h, self.gated[k], self.residual[k], out=self.rest.slot(k, j))
        features = self.gated[:, :, :-1].transpose(0, 1).flatten(1)
        h = torch.addmm(self.skip_bias, features, self.skip)
        return self.distribution(self.readout(h, c))

    def observe(self, t: int, pixel: Tensor) -> None:
        j = t % self.spec.width
        self.finished[j] = to_symmetric(pixel)
        self.first.slot(0, j).copy_(self.finished[j])


RECIPES: Recipes = {
    "default": {
        "about": "six layers of 48 channels",
        "model": {},
        "train": {"batch_size": 32, "epochs": 20.0, "clip": 1.0, "ema": 0.999},
    },
    "oord-2016": {
        "about": "sizes of the usual MNIST reproduction of arXiv:1606.05328: 81.50 nats, dynamic",
        "model": {"features": 128, "layers": 11, "head": 32},
        "train": {"batch_size": 128, "epochs": 457.0, "ema": 0.999},
        "data": {"levels": 2, "dynamic": True},
    },
    "five-minutes": {
        "about": "dynamically binarised digits in five minutes on two cores",
        "model": {"features": 24, "layers": 7, "kernel": 5, "head": 32, "lr": 3e-3},
        "train": {"batch_size": 16, "minutes": 5.0, "schedule": "cosine", "ema": 0.99},
        "data": {"levels": 2, "dynamic": True},
    },
}
