"""Corruption: damage to image batches that a model learns to repair.

Vincent et al. 2010, JMLR 11, section 3.3. A kind of damage is an entry of `NOISES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import torch
from torch import Tensor

from ptheta.compute import streams
from ptheta.config import Entry, OneOf
from ptheta.errors import PthetaError, unknown
from ptheta.specs import from_unit, to_unit


@dataclass(frozen=True)
class Noise(Entry):
    """damage(x, level): uint8 image batch -> the same, damaged (noise from torch's generator)
    probability: whether the level is one, 0 to 1; else it is 0 or more
    """

    damage: Callable[[Tensor, float], Tensor]
    probability: bool = True


def gaussian(x: Tensor, level: float) -> Tensor:
    return from_unit(to_unit(x) + level * streams.normal(*x.shape, device=x.device))


def masking(x: Tensor, level: float) -> Tensor:
    return x.masked_fill(_hit(x, level), 0)


def salt_and_pepper(x: Tensor, level: float) -> Tensor:
    hit = _hit(x, level)
    return torch.where(hit, streams.integers(0, 2, *x.shape, device=x.device).byte() * 255, x)


def _hit(x: Tensor, level: float) -> Tensor:
    """Which sub-pixels are damaged, each with probability `level`: bool, as x."""
    return streams.uniform(*x.shape, device=x.device) < level


NOISES: dict[str, Noise] = {
    "gaussian": Noise(
        gaussian,
        probability=False,
        about="N(0, level^2) is added, white - black = 1, and the sum is clipped",
    ),
    "masking": Noise(masking, about="a sub-pixel becomes black with probability level"),
    "salt-and-pepper": Noise(
        salt_and_pepper, about="it becomes black or white with probability level"
    ),
}

NoiseName: TypeAlias = Annotated[str, OneOf(NOISES)]


def odd_level(noise: str, level: float) -> str | None:
    """Why this noise, a name of `NOISES`, cannot have such a level: one sentence, or None."""
    probability = NOISES[noise].probability
    if level >= 0 and (level <= 1 or not probability):
        return None
    wanted = "a probability, 0 to 1" if probability else "0 or more"
    return f"level = {level} of {noise} noise: want {wanted}"


def corrupt(x: Tensor, noise: str, level: float) -> Tensor:
    """uint8 image batch -> the same, damaged by an entry of `NOISES`.

    Raises PthetaError for another noise, and for a level that it cannot have.
    """
    if noise not in NOISES:
        raise unknown("noise", noise, NOISES)
    odd = odd_level(noise, level)
    if odd is not None:
        raise PthetaError(odd)
    return NOISES[noise].damage(x, level)
