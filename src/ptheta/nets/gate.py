"""The gated activation tanh(a) * sigmoid(2 b) of arXiv:1606.05328, with one pass of tanh.

sigmoid(2 b) = (1 + tanh b) / 2, so both halves of the input go through the same function; the 2 is
a matter of the scale of weights. Backward needs only the tanh, so nothing else is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from ptheta.nets.autograd import Saved


class _Saved(Saved, Protocol):
    dim: int


class _Gate(torch.autograd.Function):
    apply: ClassVar[Callable[[Tensor, int], Tensor]]

    @staticmethod
    def forward(ctx: _Saved, x: Tensor, dim: int) -> Tensor:
        t = torch.tanh(x)
        ctx.save_for_backward(t)
        ctx.dim = dim
        a, b = t.chunk(2, dim)
        return torch.addcmul(a, a, b).mul_(0.5)

    @staticmethod
    def backward(ctx: _Saved, grad: Tensor) -> tuple[Tensor, None]:
        (t,) = ctx.saved_tensors
        a, b = t.chunk(2, ctx.dim)
        out = torch.empty_like(t)
        into_a, into_b = out.chunk(2, ctx.dim)
        half = grad * 0.5
        # d/da = (1 + tanh b) / 2, d/db = tanh(a) / 2, each times the slope 1 - t^2
        torch.addcmul(half, half, b, out=into_a)
        torch.mul(half, a, out=into_b)
        return out.addcmul_(out, t.square(), value=-1), None


def gate(x: Tensor, dim: int = 1) -> Tensor:
    """tanh(a) * sigmoid(2 b) of the two halves a, b of x along `dim`, which is halved."""
    return _Gate.apply(x, dim)


def gate_into(x: Tensor, out: Tensor) -> None:
    """The same of x (n, 2 c), into the first c columns of `out`; x is used up."""
    c = x.shape[1] // 2
    t = x.tanh_()
    torch.addcmul(t[:, :c], t[:, :c], t[:, c:], out=out[:, :c]).mul_(0.5)
