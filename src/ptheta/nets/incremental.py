"""Masked convolutions evaluated pixel by pixel, for sampling: every activation is computed once.

At the start of a row, all that the rows above give to it is one product for all columns (and all
layers of a bank); at a pixel, all that its row's earlier pixels give is one product for all layers.
What is left to do layer after layer is the pixel's own tap.

Maps are laid out (L, columns, n, channels): a column of all images is one block of memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ptheta.nets.masked import MaskedConv2d, RowConv2d
from ptheta.specs import full


class RowBank:
    """The row taps of L convolutions of one shape, such as those of all residual blocks.

    taps: (reach + 1, L, c_in, c_out), the pixel's own tap last
    n: images; width: columns
    `above` (L, W, n, c_out) is what does not come from the row itself; whoever knows it fills it.
    """

    def __init__(self, taps: Tensor, n: int, width: int, dilation: int = 1) -> None:
        self.taps, self.own = taps[:-1], list(taps[-1].unbind())
        self.reach, self.dilation, self.width = len(taps) - 1, dilation, width
        self.margin = self.reach * dilation
        _, layers, c_in, c_out = taps.shape
        self.row = taps.new_zeros(layers, width + 2 * self.margin, n, c_in)
        self.above = taps.new_zeros(layers, width, n, c_out)
        self.before = taps.new_zeros(layers, n, c_out)
        self.narrow = c_in * self.reach <= 64  # then one product beats one for each tap
        self.flat = self.taps.transpose(0, 1).flatten(1, 2)  # (L, reach * c_in, c_out)

    def begin_pixel(self, j: int) -> None:
        """What all earlier pixels give to column j, for every layer: `before[l]`, (n, c_out)."""
        start = self.above[:, j]
        if not self.reach:
            self.before.copy_(start)
        elif self.narrow:
            seen = self.row[:, j : j + self.margin : self.dilation]  # (L, reach, n, c_in)
            seen = seen.transpose(1, 2).flatten(2)
            torch.baddbmm(start, seen, self.flat, out=self.before)
        else:
            for k, tap in enumerate(self.taps):
                seen = self.row[:, j + k * self.dilation]
                torch.baddbmm(start, seen, tap, out=self.before)
                start = self.before

    def slot(self, layer: int, j: int) -> Tensor:
        """Where the input of a layer at column j is kept, (n, c_in): to be filled."""
        return self.row[layer, j + self.margin]

    def own_tap(self, layer: int, h: Tensor) -> Tensor:
        """`before[layer]` and the pixel's own input h (n, c_in) together: (n, c_out)."""
        return torch.addmm(self.before[layer], h, self.own[layer])


class Bank(RowBank):
    """L masked convolutions of one shape: keeps the rows above that their kernels see."""

    def __init__(self, convs: Sequence[MaskedConv2d], n: int, width: int) -> None:
        kernel = torch.stack([full(conv.kernel().detach()) for conv in convs])
        kernel = kernel.permute(3, 4, 0, 2, 1).contiguous()  # (rows, columns, L, c_in, c_out)
        reach = len(kernel) - 1
        super().__init__(kernel[-1, : reach + 1], n, width, convs[0].dilation)
        self.above_taps = kernel[:-1]
        self.bias = _bias(convs)
        self.past = [torch.zeros_like(self.row) for _ in range(self.margin)]

    def begin_row(self) -> None:
        """Moves on by a row: what the rows above give to each column, and the bias."""
        if self.margin:
            self.past.append(self.row)
            self.row = self.past.pop(0).zero_()
        self.above[:] = self.bias
        for r, taps in enumerate(self.above_taps):
            add_row(self.above, self.past[r * self.dilation], taps, self.dilation)


class RowsAbove:
    """An unmasked convolution over the rows above (and at) a row, a whole row at a time.

    taps: (rows, columns, c_in, c_out); bias (c_out,)
    """

    def __init__(self, taps: Tensor, bias: Tensor, n: int, width: int) -> None:
        rows, columns, c_in, c_out = taps.shape
        self.taps, self.bias, self.margin = taps[:, :, None], bias, columns // 2
        self.width = width
        self.rows = [taps.new_zeros(1, width + 2 * self.margin, n, c_in) for _ in range(rows)]
        self.out = taps.new_zeros(1, width, n, c_out)

    def __call__(self) -> Tensor:
        """(W, n, c_out) of the rows pushed so far, as many as the kernel is high."""
        self.out[:] = self.bias
        for row, taps in zip(self.rows, self.taps, strict=True):
            add_row(self.out, row, taps)
        return self.out[0]

    def push(self, row: Tensor) -> None:
        """The next row of the map: (W, n, c_in)."""
        self.rows.append(self.rows.pop(0))
        self.rows[-1][0, self.margin : self.margin + self.width] = row


def add_row(total: Tensor, row: Tensor, taps: Tensor, dilation: int = 1) -> None:
    """Adds a row of kernels to `total` (L, W, n, c_out), in place.

    row: (L, W + margins, n, c_in); taps: (columns, L, c_in, c_out)
    """
    width = total.shape[1]
    flat = total.flatten(1, 2)
    seen = [row[:, k * dilation : k * dilation + width].flatten(1, 2) for k in range(len(taps))]
    if row.shape[-1] * len(taps) <= 64:  # few channels: one product is quicker than many thin ones
        flat.baddbmm_(torch.cat(seen, -1), taps.transpose(0, 1).flatten(1, 2))
    else:
        for part, tap in zip(seen, taps, strict=True):
            flat.baddbmm_(part, tap)


def row_taps(convs: Sequence[RowConv2d]) -> Tensor:
    """The kernels of row convolutions as RowBank takes them: (reach + 1, L, c_in, c_out)."""
    kernel = torch.stack([full(conv.kernel().detach()) for conv in convs])
    return kernel[:, :, :, 0].permute(3, 0, 2, 1).contiguous()


def pointwise(kernel: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """A 1x1 convolution as (weight (c_in, c_out), bias (c_out,)), from its kernel and bias."""
    assert bias is not None
    return full(kernel.detach())[:, :, 0, 0].t().contiguous(), full(bias.detach())


def masked_pointwise(conv: MaskedConv2d) -> tuple[Tensor, Tensor]:
    """The same of a masked 1x1 convolution."""
    return pointwise(conv.kernel(), conv.bias)


class Readout:
    """The two last 1x1 convolutions, relu(1x1(relu h)) and what of `last` belongs to a colour."""

    def __init__(self, head: MaskedConv2d, last: MaskedConv2d, colours: int) -> None:
        self.head = masked_pointwise(head)
        weight, bias = masked_pointwise(last)
        self.last = [(weight[:, c::colours].contiguous(), bias[c::colours]) for c in range(colours)]

    def __call__(self, h: Tensor, c: int) -> Tensor:
        """h (n, F), which is used up -> the numbers of colour c, (n, P, 1, 1)."""
        weight, bias = self.head
        h = torch.addmm(bias, h.relu_(), weight).relu_()
        weight, bias = self.last[c]
        return torch.addmm(bias, h, weight)[:, :, None, None]


def _bias(convs: Sequence[MaskedConv2d]) -> Tensor:
    """(L, 1, 1, c_out)"""
    return torch.stack([full(conv.bias.detach()) for conv in convs])[:, None, None]
