"""Sharpness of images: the variance of their Laplacian (Pech-Pacheco et al. 2000, ICPR 3:314)."""

from __future__ import annotations

import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.measures.intervals import Groups, draws
from ptheta.measures.results import Draws

LEAST = 3  # minimum width and height: the Laplacian needs all four neighbours
VALUES = 2**24  # pixel values per block


def laplacian_variance(x: Tensor) -> Tensor:
    """Variance of the Laplacian of images, uint8 (B, C, H, W): float64 (B,), for pixel values
    0..255.

    The Laplacian of a pixel is the sum of its four neighbours minus four times itself, inside the
    border; its variance over pixels is averaged over the channels. It is 0 for linear functions,
    and s^2 (4 + 16) for independent noise of standard deviation s.
    Raises PthetaError for images smaller than `LEAST`.
    """
    if min(x.shape[2:]) < LEAST:
        raise PthetaError(
            f"images of {x.shape[2]}x{x.shape[3]} pixels are too small for the Laplacian: give "
            f"images of {LEAST}x{LEAST} or more"
        )
    parts = x.split(max(1, VALUES // max(1, x[:1].numel())))
    return torch.cat([_variance(part) for part in parts])


def _variance(x: Tensor) -> Tensor:
    v = x.to(torch.int16)
    neighbours = v[..., 1:-1, :-2] + v[..., 1:-1, 2:] + v[..., :-2, 1:-1] + v[..., 2:, 1:-1]
    laplacian = neighbours - 4 * v[..., 1:-1, 1:-1]
    return laplacian.double().flatten(2).var(2, correction=0).mean(1)


def ratio_of_means(
    fake: Tensor, real: Tensor, fakes: Groups, reals: Groups
) -> tuple[float, Draws | None]:
    """The ratio of the means of fake values (N,) and real values (M,), and its draws, None if
    either side has too few images. The mean of the real images must not be 0."""
    a, b = fake.double().mean(), real.double().mean()
    value = (a / b).item()
    if not (fakes.count and reals.count):
        return value, None
    return value, draws(fakes.means(fake) / b, a / reals.means(real))
