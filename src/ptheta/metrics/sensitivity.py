"""Sensitivity of metrics: real images are damaged in known ways with increasing strength, and
evaluated as samples of a model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError, unknown
from ptheta.extractors.base import Extractor
from ptheta.measures.results import Evaluation
from ptheta.metrics.evaluate import evaluate_images


@dataclass(frozen=True)
class Images:
    """Real images to damage. held_out, copies: uint8 (N, C, H, W), of which only copies are in the
    training set; labels: of held_out, int64 (N,)"""

    held_out: Tensor
    labels: Tensor
    copies: Tensor

    @classmethod
    def of(cls, held_out: Dataset, train: Dataset) -> Images:
        """Raise PthetaError if there are no labels, or too few training images."""
        batch = held_out.batch(slice(0, len(held_out)))
        labels = batch.extra.get("labels")
        if labels is None or len(train) < len(batch.x):
            raise PthetaError(
                f"{held_out.name} ({len(held_out)} images) and {len(train)} training images: "
                "damages need labels, and as many training images"
            )
        return cls(batch.x, labels, train.shuffled(0).batch(slice(0, len(batch.x))).x)


@dataclass(frozen=True)
class Damage:
    """A damage. make(images, strength) -> uint8 (N, C, H, W); strengths: in increasing order, from
    no damage"""

    make: Callable[[Images, float], Tensor]
    strengths: tuple[float, ...]
    unit: str


def noise(images: Images, deviation: float) -> Tensor:
    """Add Gaussian noise of this standard deviation to every pixel."""
    x = images.held_out.float()
    drawn = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return (x + deviation * drawn).clamp(0, 255).round().to(torch.uint8)


def blur(images: Images, sigma: float) -> Tensor:
    """Gaussian blur of this width."""
    if not sigma:
        return images.held_out
    half = math.ceil(3 * sigma)
    at = torch.arange(-half, half + 1).float()
    g = (-(at**2) / (2 * sigma**2)).exp()
    g, c = g / g.sum(), images.held_out.shape[1]
    x = F.pad(images.held_out.float(), (half,) * 4, mode="replicate")
    x = F.conv2d(x, g.expand(c, 1, 1, -1), groups=c)
    return F.conv2d(x, g[:, None].expand(c, 1, -1, 1), groups=c).round().to(torch.uint8)


def dropped(images: Images, classes: float) -> Tensor:
    """Drop the first classes; images of the others are repeated to the same number."""
    return _filled(images.held_out[images.labels >= classes], len(images.held_out))


def repeated(images: Images, times: float) -> Tensor:
    """Repeat each of fewer images, as in mode collapse within classes."""
    n = len(images.held_out)
    return _filled(images.held_out[: max(2, round(n / times))], n)


def copied(images: Images, share: float) -> Tensor:
    """Replace a fraction of the images by training images."""
    n = round(share * len(images.held_out))
    return torch.cat([images.copies[:n], images.held_out[n:]])


def moved(images: Images, pixels: float) -> Tensor:
    """Training images only, shifted to the right."""
    return images.copies.roll(int(pixels), 3)


def _filled(x: Tensor, n: int) -> Tensor:
    return x[torch.arange(n) % len(x)]


DAMAGES: dict[str, Damage] = {
    "noise": Damage(noise, (0, 20, 40, 80, 160), "deviation, pixel values"),
    "blur": Damage(blur, (0, 0.5, 1, 1.5, 2.5), "width, pixels"),
    "dropped classes": Damage(dropped, (0, 1, 2, 4, 8), "classes of ten"),
    "repeated images": Damage(repeated, (1, 3, 10, 30, 100), "times each"),
    "copied training images": Damage(copied, (0, 0.1, 0.25, 0.5, 1), "share"),
    "copies, moved": Damage(moved, (0, 1, 2, 3, 4), "pixels"),
}


def sensitivity(
    damage: str,
    images: Images,
    real: Dataset,
    train: Dataset,
    *,
    extractor: str | Extractor | None = None,
) -> list[Evaluation]:
    """Evaluate images at every strength of a damage of `DAMAGES` against those of `real`, with the
    features of an extractor.

    Raises PthetaError for an unknown damage, with the most similar name, and as `evaluate_images`
    does.
    """
    if damage not in DAMAGES:
        raise unknown("damage", damage, DAMAGES)
    of = DAMAGES[damage]
    return [
        evaluate_images(of.make(images, strength), real, train, extractor=extractor)
        for strength in of.strengths
    ]
