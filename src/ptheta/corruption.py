"""Corruptions of image batches, for denoising."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from ptheta.compute import streams
from ptheta.errors import PthetaError, unknown
from ptheta.specs import from_unit, to_unit

Noise = Literal["gaussian", "masking", "salt-and-pepper"]


def corrupt(x: Tensor, noise: str, level: float) -> Tensor:
    """uint8 image batch -> the same, damaged (noise from torch's generator).

    gaussian: N(0, level^2) is added, white - black = 1, and the sum is clipped
    masking: a sub-pixel becomes black with probability `level`
    salt-and-pepper: it becomes black or white with probability `level`
    Vincent et al. 2010 (JMLR 11), section 3.3. Raises PthetaError for another noise, a level below
    0, and a probability above 1.
    """
    if noise not in get_args(Noise):
        raise unknown("noise", noise, get_args(Noise))
    if level < 0 or (noise != "gaussian" and level > 1):
        wanted = "0 or more" if noise == "gaussian" else "a probability, 0 to 1"
        raise PthetaError(f"level = {level} of {noise} noise: want {wanted}")
    if noise == "gaussian":
        return from_unit(to_unit(x) + level * streams.normal(*x.shape, device=x.device))
    hit = streams.uniform(*x.shape, device=x.device) < level
    if noise == "masking":
        return x.masked_fill(hit, 0)
    return torch.where(hit, streams.integers(0, 2, *x.shape, device=x.device).byte() * 255, x)
