"""A two-dimensional LSTM by diagonals, in two directions: the loop of the Diagonal BiLSTM.

Cell (i, j) takes the state of its left neighbour (i, j - 1) and the output of its upper neighbour
(i - 1, j), so all cells of a diagonal i + j = k are computed at once (van den Oord et al. 2016,
arXiv:1601.06759, section 3.2). The other direction is the same on the mirrored image.

Cells are kept packed in the order of the diagonals, (2, H * W, B, channels): a diagonal is one
block, its neighbours are blocks too, and there is no padding, so nothing outside is ever read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Diagonal:
    """Where a diagonal lies in the packed order, and which part of it has which neighbour.

    start, stop: its cells; left: (to, from) slices of its cells that have a left neighbour and of
    those neighbours; above: the same for the upper one; empty slices on the first diagonal
    """

    start: int
    stop: int
    left: tuple[slice, slice]
    above: tuple[slice, slice]


@cache
def diagonals(height: int, width: int) -> tuple[Diagonal, ...]:
    """All diagonals; within one, rows grow."""
    found: list[Diagonal] = []
    start, first = 0, 0
    for k in range(height + width - 1):
        top, bottom = max(0, k - width + 1), min(height - 1, k)
        stop = start + bottom - top + 1
        left = above = (slice(0, 0), slice(0, 0))
        if found:
            before = found[-1]
            old_top, old_bottom = first, first + before.stop - before.start - 1

            def part(lo: int, hi: int, shift: int) -> tuple[slice, slice]:
                """Rows lo..hi of this diagonal, and rows lo - shift.. of the one before."""
                to = slice(start + lo - top, start + hi - top + 1)  # noqa: B023
                origin = before.start + lo - shift - old_top  # noqa: B023
                return to, slice(origin, origin + hi - lo + 1)

            left = part(max(top, old_top), min(bottom, old_bottom), 0)
            above = part(max(top, old_top + 1), min(bottom, old_bottom + 1), 1)
        found.append(Diagonal(start, stop, left, above))
        start, first = stop, top
    return tuple(found)


@cache
def packing(height: int, width: int) -> tuple[Tensor, Tensor]:
    """(order, place): order (2, H * W) gives each packed cell's place in the image, for the image
    and its mirror; place (2, H * W) is the inverse."""
    cells = [
        (i, k - i)
        for k in range(height + width - 1)
        for i in range(max(0, k - width + 1), min(height - 1, k) + 1)
    ]
    order = torch.tensor(
        [[i * width + j for i, j in cells], [i * width + width - 1 - j for i, j in cells]]
    )
    return order, torch.argsort(order, 1)


class _DiagonalLSTM(torch.autograd.Function):
    """gates (2, N, B, 4 F), what the image gives to each cell; weights (2, 2 F, 4 F), from the
    left and the upper output (stacked) to the gates -> outputs (2, N, B, F).

    Gates are input, forget, output (sigmoid) and candidate (tanh), in this order. The backward pass
    walks the diagonals once for the gates; the weights' gradient is one product at the end.
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weights: Tensor, height: int, width: int) -> Tensor:
        f = weights.shape[1] // 2
        gates = gates.clone(memory_format=torch.contiguous_format)
        from_left, from_above = weights[:, :f], weights[:, f:]
        shape = (*gates.shape[:3], f)
        h, c, tanh_c = gates.new_empty(shape), gates.new_empty(shape), gates.new_empty(shape)
        for d in diagonals(height, width):
            for (to, origin), weight in ((d.left, from_left), (d.above, from_above)):
                if to.stop > to.start:
                    flat = gates[:, to].flatten(1, 2)  # a view
                    flat.baddbmm_(h[:, origin].flatten(1, 2), weight)
            g = gates[:, d.start : d.stop]
            g[..., : 3 * f].sigmoid_()
            g[..., 3 * f :].tanh_()
            cell = torch.mul(g[..., :f], g[..., 3 * f :], out=c[:, d.start : d.stop])
            to, origin = d.left
            if to.stop > to.start:
                c[:, to].addcmul_(gates[:, to, :, f : 2 * f], c[:, origin])
            t = torch.tanh(cell, out=tanh_c[:, d.start : d.stop])
            torch.mul(t, g[..., 2 * f : 3 * f], out=h[:, d.start : d.stop])
        ctx.save_for_backward(gates, weights, h, c, tanh_c)
        ctx.size = (height, width)
        return h

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        gates, weights, h, c, tanh_c = ctx.saved_tensors
        f = weights.shape[1] // 2
        to_left = weights[:, :f].transpose(1, 2)
        to_above = weights[:, f:].transpose(1, 2)
        dh = grad.clone(memory_format=torch.contiguous_format)
        dc = torch.zeros_like(c)
        dgates = torch.empty_like(gates)
        for d in reversed(diagonals(*ctx.size)):
            at = slice(d.start, d.stop)
            g, t, dg = gates[:, at], tanh_c[:, at], dgates[:, at]
            i, forget, o, candidate = g.split(f, -1)
            # h = o tanh(c)
            cell = dc[:, at]
            cell.addcmul_(dh[:, at] * o, 1 - t.square())
            torch.mul(dh[:, at], t, out=dg[..., 2 * f : 3 * f])
            # c = i g + f c_left
            torch.mul(cell, candidate, out=dg[..., :f])
            torch.mul(cell, i, out=dg[..., 3 * f :]).mul_(1 - candidate.square())
            dg[..., f : 2 * f].zero_()
            to, origin = d.left
            if to.stop > to.start:
                torch.mul(dc[:, to], c[:, origin], out=dgates[:, to, :, f : 2 * f])
                inside = slice(to.start - d.start, to.stop - d.start)
                dc[:, origin].addcmul_(cell[:, inside], forget[:, inside])
            s = g[..., : 3 * f]
            dg[..., : 3 * f].mul_(s - s.square())  # the slope of the sigmoid
            for (to, origin), weight in ((d.left, to_left), (d.above, to_above)):
                if to.stop > to.start:
                    dh[:, origin].flatten(1, 2).baddbmm_(dgates[:, to].flatten(1, 2), weight)
        dw = torch.empty_like(weights)
        for which, part in (("left", dw[:, :f]), ("above", dw[:, f:])):
            seen = torch.zeros_like(h)
            for d in diagonals(*ctx.size):
                to, origin = getattr(d, which)
                seen[:, to] = h[:, origin]
            part.copy_(seen.flatten(1, 2).transpose(1, 2) @ dgates.flatten(1, 2))
        return dgates, dw, None, None


def diagonal_lstm(gates: Tensor, weights: Tensor) -> Tensor:
    """Both directions over an image.

    gates: (B, 8 F, H, W), what each pixel gives to the gates of the first and then of the mirrored
    direction; weights: (2, 2 F, 4 F) -> outputs (2, B, F, H, W), both in the image's own place
    """
    b, _, height, width = gates.shape
    order, place = (x.to(gates.device) for x in packing(height, width))
    cells = gates.flatten(2).permute(2, 0, 1)  # (H W, B, 8 F)
    one, other = cells.chunk(2, -1)
    packed = torch.stack([one[order[0]], other[order[1]]])
    h = _DiagonalLSTM.apply(packed, weights, height, width)  # (2, H W, B, F)
    back = torch.stack([h[0][place[0]], h[1][place[1]]])
    return back.view(2, height, width, b, -1).permute(0, 3, 4, 1, 2)
