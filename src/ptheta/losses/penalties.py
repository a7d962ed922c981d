"""Gradient penalties on a discriminator: where its slope is taken, and what it costs.

All are functions of the squared norm of the gradient of d in one image, one value per example.
Each entry of `PENALTIES` is one penalty; those of a run are summed into the discriminator's step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.compute import streams


class Penalty(NamedTuple):
    """points(real, fake) -> images (B, C, H, W); cost(squared slopes) -> (B,); weight: default;
    moves: the points are others than the images themselves"""

    points: Callable[[Tensor, Tensor], Tensor]
    cost: Callable[[Tensor], Tensor]
    weight: float
    formula: str
    paper: str
    moves: bool = True


def squared_slopes(d: Tensor, points: Tensor) -> Tensor:
    """|grad_x d(x)|^2 at each image, (B,), differentiable in the weights of d.

    d: (B,) outputs, each of its own image alone; points: the images (B, C, H, W) they came from
    """
    (grad,) = torch.autograd.grad(d.sum(), points, create_graph=True)
    return grad.float().square().flatten(1).sum(1)


def unit_slope(squared: Tensor) -> Tensor:
    """(|grad d| - 1)^2; smooth where the slope is 0."""
    return ((squared + 1e-12).sqrt() - 1).square()


def half(squared: Tensor) -> Tensor:
    """|grad d|^2 / 2"""
    return 0.5 * squared


def between(real: Tensor, fake: Tensor) -> Tensor:
    """e x + (1 - e) G(z), one e ~ U(0, 1) for each pair: Gulrajani et al. 2017, algorithm 1."""
    e = streams.uniform(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)
    return torch.lerp(fake, real, e).detach()


def around(real: Tensor, fake: Tensor) -> Tensor:
    """x + N(0, s^2) with s half the deviation of the batch's pixels: Kodali et al. 2017."""
    return (real + 0.5 * real.std() * streams.normal_like(real)).detach()


def at_real(real: Tensor, fake: Tensor) -> Tensor:
    return real


def at_fake(real: Tensor, fake: Tensor) -> Tensor:
    return fake


PENALTIES: dict[str, Penalty] = {
    "gp": Penalty(
        between, unit_slope, 10.0, "(|grad d(e x + (1 - e) G(z))| - 1)^2", "arXiv:1704.00028"
    ),
    "dragan": Penalty(around, unit_slope, 10.0, "(|grad d(x + noise)| - 1)^2", "arXiv:1705.07215"),
    "r1": Penalty(at_real, half, 10.0, "|grad d(x)|^2 / 2", "arXiv:1801.04406", False),
    "r2": Penalty(at_fake, half, 10.0, "|grad d(G(z))|^2 / 2", "arXiv:1801.04406", False),
}
