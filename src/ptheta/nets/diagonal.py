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


class _DiagonalBiLSTM(torch.autograd.Function):
    """See `diagonal_bilstm`.

    Gates are input, forget, output (sigmoid) and candidate (tanh), in this order. The backward pass
    walks the diagonals once for the gates; the gradients of all weights are products at the end.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, bias: Tensor, state: Tensor) -> Tensor:
        b, channels, height, width = x.shape
        f = state.shape[1] // 2
        n = height * width
        order, place = (index.to(x.device) for index in packing(height, width))
        cells = x.permute(2, 3, 0, 1).reshape(n, b * channels)
        packed = x.new_empty(2, n, b * channels)
        for k in range(2):
            torch.index_select(cells, 0, order[k], out=packed[k])
        packed = packed.view(2, n * b, channels)
        gates = torch.baddbmm(bias[:, None], packed, w).view(2, n, b, 4 * f)
        from_left, from_above = state[:, :f], state[:, f:]
        h, c, tanh_c = (gates.new_empty(2, n, b, f) for _ in range(3))
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
        ctx.save_for_backward(packed, w, state, gates, h, c, tanh_c)
        ctx.size = (b, height, width)
        out = h[0].flatten(1).index_select(0, place[0])  # (H W, B F)
        # the mirrored direction shows only the rows above
        out[width:] += h[1].flatten(1).index_select(0, place[1][: n - width])
        return out.view(height, width, b, f).permute(2, 3, 0, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        packed, w, state, gates, h, c, tanh_c = ctx.saved_tensors
        b, height, width = ctx.size
        f, n, channels = state.shape[1] // 2, height * width, w.shape[1]
        order, place = (index.to(grad.device) for index in packing(height, width))
        cells = grad.permute(2, 3, 0, 1).reshape(n, b * f)
        dh = torch.zeros_like(h)
        torch.index_select(cells, 0, order[0], out=dh[0].view(n, b * f))
        dh[1].view(n, b * f)[place[1][: n - width]] = cells[width:]
        to_left = state[:, :f].transpose(1, 2)
        to_above = state[:, f:].transpose(1, 2)
        dc = torch.zeros_like(c)
        dgates = torch.empty_like(gates)
        for d in reversed(diagonals(height, width)):
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
        flat = dgates.view(2, n * b, 4 * f)
        dstate = torch.empty_like(state)
        seen = torch.zeros_like(h)
        for which, part in (("left", dstate[:, :f]), ("above", dstate[:, f:])):
            seen.zero_()
            for d in diagonals(height, width):
                to, origin = getattr(d, which)
                seen[:, to] = h[:, origin]
            part.copy_(seen.view(2, n * b, f).transpose(1, 2) @ flat)
        dw = packed.transpose(1, 2) @ flat
        dpacked = (flat @ w.transpose(1, 2)).view(2, n, b * channels)
        dcells = dpacked[0].index_select(0, place[0])
        dcells += dpacked[1].index_select(0, place[1])
        dx = dcells.view(height, width, b, channels).permute(2, 3, 0, 1)
        return dx, dw, flat.sum(1), dstate


def diagonal_bilstm(x: Tensor, w: Tensor, bias: Tensor, state: Tensor) -> Tensor:
    """Both directions over an image, the mirrored one moved down by a row and added.

    x (B, C, H, W); w (2, C, 4 F) and bias (2, 4 F): from a pixel to its gates, for each direction;
    state (2, 2 F, 4 F): from the left and the upper output to the gates -> (B, F, H, W)
    """
    return _DiagonalBiLSTM.apply(x, w, bias, state)
