"""Denoising: needs `Denoises`, or `Encodes` and `Decodes`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import Denoises, device_of
from ptheta.compute.streams import own, undisturbed
from ptheta.corruption import corrupt, noise_of
from ptheta.specs import to_unit
from ptheta.tasks.conditions import check_condition
from ptheta.tasks.effort import effort
from ptheta.tasks.needs import Autoencodes, require_one
from ptheta.tasks.reconstruct import reconstruct


@dataclass(frozen=True)
class Damage:
    """A corruption: a type of noise and its level.

    noise: an entry of `ptheta.corruption.NOISES`; level: its level; seed: its seed

    Raises PthetaError for an unknown noise or an invalid level.
    """

    noise: str
    level: float
    seed: int = 0

    def __post_init__(self) -> None:
        noise_of(self.noise, self.level)

    def __str__(self) -> str:
        return f"{self.noise} noise, level {self.level:g}"

    @undisturbed()
    def of(self, x: Tensor, numbers: Sequence[int] | None = None) -> Tensor:
        """Corrupt images x, uint8 (B, C, H, W), each with its own random stream, independent of the
        batch. numbers: numbers of the streams; default: 0, 1, ..."""
        with own(self.seed, range(len(x)) if numbers is None else numbers):
            return corrupt(x, self.noise, self.level)


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

    Raises PthetaError for an unknown noise, an invalid level, and for a model that neither denoises
    nor reconstructs.
    """
    damage = Damage(noise, level, seed)
    damaged = damage.of(x)
    return damaged, repaired(model, damaged, damage, condition)


@torch.no_grad()
def repaired(
    model: nn.Module, x: Tensor, damage: Damage, condition: Condition | None = None
) -> Tensor:
    """Denoise images x, uint8 (B, C, H, W): by the model's `denoise` if it has one, else by
    reconstruction.

    Raises PthetaError as `denoise` does.
    """
    able = require_one(model, (Denoises, Autoencodes), "denoise")
    if not isinstance(able, Denoises):
        return reconstruct(model, x, condition)
    y, given = check_condition(model, condition), x.to(device_of(model))
    one = None if y is None else y[:1]

    def first() -> Tensor:
        return able.denoise(given[:1], damage.noise, damage.level, one)

    with effort(model, first, len(x)):
        return able.denoise(given, damage.noise, damage.level, y).cpu()


def psnr(x: Tensor, other: Tensor) -> float:
    """Peak signal-to-noise ratio of two image batches, dB: 10 log10(1 / mean squared error) with
    white - black = 1; infinite where they are equal."""
    error = (to_unit(x) - to_unit(other)).square().mean().item()
    return math.inf if error == 0 else -10 * math.log10(error)
