"""Uniform dequantisation: a density of real numbers as a bound on probabilities of levels.

With u uniform in the bin of x, of width 1 / L in each of D dimensions, P(x) = E[p(u)] / L^D, so
that E[log p(u)] - D log L is a lower bound of log P(x) (Theis et al. 2016, section 3.1,
arXiv:1511.01844).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ptheta.compute import streams
from ptheta.specs import from_levels, to_levels

BELOW_ONE = 1 - 2**-24  # the last number of 32 bits before 1


def dequantise(x: Tensor, levels: int) -> Tensor:
    """uint8 image batch -> floats (torch's default type) in [0, 1), uniform in the bin of each
    level."""
    k = to_levels(x, levels).to(torch.get_default_dtype())
    return ((k + streams.uniform_like(k)) / levels).clamp_(max=BELOW_ONE)


def requantise(u: Tensor, levels: int) -> Tensor:
    """Floats in [0, 1) -> the uint8 image batch in whose bins they lie; the inverse."""
    return from_levels((u * levels).floor().clamp_(0, levels - 1), levels)


def log_prob_bound(log_density: Tensor, dims: int, levels: int) -> Tensor:
    """log p(u) of a dequantised batch, (B,) -> a bound of log P(x) in expectation: (B,) nats.

    dims: sub-pixels of an image
    """
    return log_density - dims * math.log(levels)
