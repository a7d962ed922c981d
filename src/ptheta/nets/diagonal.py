"""A two-dimensional LSTM by diagonals, in two directions: the loop of the Diagonal BiLSTM.

Cell (i, j) takes the state of its left neighbour (i, j - 1) and the output of its upper neighbour
(i - 1, j), so all cells of a diagonal i + j = k are computed at once (van den Oord et al. 2016,
arXiv:1601.06759, section 3.2). The other direction is the same on the mirrored image.

Cells are kept packed in the order of the diagonals, (2, H * W, B, channels): a diagonal is one
block, its neighbours are blocks too, and there is no padding, so nothing outside is ever read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from ptheta.compute.constants import on
from ptheta.compute.precise import precise
from ptheta.nets.autograd import Saved
from ptheta.specs import full


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


def _rows(height: int, width: int) -> list[range]:
    """The rows in which each diagonal has a cell."""
    return [range(max(0, k - width + 1), min(height - 1, k) + 1) for k in range(height + width - 1)]


def _neighbours(
    rows: range, start: int, before: range, start_before: int, up: int
) -> tuple[slice, slice]:
    """(to, from) of the cells of a diagonal whose neighbour, `up` rows further up, lies on the
    diagonal before."""
    first = max(rows.start, before.start + up)
    last = max(first, min(rows.stop, before.stop + up))
    to, origin = start + first - rows.start, start_before + first - up - before.start
    return slice(to, to + last - first), slice(origin, origin + last - first)


@cache
def diagonals(height: int, width: int) -> tuple[Diagonal, ...]:
    """All diagonals; within one, rows grow."""
    rows = _rows(height, width)
    starts = [0, *accumulate(map(len, rows))]
    found, before = [], (range(0), 0)
    for own in zip(rows, starts, strict=False):
        left, above = (_neighbours(*own, *before, up) for up in (0, 1))
        found.append(Diagonal(own[1], own[1] + len(own[0]), left, above))
        before = own
    return tuple(found)


@cache
def packing(height: int, width: int) -> tuple[Tensor, Tensor]:
    """(order, place): order (2, H * W) gives each packed cell's place in the image, for the image
    and its mirror; place (2, H * W) is the inverse."""
    cells = [(i, k - i) for k, rows in enumerate(_rows(height, width)) for i in rows]
    order = torch.tensor(
        [[i * width + j for i, j in cells], [i * width + width - 1 - j for i, j in cells]]
    )
    return order, torch.argsort(order, 1)


class _Saved(Saved, Protocol):
    size: tuple[int, int, int]


class _DiagonalBiLSTM(torch.autograd.Function):
    """See `diagonal_bilstm`.

    Gates are input, forget, output (sigmoid) and candidate (tanh), in this order. The backward pass
    walks the diagonals once for the gates; the gradients of all weights are products at the end.
    """

    apply: ClassVar[Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]]

    @staticmethod
    def forward(ctx: _Saved, x: Tensor, w: Tensor, bias: Tensor, state: Tensor) -> Tensor:
        b, channels, height, width = x.shape
        f = state.shape[1] // 2
        n = height * width
        order, place = (on(index, x.device) for index in packing(height, width))
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
    def backward(ctx: _Saved, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        packed, w, state, gates, h, c, tanh_c = ctx.saved_tensors
        b, height, width = ctx.size
        n, channels = height * width, w.shape[1]
        order, place = (on(index, grad.device) for index in packing(height, width))
        cells = grad.permute(2, 3, 0, 1).reshape(n, -1)
        dh = torch.zeros_like(h)
        torch.index_select(cells, 0, order[0], out=dh[0].view(n, -1))
        dh[1].view(n, -1)[place[1][: n - width]] = cells[width:]
        lines = diagonals(height, width)
        dgates = _gate_gradients(dh, gates, c, tanh_c, state, lines).view(2, n * b, -1)
        dw = packed.transpose(1, 2) @ dgates
        dpacked = (dgates @ w.transpose(1, 2)).view(2, n, b * channels)
        dcells = dpacked[0].index_select(0, place[0])
        dcells += dpacked[1].index_select(0, place[1])
        dx = dcells.view(height, width, b, channels).permute(2, 3, 0, 1)
        return dx, dw, dgates.sum(1), _state_gradient(h, dgates, lines)


def _gate_gradients(
    dh: Tensor,
    gates: Tensor,
    c: Tensor,
    tanh_c: Tensor,
    state: Tensor,
    lines: tuple[Diagonal, ...],
) -> Tensor:
    """The gradient at the gates' inputs, (2, H * W, B, 4 F), from that at the outputs, dh, to which
    each cell adds its neighbours' on the way back."""
    f = state.shape[1] // 2
    to_left, to_above = state[:, :f].transpose(1, 2), state[:, f:].transpose(1, 2)
    dc, dgates = torch.zeros_like(c), torch.empty_like(gates)
    for d in reversed(lines):
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
    return dgates


def _state_gradient(h: Tensor, dgates: Tensor, lines: tuple[Diagonal, ...]) -> Tensor:
    """(2, 2 F, 4 F): of the weights from the left and the upper output. dgates: (2, H W B, 4 F)"""
    f = h.shape[-1]
    gradient = dgates.new_empty(2, 2 * f, dgates.shape[-1])
    seen = torch.zeros_like(h)  # the neighbour's output at each cell, 0 where there is none
    from_left, from_above = [d.left for d in lines], [d.above for d in lines]
    for part, neighbours in ((gradient[:, :f], from_left), (gradient[:, f:], from_above)):
        seen.zero_()
        for to, origin in neighbours:
            seen[:, to] = h[:, origin]
        part.copy_(seen.view(2, -1, f).transpose(1, 2) @ dgates)
    return gradient


def diagonal_bilstm(x: Tensor, w: Tensor, bias: Tensor, state: Tensor) -> Tensor:
    """Both directions over an image, the mirrored one moved down by a row and added.

    x (B, C, H, W); w (2, C, 4 F) and bias (2, 4 F): from a pixel to its gates, for each direction;
    state (2, 2 F, 4 F): from the left and the upper output to the gates -> (B, F, H, W)

    Computed in float32 under autocast, too: a long sum of cell states has no digits left in half.
    """
    with precise(x.device):
        return _DiagonalBiLSTM.apply(full(x), full(w), full(bias), full(state))
