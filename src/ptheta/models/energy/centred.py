"""Centred gradients of a Boltzmann machine (Montavon & Mueller 2012, arXiv:1203.4416; Cho et al.
2011 as the enhanced gradient).

With offsets mu and lambda the energy is that of centred units, (s(v) - mu) W (h - lambda), whose
biases are b' = b + W lambda and c' = c + W^T mu. A gradient step of W, b', c' is one of W, b, c by

    dW = g_W - g_b lambda^T - mu g_c^T,    db = g_b - dW lambda,    dc = g_c - dW^T mu,

where g is the usual gradient: the learned machine is the same family, and the steps no longer
depend on which state of a unit is called 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from ptheta.nets.autograd import Saved

Three = tuple[Tensor, Tensor, Tensor]


class _Centred(torch.autograd.Function):
    apply: ClassVar[Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Three]]

    @staticmethod
    def forward(ctx: Saved, w: Tensor, b: Tensor, c: Tensor, mu: Tensor, lam: Tensor) -> Three:
        ctx.save_for_backward(mu, lam)
        return w.view_as(w), b.view_as(b), c.view_as(c)

    @staticmethod
    def backward(
        ctx: Saved, of_w: Tensor, of_b: Tensor, of_c: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None, None]:
        mu, lam = ctx.saved_tensors
        w = of_w.addr(of_b, lam, alpha=-1).addr_(mu, of_c, alpha=-1)
        return w, of_b - w @ lam, of_c - mu @ w, None, None


def centred(weight: Tensor, bias: Tensor, hidden_bias: Tensor, mu: Tensor, lam: Tensor) -> Three:
    """The weights themselves, whose gradients are those of a machine centred at mu and lambda.

    bias: as of s(v): of Gaussian units b / sigma
    """
    return _Centred.apply(weight, bias, hidden_bias, mu.clone(), lam.clone())
