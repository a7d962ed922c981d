"""Initial states of Markov chains."""

from __future__ import annotations

import torch
from torch import Tensor

from ptheta.compute import streams
from ptheta.specs import DataSpec, ImageSpec, from_levels


def from_noise(spec: DataSpec, n: int, device: torch.device) -> Tensor:
    """n examples of noise: every sub-pixel any of its levels, every number N(0, 1) in standard
    deviations, every word as likely."""
    if isinstance(spec, ImageSpec):
        k = streams.integers(0, spec.levels, n, *spec.shape, device=device)
        return from_levels(k, spec.levels)
    return spec.unscaled(streams.normal(n, *spec.scaled_shape, device=device))
