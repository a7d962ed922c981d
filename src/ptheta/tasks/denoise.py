"""Denoising: needs `Encodes` and `Decodes`."""

from __future__ import annotations

import math

from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.compute.streams import seeded, undisturbed
from ptheta.corruption import corrupt
from ptheta.specs import to_unit
from ptheta.tasks.reconstruct import reconstruct


@undisturbed()
def denoise(
    model: nn.Module,
    x: Tensor,
    noise: str,
    level: float,
    *,
    condition: Condition | None = None,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """(damaged, repaired) images of an image batch. noise, level: see `ptheta.corruption.corrupt`.

    Raises PthetaError for another noise, a level below 0, or a model that cannot reconstruct.
    """
    with seeded(seed):
        damaged = corrupt(x, noise, level)
    return damaged, reconstruct(model, damaged, condition)


def psnr(x: Tensor, other: Tensor) -> float:
    """Peak signal-to-noise ratio of two image batches, dB: 10 log10(1 / mean squared error) with
    white - black = 1; infinite where they are equal."""
    error = (to_unit(x) - to_unit(other)).square().mean().item()
    return math.inf if error == 0 else -10 * math.log10(error)
