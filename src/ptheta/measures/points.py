"""Validation of points, the input of measures of vectors."""

from __future__ import annotations

import torch
from torch import Tensor

from ptheta.errors import PthetaError

LARGEST = 1e25  # its twelfth power, in the variance of a cubic kernel, does not overflow float64


def check_points(x: Tensor, what: str) -> Tensor:
    """Points (N, D) as float64. Raises PthetaError for another shape or dtype, fewer than two
    points, and values that are NaN, infinite or so large that powers overflow.

    what: their name in the message, such as "samples"
    """
    if x.ndim != 2 or not x.is_floating_point() or not x.shape[1]:
        raise PthetaError(
            f"{what} are a {x.dtype} tensor of shape {tuple(x.shape)}: want floats (N, D)"
        )
    if len(x) < 2:
        raise PthetaError(f"{len(x)} of {what} is too few to compare: give at least two")
    odd = int((~x.isfinite()).sum())
    if odd:
        raise PthetaError(
            f"{odd:,} of {x.numel():,} numbers of {what} are NaN or infinite: leave such rows out, "
            "or fill them in"
        )
    large = float(x.abs().max())
    if large > LARGEST:
        raise PthetaError(
            f"{what} hold the number {large:.3g}, whose powers do not fit into float64: scale them "
            f"down, to {LARGEST:g} at most"
        )
    return x.double()


def check_pair(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Samples (N, D) and real points (M, D), as float64. Raises PthetaError as `check_points` does,
    and if their dimensions differ."""
    found = check_points(x, "samples"), check_points(y, "real points")
    if x.shape[1] != y.shape[1]:
        raise PthetaError(
            f"samples have {x.shape[1]} dimensions and real points {y.shape[1]}: give equal ones"
        )
    return found


def some(x: Tensor, most: int, seed: int = 0) -> Tensor:
    """A random subset of at most `most` of x (N, ...), determined by the seed."""
    if len(x) <= most:
        return x
    return x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:most]]
