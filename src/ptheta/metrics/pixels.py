"""Pixel-based metrics: similarity of samples to each other, and sharpness."""

from __future__ import annotations

import torch

from ptheta.measures.intervals import Groups, estimate
from ptheta.measures.results import Estimate
from ptheta.measures.sharpness import LEAST, laplacian_variance, ratio_of_means
from ptheta.measures.similarity import scales, similarity
from ptheta.metrics.context import Context

BATCH = 500  # real images read at a time


def alikeness(ctx: Context) -> Estimate:
    """Similarity of two samples; not ranked, to be compared with the value of real images."""
    height, width = ctx.samples.shape[2:]
    if not scales(height, width):
        reason = f"images of {height}x{width} are smaller than its window"
        return Estimate(None, reason=reason)
    return Estimate(*similarity(ctx.samples))


def sharpness(ctx: Context) -> Estimate:
    """The mean variance of the Laplacian of samples, divided by that of real images."""
    height, width = ctx.samples.shape[2:]
    if min(height, width) < LEAST:
        return Estimate(None, reason=f"images of {height}x{width} have no pixel inside the border")
    real = torch.cat(
        [
            laplacian_variance(ctx.test.batch(slice(start, min(start + BATCH, len(ctx.test)))).x)
            for start in range(0, len(ctx.test), BATCH)
        ]
    )
    return sharpness_of(laplacian_variance(ctx.samples), real)


def sharpness_of(fake: torch.Tensor, real: torch.Tensor) -> Estimate:
    """Relative sharpness from variances of the Laplacian of samples (N,) and real images (M,)."""
    a, b = fake.mean().item(), real.mean().item()
    if not b:
        return Estimate(None, reason="the real images are flat")
    value, found = ratio_of_means(fake, real, Groups(len(fake), "fake"), Groups(len(real), "real"))
    about = {"laplacian_variance": round(a, 4), "laplacian_variance_of_real": round(b, 4)}
    return estimate(value, found, about, note=f"{_four(a)}, and {_four(b)} for real images")


def _four(value: float) -> str:
    """Format with four digits, large numbers as integers: 71,203, 5,022, 0.01234."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
