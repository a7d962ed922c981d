"""Pixel errors of pairs of images."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ptheta.errors import PthetaError

MOST_DECIBELS = 100.0  # PSNR assigned to equal images instead of infinity
VALUES = 2**24  # pixel values per block


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of two image batches, uint8 (B, C, H, W), out of 255: float64 (B,).

    Raises PthetaError if they differ in number, size or channels.
    """
    check_pairs(a, b)
    return _each(a, b, lambda d: d.abs().flatten(1).sum(1, dtype=torch.int64)) / a[0].numel()


def mean_squared(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference, out of 255^2: float64 (B,). Arguments: see `l1`."""
    check_pairs(a, b)
    return _each(a, b, lambda d: d.square().flatten(1).sum(1, dtype=torch.int64)) / a[0].numel()


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio, 10 log10(255^2 / mean squared difference): float64 (B,), dB; at
    most `MOST_DECIBELS`. Arguments: see `l1`."""
    ratio = 255.0**2 / mean_squared(a, b)
    return (10 * torch.log10(ratio)).clamp(max=MOST_DECIBELS)


def squared_error(a: Tensor, b: Tensor, where: Tensor) -> Tensor:
    """Mean squared difference of two image batches over selected values, out of 255^2: float64
    (B,), 0 if none are selected.

    where: bool mask, as a and b
    """
    check_pairs(a, b)
    gap = (a.to(torch.int32) - b.to(torch.int32)).square() * where
    return gap.flatten(1).sum(1).double() / where.flatten(1).sum(1).clamp(min=1)


def decibels(error: float) -> float:
    """The PSNR of a mean squared difference out of 255^2, dB; at most `MOST_DECIBELS`."""
    return MOST_DECIBELS if error <= 0 else min(MOST_DECIBELS, 10 * math.log10(255.0**2 / error))


def _each(a: Tensor, b: Tensor, what: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply `what` to the exact differences of each pair, in blocks that fit into memory."""
    size = max(1, VALUES // max(1, a[:1].numel()))
    parts = [
        what(p.to(torch.int32) - q.to(torch.int32))
        for p, q in zip(a.split(size), b.split(size), strict=True)
    ]
    return torch.cat(parts).double()


def check_pairs(a: Tensor, b: Tensor) -> None:
    """Raise PthetaError unless two image batches are pairs."""
    for x in (a, b):
        if x.dtype != torch.uint8 or x.ndim != 4:
            raise PthetaError(f"got {x.dtype} {tuple(x.shape)}: want uint8 (B, C, H, W)")
    if a.shape != b.shape or not len(a):
        raise PthetaError(
            f"images {tuple(a.shape)} and {tuple(b.shape)}: pairs need equal numbers, sizes and "
            "channels on both sides, and at least one"
        )
