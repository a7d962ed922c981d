"""Structural similarity of pairs of images: SSIM and MS-SSIM."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ptheta.errors import PthetaError

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # weights of the scales, fine to coarse
WINDOW, SIGMA = 11, 1.5  # pixels
K1, K2 = 0.01, 0.03
AT_ONCE = 100  # pairs


def _blurred(x: Tensor) -> Tensor:
    """Gaussian blur without padding, separably."""
    at = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    g = (-(at**2) / (2 * SIGMA**2)).exp()
    g = (g / g.sum()).expand(x.shape[1], 1, 1, WINDOW)
    return F.conv2d(F.conv2d(x, g, groups=len(g)), g.mT, groups=len(g))


def _parts(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Means of SSIM and of its contrast-structure part over the windows inside the image."""
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a, var_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
    cov = _blurred(a * b) - mean_a * mean_b
    structure = (2 * cov + K2**2) / (var_a + var_b + K2**2)
    luminance = (2 * mean_a * mean_b + K1**2) / (mean_a**2 + mean_b**2 + K1**2)
    return (luminance * structure).mean((1, 2, 3)), structure.mean((1, 2, 3))


def scales(height: int, width: int) -> int:
    """Number of scales for which the window fits: 5 from 161 pixels on, 2 for 28."""
    found, side = 0, min(height, width)
    while side >= WINDOW and found < len(WEIGHTS):
        found, side = found + 1, side // 2
    return found


def _scales_of(a: Tensor) -> int:
    """Number of scales, at least 1. Raises PthetaError for images smaller than the window."""
    n = scales(*a.shape[2:])
    if not n:
        raise PthetaError(
            f"images of {a.shape[2]}x{a.shape[3]} pixels are smaller than the window of {WINDOW}: "
            "structural similarity needs larger ones"
        )
    return n


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """SSIM of pairs of image batches, uint8 (B, C, H, W): float64 (B,), 1 for equal images.

    Wang et al. 2004 (IEEE Trans. Image Process. 13:600), with a Gaussian window, averaged over the
    windows inside the image and the channels. Raises PthetaError for images smaller than the
    window.
    """
    _scales_of(a)
    parts = zip(a.split(AT_ONCE), b.split(AT_ONCE), strict=True)
    return torch.cat([_parts(x.double() / 255, y.double() / 255)[0] for x, y in parts])


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """MS-SSIM of pairs of image batches, uint8 (B, C, H, W): (B,), 1 for equal images.

    Wang et al. 2003. Images below 161 pixels have fewer than 5 scales, with the weights normalised
    to a sum of 1. Raises PthetaError for images smaller than the window.
    """
    n = _scales_of(a)
    x, y = a.double() / 255, b.double() / 255
    weights = torch.tensor(WEIGHTS[:n], dtype=torch.float64)
    weights /= weights.sum()
    value = torch.ones(len(a), dtype=torch.float64)
    for i, weight in enumerate(weights):
        whole, structure = _parts(x, y)
        value = value * (whole if i == n - 1 else structure).clamp(min=0) ** weight
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return value


def similarity(x: Tensor, labels: Tensor | None = None, pairs: int = 500) -> tuple[float, float]:
    """Mean MS-SSIM of random pairs of samples, and its error; lower means more diverse, or noisier.

    labels: (N,); if given, pairs have equal labels (Odena et al. 2017, section 4.2,
        arXiv:1610.09585)
    """
    generator = torch.Generator().manual_seed(0)
    n = len(x)
    if labels is None:
        i = torch.randint(n, (pairs,), generator=generator)
        j = (i + torch.randint(1, n, (pairs,), generator=generator)) % n
    else:
        order = torch.argsort(labels * n + torch.randperm(n, generator=generator))
        same = labels[order[1:]] == labels[order[:-1]]
        i, j = order[:-1][same][:pairs], order[1:][same][:pairs]
        if not len(i):
            raise PthetaError("no two samples have the same label: draw more")
    values = torch.cat(
        [ms_ssim(x[p], x[q]) for p, q in zip(i.split(100), j.split(100), strict=True)]
    )
    return values.mean().item(), (values.std() / len(values) ** 0.5).item()
