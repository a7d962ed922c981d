"""PixelRNN: Row LSTM and Diagonal BiLSTM (van den Oord et al. 2016, arXiv:1601.06759)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

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
from ptheta.nets.incremental import Bank, Readout, RowBank, RowsAbove, masked_pointwise, row_taps
from ptheta.nets.masked import MaskedConv2d, by_pixel
from ptheta.nets.modules import Modules
from ptheta.nets.pixel_lstm import DiagonalLayer, RowLayer, lstm
from ptheta.specs import ImageSpec, full, to_symmetric


@dataclass(frozen=True)
class PixelRNNConfig(MaskedConvConfig):
    features: Count = option(16, "units h of each LSTM", basic=True)
    layers: Parts = option(
        2, "LSTM layers, each with a residual connection of 2 h channels", basic=True
    )
    head: Count = option(32, "channels of the last two 1x1 convolutions")


@dataclass(frozen=True)
class RowLSTMConfig(PixelRNNConfig):
    kernel: Count = option(
        3, "width of the state-to-state convolution over the row above, pixels (odd)"
    )

    def kernels(self) -> dict[str, int]:
        return super().kernels() | {"kernel": self.kernel}


L = TypeVar("L", bound=nn.Module)


class PixelRNN(PixelModel, Generic[L]):
    """A first masked convolution to 2 h channels, LSTM layers with residuals, two 1x1 layers."""

    def __init__(
        self,
        spec: ImageSpec,
        config: PixelRNNConfig,
        layer: Callable[[], L],
        condition: ConditionSpec | None = None,
    ) -> None:
        """layer: makes one of the LSTM layers"""
        super().__init__(spec, config, condition)
        self.config = config
        layers = [layer() for _ in range(config.layers)]
        c, wide = spec.channels, 2 * config.features
        self.distribution = levels_head(spec)
        self.first = MaskedConv2d(c, wide, config.first_kernel, "A", c)
        self.layers = Modules(layers)
        self.out = Modules(MaskedConv2d(config.features, wide, 1, "B", c) for _ in layers)
        self.head = MaskedConv2d(wide, config.head, 1, "B", c)
        self.last = MaskedConv2d(config.head, c * self.distribution.per_pixel, 1, "B", c)
        self.label = embedding(condition, wide, config)

    def shift(self, condition: Condition | None) -> Tensor | None:
        """What the condition adds to the first features: (B, 2 h, 1, 1)."""
        asked = self.asked(condition)
        if self.label is None or asked is None:
            return None
        more: Tensor = self.label(asked)
        return more[:, :, None, None]

    def conditionals(self, x: Tensor, condition: Condition | None = None) -> PixelDistribution:
        h = by_pixel(to_symmetric(self.spec.check(x)))
        h, shift = self.first(h), self.shift(condition)
        if shift is not None:
            h = h + shift
        for layer, out in zip(self.layers, self.out, strict=True):
            h = h + out(layer(h))
        return self.distribution(self.last(self.head(h.relu()).relu()))


class RowLSTM(PixelRNN[RowLayer]):
    """The context of a pixel is a triangle above it and its own row."""

    def __init__(
        self, spec: ImageSpec, config: RowLSTMConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(
            spec,
            config,
            lambda: RowLayer(config.features, config.kernel, spec.channels),
            condition,
        )

    def stepper(self, n: int, condition: Condition | None = None) -> Stepper:
        return RowStepper(self, n, condition)


class DiagonalBiLSTM(PixelRNN[DiagonalLayer]):
    """The context of a pixel is everything before it."""

    def __init__(
        self, spec: ImageSpec, config: PixelRNNConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(
            spec,
            config,
            lambda: DiagonalLayer(config.features, spec.channels),
            condition,
        )

    def stepper(self, n: int, condition: Condition | None = None) -> Stepper:
        return DiagonalStepper(self, n, condition)


class RNNStepper(Stepper):
    """The residual stream of one pixel through the layers, whose states are carried along."""

    def __init__(self, model: PixelRNN[L], n: int, condition: Condition | None) -> None:
        self.distribution, self.colours = model.distribution, model.spec.channels
        self.width, self.f = model.spec.width, model.config.features
        shift = model.shift(condition)
        self.shift = None if shift is None else full(shift.flatten(1))
        self.first = Bank([model.first], n, self.width)
        self.out = [masked_pointwise(out) for out in model.out]
        self.readout = Readout(model.head, model.last, self.colours)
        self.t = -1

    @abstractmethod
    def begin_row(self, i: int) -> None:
        """What the finished rows give to row i."""

    @abstractmethod
    def begin_pixel(self, j: int) -> None:
        """What the finished pixels of the row give to column j."""

    @abstractmethod
    def step(self, layer: int, j: int, x: Tensor) -> Tensor:
        """A layer at column j: its input (n, 2 h) -> its output (n, h)."""

    def conditional(self, t: int, c: int, pixel: Tensor) -> PixelDistribution:
        i, j = divmod(t, self.width)
        if t != self.t:
            self.t = t
            if j == 0:
                self.first.begin_row()
                self.begin_row(i)
            self.first.begin_pixel(j)
            self.begin_pixel(j)
        h = self.first.own_tap(0, to_symmetric(pixel))
        if self.shift is not None:
            h += self.shift
        for layer, (weight, bias) in enumerate(self.out):
            h = h + torch.addmm(bias, self.step(layer, j, h), weight)
        return self.distribution(self.readout(h, c))

    def observe(self, t: int, pixel: Tensor) -> None:
        self.first.slot(0, t % self.width).copy_(to_symmetric(pixel))


class RowStepper(RNNStepper):
    def __init__(self, model: RowLSTM, n: int, condition: Condition | None) -> None:
        super().__init__(model, n, condition)
        layers = list(model.layers)
        self.input = RowBank(row_taps([layer.input for layer in layers]), n, self.width)
        self.bias = [full(layer.input.bias.detach()) for layer in layers]
        self.state = [
            RowsAbove(
                full(layer.state.weight.detach()).permute(2, 1, 0)[None].contiguous(),
                bias,
                n,
                self.width,
            )
            for layer, bias in zip(layers, self.bias, strict=True)
        ]
        self.h = self.first.before.new_zeros(len(layers), self.width, n, self.f)
        self.c = torch.zeros_like(self.h)

    def begin_row(self, i: int) -> None:
        for layer, state in enumerate(self.state):
            if i:
                state.push(self.h[layer])
            self.input.above[layer] = state()
        self.above_c = self.c.clone()
        self.input.row.zero_()

    def begin_pixel(self, j: int) -> None:
        self.input.begin_pixel(j)

    def step(self, layer: int, j: int, x: Tensor) -> Tensor:
        self.input.slot(layer, j).copy_(x)
        gates = self.input.own_tap(layer, x)
        self.h[layer, j], self.c[layer, j] = lstm(gates, self.above_c[layer, j])
        return self.h[layer, j]


class DiagonalStepper(RNNStepper):
    """From the left the state is carried pixel by pixel; the mirrored direction over a row runs
    once the row is finished, all layers at once. Each cell is computed once."""

    def __init__(self, model: DiagonalBiLSTM, n: int, condition: Condition | None) -> None:
        super().__init__(model, n, condition)
        layers = list(model.layers)
        inputs = [masked_pointwise(layer.input) for layer in layers]
        weight, bias = (torch.stack(part) for part in zip(*inputs, strict=True))
        f4, f = 4 * self.f, self.f
        self.own, self.own_bias = weight[..., :f4].contiguous(), bias[:, None, :f4]
        self.mirror, self.mirror_bias = weight[..., f4:].contiguous(), bias[:, None, f4:]
        states = torch.stack([full(layer.state.detach()) for layer in layers])
        self.left, self.up = states[:, 0, :f].contiguous(), states[:, 0, f:].contiguous()
        self.right, self.mirror_up = states[:, 1, :f].contiguous(), states[:, 1, f:].contiguous()
        new = weight.new_zeros
        self.x = new(len(layers), self.width, n, 2 * f)  # the layers' inputs in this row
        self.h = new(len(layers), self.width, n, f)  # the row above, then this row
        self.c = new(len(layers), self.width, n, f)
        self.other = torch.zeros_like(self.h)  # the mirrored direction in the row above

    def begin_row(self, i: int) -> None:
        layers, width, n, _ = self.x.shape
        self.up_gates = torch.baddbmm(self.own_bias, self.h.flatten(1, 2), self.up)
        self.up_gates = self.up_gates.view(layers, width, n, -1)
        if i == 0:
            return
        gates = torch.baddbmm(self.mirror_bias, self.x.flatten(1, 2), self.mirror)
        gates = torch.baddbmm(gates, self.other.flatten(1, 2), self.mirror_up)
        gates = gates.view(layers, width, n, -1)
        h: Tensor | None = None
        c: Tensor | float = 0.0
        for j in reversed(range(width)):
            g = gates[:, j] if h is None else torch.baddbmm(gates[:, j], h, self.right)
            h, c = lstm(g, c)
            self.other[:, j] = h

    def begin_pixel(self, j: int) -> None:
        self.before = self.up_gates[:, j]
        if j:
            self.before = torch.baddbmm(self.before, self.h[:, j - 1], self.left)

    def step(self, layer: int, j: int, x: Tensor) -> Tensor:
        self.x[layer, j] = x
        gates = torch.addmm(self.before[layer], x, self.own[layer])
        h, self.c[layer, j] = lstm(gates, self.c[layer, j - 1] if j else 0.0)
        self.h[layer, j] = h
        return h + self.other[layer, j]


_TRAIN = {"batch_size": 32, "epochs": 20.0, "clip": 1.0, "ema": 0.999}
RECIPES: Recipes = {
    "default": {"about": "two layers of 16 units", "model": {}, "train": _TRAIN},
    "oord-2016": {
        "about": "sizes of arXiv:1601.06759 for MNIST: 7 layers of 16 units, static binarisation",
        "model": {"features": 16, "layers": 7, "head": 32},
        "train": {"batch_size": 16, "epochs": 50.0, "ema": 0.999},
        "data": {"levels": 2},
    },
}
