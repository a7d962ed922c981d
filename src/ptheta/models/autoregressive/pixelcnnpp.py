"""PixelCNN++ (Salimans et al. 2017, arXiv:1701.05517) at one resolution.

What the paper changes in PixelCNN: pixels as a whole rather than colour by colour in the network,
a discretised mixture of logistics with linear R-G-B coupling as the distribution, two streams of
gated residual blocks with concat-ELU, and dropout. Left out: the paper's strided down- and
upsampling inside the network; the blocks see as far as they are many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge, Lt
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import Count, Parts, option
from ptheta.distributions.pixels import LogisticMixture, PixelDistribution
from ptheta.models.autoregressive.base import AutoregressiveConfig, PixelModel
from ptheta.models.autoregressive.walk import Stepper
from ptheta.models.recipes import Recipes
from ptheta.nets.condition import embedding
from ptheta.nets.incremental import RowBank, RowsAbove, add_row, pointwise
from ptheta.nets.masked import by_pixel
from ptheta.nets.modules import Modules, condition_shifts
from ptheta.specs import ImageSpec, full, to_symmetric


@dataclass(frozen=True)
class PixelCNNPPConfig(AutoregressiveConfig):
    features: Count = option(48, "channels of each stream", basic=True)
    blocks: Parts = option(6, "gated residual blocks of each stream", basic=True)
    components: Count = option(5, "mixture components (logistics) per pixel")
    dropout: Annotated[float, Ge(0), Lt(1)] = option(0.0, "share of features dropped in a block")


def concat_elu(x: Tensor, dim: int = 1) -> Tensor:
    """elu of x and of -x side by side: twice the channels."""
    return F.elu(torch.cat([x, -x], dim))


class ShiftedConv2d(nn.Module):
    """A convolution that sees `rows` rows up to its own and, of the columns, those around it
    ("down") or up to it ("right"); the paper's down- and down-right-shifted convolutions."""

    def __init__(self, c_in: int, c_out: int, rows: int, columns: int, *, right: bool) -> None:
        super().__init__()
        side = (columns - 1, 0) if right else (columns // 2, columns // 2)
        self.padding = (*side, rows - 1, 0)
        self.conv = nn.Conv2d(c_in, c_out, (rows, columns))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(F.pad(x, self.padding))
        return y

    def taps(self) -> tuple[Tensor, Tensor]:
        """Kernel (rows, columns, c_in, c_out) and bias (c_out,)."""
        assert self.conv.bias is not None
        weight = full(self.conv.weight.detach()).permute(2, 3, 1, 0).contiguous()
        return weight, full(self.conv.bias.detach())


class Block(nn.Module):
    """x + a sigmoid(b), (a, b) from two convolutions; the right stream also reads the down one."""

    def __init__(self, features: int, dropout: float, *, right: bool) -> None:
        super().__init__()
        shape = (2, 2) if right else (2, 3)
        self.first = ShiftedConv2d(2 * features, features, *shape, right=right)
        self.link = nn.Conv2d(2 * features, features, 1) if right else None
        self.dropout = streams.Dropout2d(dropout)
        self.second = ShiftedConv2d(2 * features, 2 * features, *shape, right=right)

    def forward(self, x: Tensor, down: Tensor | None, shift: Tensor | None) -> Tensor:
        h = self.first(concat_elu(x))
        if self.link is not None and down is not None:
            h = h + self.link(concat_elu(down))
        h = self.second(self.dropout(concat_elu(h)))
        return x + F.glu(h if shift is None else h + shift, 1)


class PixelCNNPP(PixelModel):
    """p(x) = prod over pixels of a mixture that the colours of a pixel share."""

    def __init__(
        self, spec: ImageSpec, config: PixelCNNPPConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        c, f = spec.channels, config.features
        # beside the colours a plane of ones, which tells the border from black
        self.above = ShiftedConv2d(c + 1, f, 2, 3, right=False)
        self.down_start = ShiftedConv2d(c + 1, f, 1, 3, right=False)
        self.left_start = ShiftedConv2d(c + 1, f, 2, 1, right=True)
        blocks = range(config.blocks)
        self.down = Modules(Block(f, config.dropout, right=False) for _ in blocks)
        self.right = Modules(Block(f, config.dropout, right=True) for _ in blocks)
        self.last = nn.Conv2d(f, self.numbers, 1)
        self.label = embedding(condition, config.blocks * 2 * f, config)

    @property
    def numbers(self) -> int:
        """Of each component: a weight, C locations, C scales and C (C - 1) / 2 couplings."""
        c = self.spec.channels
        return self.config.components * (1 + 2 * c + c * (c - 1) // 2)

    def shifts(self, condition: Condition | None) -> list[Tensor | None]:
        """What the condition adds before the gate of each block, (B, 2 F, 1, 1)."""
        return condition_shifts(self.label, self.asked(condition), self.config.blocks)

    def features(self, x: Tensor, condition: Condition | None) -> Tensor:
        """(B, numbers, H, W), from an image batch."""
        s = to_symmetric(self.spec.check(x))
        s = torch.cat([s, torch.ones_like(s[:, :1])], 1)
        s = by_pixel(s)
        down = shift_down(self.above(s))
        right = shift_down(self.down_start(s)) + shift_right(self.left_start(s))
        for a, b, shift in zip(self.down, self.right, self.shifts(condition), strict=True):
            down = a(down, None, shift)
            right = b(right, down, shift)
        out: Tensor = self.last(F.elu(right))
        return out

    def distribution(self, out: Tensor, x: Tensor) -> LogisticMixture:
        """out (B, numbers, H, W) and the image itself -> p(colour c | earlier colours, pixels).

        The joint mixture of a pixel, sum_k w_k p_k(r) p_k(g | r) p_k(b | r, g), as a product: each
        colour's mixture has the weights that the colours before it leave.
        """
        out = out if out.dtype == torch.double else full(out)
        m, c = self.config.components, x.shape[1]
        weights, loc, log_scale, coupling = out.split(
            [m, m * c, m * c, out.shape[1] - m - 2 * m * c], 1
        )
        loc, log_scale = loc.unflatten(1, (m, c)), log_scale.unflatten(1, (m, c))
        log_scale = (log_scale - 2).clamp(min=math.log(0.2 / (self.spec.levels - 1)))
        if c == 1:
            return LogisticMixture(weights[:, :, None], loc, log_scale, self.spec.levels)
        coupling = torch.tanh(coupling).unflatten(1, (m, -1))
        means = coupled_means(loc, coupling, to_symmetric(x)[:, None])
        logits = [weights]  # of the components, given the colours before
        for colour in range(c - 1):
            one = slice(colour, colour + 1)
            before = LogisticMixture(
                logits[-1][:, :, None], means[:, :, one], log_scale[:, :, one], self.spec.levels
            )
            logits.append(logits[-1] + before.component_log_prob(x[:, one])[:, :, 0])
        return LogisticMixture(torch.stack(logits, 2), means, log_scale, self.spec.levels)

    def conditionals(self, x: Tensor, condition: Condition | None = None) -> PixelDistribution:
        return self.distribution(self.features(x, condition), x)

    def stepper(self, n: int, condition: Condition | None = None) -> Stepper:
        return PixelCNNPPStepper(self, n, condition)


def coupled_means(loc: Tensor, coupling: Tensor, s: Tensor) -> Tensor:
    """The locations of each colour, moved by the values of the colours before it (section 2.2).

    loc (B, M, C, H, W); coupling (B, M, C (C - 1) / 2, H, W): of G with R, B with R, B with G;
    s (B, 1, C, H, W): the image in [-1, 1] -> (B, M, C, H, W)
    """
    means, weights = [loc[:, :, 0]], iter(coupling.unbind(2))
    for colour in range(1, loc.shape[2]):
        mean = loc[:, :, colour]
        for earlier in range(colour):
            mean = mean + next(weights) * s[:, :, earlier]
        means.append(mean)
    return torch.stack(means, 2)


def shift_down(x: Tensor) -> Tensor:
    """Moved down by a row: row i shows what is known before it."""
    return F.pad(x[:, :, :-1], (0, 0, 1, 0))


def shift_right(x: Tensor) -> Tensor:
    """Moved right by a column."""
    return F.pad(x[..., :-1], (1, 0))


class RightBank(RowBank):
    """2x2 kernels of the right stream, one for each block: keeps the row above."""

    def __init__(self, convs: list[ShiftedConv2d], n: int, width: int) -> None:
        taps, biases = zip(*(conv.taps() for conv in convs), strict=True)
        kernel = torch.stack(taps, 2)  # (2, 2, L, c_in, c_out)
        super().__init__(kernel[1], n, width)
        self.above_taps, self.bias = kernel[0], torch.stack(biases)[:, None, None]
        self.past = torch.zeros_like(self.row)

    def begin_row(self) -> None:
        self.past, self.row = self.row, self.past.zero_()
        self.above[:] = self.bias
        add_row(self.above, self.past, self.above_taps)


class PixelCNNPPStepper(Stepper):
    """The down stream a row at a time, the right stream pixel by pixel."""

    def __init__(self, model: PixelCNNPP, n: int, condition: Condition | None) -> None:
        self.model, self.width = model, model.spec.width

        def rows(conv: ShiftedConv2d) -> RowsAbove:
            return RowsAbove(*conv.taps(), n, self.width)

        self.above, self.down_start = rows(model.above), rows(model.down_start)
        self.down = [(rows(block.first), rows(block.second)) for block in model.down]
        self.first = RightBank([block.first for block in model.right], n, self.width)
        self.second = RightBank([block.second for block in model.right], n, self.width)
        self.link = [
            pointwise(block.link.weight, block.link.bias)
            for block in model.right
            if block.link is not None
        ]
        self.shifts = [None if s is None else full(s.flatten(1)) for s in model.shifts(condition)]
        taps, bias = model.left_start.taps()
        self.left_taps, self.left_bias = taps[:, 0], bias  # (2, c_in, F): the row above, this row
        self.last = pointwise(model.last.weight, model.last.bias)
        channels = model.spec.channels + 1
        self.now = taps.new_zeros(self.width, n, channels)  # this row, as the network sees it
        self.before = torch.zeros_like(self.now)  # the row above
        self.t = -1

    def begin_row(self, i: int) -> None:
        self.before, self.now = self.now, torch.zeros_like(self.now)
        if i:
            self.above.push(self.before)
            self.down_start.push(self.before)
        none = torch.zeros_like(self.above.out[0])
        h = self.above() if i else none  # the shift leaves nothing in the first row
        self.start = self.down_start() if i else none
        self.first.begin_row()
        self.second.begin_row()
        for k, ((first, second), shift) in enumerate(zip(self.down, self.shifts, strict=True)):
            first.push(concat_elu(h, -1))
            second.push(concat_elu(first(), -1))
            gates = second() if shift is None else second() + shift
            h = h + F.glu(gates, -1)
            weight, bias = self.link[k]
            self.first.above[k] += torch.addmm(bias, concat_elu(h, -1).flatten(0, 1), weight).view(
                *h.shape[:2], -1
            )
            if shift is not None:
                self.second.above[k] += shift

    def conditional(self, t: int, c: int, pixel: Tensor) -> PixelDistribution:
        i, j = divmod(t, self.width)
        if t != self.t:
            self.t = t
            if j == 0:
                self.begin_row(i)
            self.first.begin_pixel(j)
            self.second.begin_pixel(j)
            h = self.start[j]
            if j:  # moved right: the column before, of this row and of the row above
                h = h + self.left_bias + self.now[j - 1] @ self.left_taps[1]
                h = h + self.before[j - 1] @ self.left_taps[0]
            for k in range(len(self.down)):
                slot = self.first.slot(k, j)
                slot.copy_(concat_elu(h))
                inner = self.second.slot(k, j)
                inner.copy_(concat_elu(self.first.own_tap(k, slot)))
                h = h + F.glu(self.second.own_tap(k, inner), 1)
            weight, bias = self.last
            self.out = torch.addmm(bias, F.elu(h), weight)[:, :, None, None]
        whole = self.model.distribution(self.out, pixel[:, :, None, None])
        one = slice(c, c + 1)
        return LogisticMixture(
            whole.weights[:, :, one], whole.loc[:, :, one], whole.log_scale[:, :, one], whole.levels
        )

    def observe(self, t: int, pixel: Tensor) -> None:
        j = t % self.width
        self.now[j, :, :-1] = to_symmetric(pixel)
        self.now[j, :, -1] = 1


RECIPES: Recipes = {
    "default": {
        "about": "six blocks of 48 channels, five logistics",
        "model": {},
        "train": {"batch_size": 32, "epochs": 20.0, "clip": 1.0, "ema": 0.999},
    },
    "salimans-2017": {
        "about": "the widths of arXiv:1701.05517 for CIFAR-10, without its strided layers",
        "model": {"features": 160, "blocks": 15, "components": 10, "dropout": 0.5, "lr": 1e-3},
        "train": {"batch_size": 16, "epochs": 100.0, "ema": 0.9995},
    },
}
