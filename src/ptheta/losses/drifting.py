"""The drifting field (Deng et al. 2026, "Generative Modeling via Drifting", arXiv:2602.04770).

A generated point x is drawn to points p of the data and away from points q of the generator:

    V(x) = 1 / (Z_p Z_q) sum_jk k(x, p_j) k(x, q_k) (p_j - q_k),    k(x, y) = exp(-|x - y| / tau)

It is anti-symmetric in p and q, so that it is 0 everywhere if both are equal. The generator is
regressed on x + V(x), with a stopped gradient: its samples drift along the field until their
distribution is that of the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ptheta.compute.precise import precise, wide
from ptheta.losses.mmd import LEAST, root, squares


@torch.no_grad()
def field(
    x: Tensor, data: Tensor, own: Tensor, temperature: Tensor | float, *, itself: bool = False
) -> Tensor:
    """V of each x: (n, D), by algorithm 2 of the paper.

    The weights a of all points p and q together are the root of two softmaxes of -|x - y| / tau,
    one over the points and one over the x, and V = sum_j w_j p_j - sum_k w_k q_k with
    w_j = a_j sum_k a_k and w_k = a_k sum_j a_j: both sums of weights are the same.

    Args:
        x: points (n, D); data: p, (m, D); own: q, (l, D)
        temperature: tau, in the unit of the distance
        itself: whether own is x, of which none repels itself
    """
    to_own = root(squares(x, own))
    if itself:
        to_own = to_own + torch.diag(to_own.new_full((len(x),), math.inf))
    logits = -torch.cat([root(squares(x, data)), to_own], 1) / temperature
    each = (0.5 * (logits.log_softmax(1) + logits.log_softmax(0))).exp()
    of_data, of_own = each.split([len(data), len(own)], 1)
    attracted = of_data * of_own.sum(1, keepdim=True)
    repelled = of_own * of_data.sum(1, keepdim=True)
    with precise(x.device):
        v: Tensor = attracted @ wide(data) - repelled @ wide(own)
    return v


@torch.no_grad()
def mean_distance(x: Tensor, y: Tensor) -> Tensor:
    """E|x - y| of points (n, D) and (m, D), by which the paper normalises features: ()."""
    found = root(squares(x, y)).mean()
    return torch.where(found > LEAST, found, 1.0)


@torch.no_grad()
def drift(x: Tensor, data: Tensor, temperatures: Sequence[float], *, normal: bool = True) -> Tensor:
    """The sum of the fields of several temperatures, in units of `mean_distance`: (n, D), in which
    E|x - y| is sqrt(D).

    normal: whether the field of each temperature is brought to a mean square of 1 in each
        dimension, as in the paper; it then never shrinks
    """
    unit = mean_distance(x, data) / x.shape[1] ** 0.5
    x, data = x / unit, data / unit
    total = torch.zeros_like(x)
    for temperature in temperatures:
        v = field(x, data, x, temperature * x.shape[1] ** 0.5, itself=True)
        total += v / v.square().mean().sqrt().clamp_min(LEAST) if normal else v
    return total


def drifting_terms(
    x: Tensor, data: Tensor, temperatures: Sequence[float], *, normal: bool = True
) -> Tensor:
    """|s - stop(s + V(s))|^2 / D of each s = x / unit: (n,). Its value says nothing where the field
    is normalised; its gradient is -2 V / D."""
    s = x * (x.shape[1] ** 0.5 / mean_distance(x.detach(), data))
    v = drift(x.detach(), data, temperatures, normal=normal)
    found: Tensor = (s - (s.detach() + v)).square().mean(1)
    return found
