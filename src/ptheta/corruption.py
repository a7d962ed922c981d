"""Corruption of images and vectors, for denoising models.

Vincent et al. 2010, JMLR 11, section 3.3. Each kind of corruption is an entry of `NOISES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import torch
from torch import Tensor
from torch.special import ndtr

from ptheta.compute import streams
from ptheta.config import Entry, OneOf
from ptheta.errors import PthetaError, unknown
from ptheta.specs import Column, DataSpec, VectorSpec, from_unit, to_unit

EXTREME = 3  # extreme values in standard deviations, limited by the bounds of the column
# Gaussian noise below the first level leaves values unchanged, and above the second makes them
# black or white, within the accuracy needed for moments; beyond these levels the formulas are
# numerically unstable.
SLIGHT, UTTER = 1e-12, 1e4


@dataclass(frozen=True)
class Noise(Entry):
    """damage(x, level): uint8 image batch -> corrupted batch (noise from torch's generator)
    probability: whether the level is a probability, 0 to 1; otherwise it is 0 or more
    cells(x, level, column): the same for the cells (B,) of one column; None for noise of images
        only
    loses: whether corrupted cells become missing
    moments(u, level): E y and E y^2 of the corrupted value y of a sub-pixel of value u (black 0,
        white 1), of the same shape each; None if not known in closed form
    """

    damage: Callable[[Tensor, float], Tensor]
    probability: bool = True
    cells: Callable[[Tensor, float, Column], Tensor] | None = None
    loses: bool = False
    moments: Callable[[Tensor, float], tuple[Tensor, Tensor]] | None = None


def gaussian(x: Tensor, level: float) -> Tensor:
    return from_unit(to_unit(x) + level * streams.normal(*x.shape, device=x.device))


def masking(x: Tensor, level: float) -> Tensor:
    return x.masked_fill(_hit(x, level), 0)


def salt_and_pepper(x: Tensor, level: float) -> Tensor:
    hit = _hit(x, level)
    return torch.where(hit, streams.integers(0, 2, *x.shape, device=x.device).byte() * 255, x)


def _hit(x: Tensor, level: float) -> Tensor:
    """Which sub-pixels are corrupted, each with probability `level`: bool, shape of x."""
    return streams.uniform(*x.shape, device=x.device) < level


def gaussian_moments(u: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Moments of N(u, level^2) clipped to [0, 1]."""
    if level < SLIGHT:
        return u, u.square()
    level = min(level, UTTER)
    low, high = -u / level, (1 - u) / level
    inside, white = ndtr(high) - ndtr(low), ndtr(-high)
    at_low, at_high = _density(low), _density(high)
    mean = u * inside + level * (at_low - at_high)
    spread = inside + low * at_low - high * at_high
    square = u.square() * inside + 2 * u * level * (at_low - at_high) + level**2 * spread
    return mean + white, square + white


def _density(z: Tensor) -> Tensor:
    """Density of N(0, 1)."""
    return (-z.square() / 2).exp() / math.sqrt(2 * math.pi)


def masking_moments(u: Tensor, level: float) -> tuple[Tensor, Tensor]:
    return (1 - level) * u, (1 - level) * u.square()


def salt_and_pepper_moments(u: Tensor, level: float) -> tuple[Tensor, Tensor]:
    return (1 - level) * u + level / 2, (1 - level) * u.square() + level / 2


def gaussian_cells(x: Tensor, level: float, column: Column) -> Tensor:
    if column.values:
        return x
    s = column.scaled(x)
    return column.unscaled(s + level * streams.normal_like(s))


def missing_cells(x: Tensor, level: float, column: Column) -> Tensor:
    return x.masked_fill(_hit(x, level), math.nan)


def extreme_cells(x: Tensor, level: float, column: Column) -> Tensor:
    hit = _hit(x, level)
    if column.values:
        drawn = streams.integers(0, column.width, len(x), device=x.device).to(x.dtype)
    else:
        sign = 2 * streams.integers(0, 2, len(x), 1, device=x.device) - 1
        drawn = column.unscaled(EXTREME * sign)
    return torch.where(hit, drawn, x)


NOISES: dict[str, Noise] = {
    "gaussian": Noise(
        gaussian,
        probability=False,
        cells=gaussian_cells,
        moments=gaussian_moments,
        about="add N(0, level^2), where white - black = 1 (for a number, its standard deviation), "
        "and clip",
    ),
    "masking": Noise(
        masking,
        cells=missing_cells,
        loses=True,
        moments=masking_moments,
        about="set a sub-pixel to black, or drop a cell, with probability level",
    ),
    "salt-and-pepper": Noise(
        salt_and_pepper,
        cells=extreme_cells,
        moments=salt_and_pepper_moments,
        about="set it to black or white, a number to an extreme value, a word to any other",
    ),
}

NoiseName: TypeAlias = Annotated[str, OneOf(NOISES)]


def odd_level(noise: str, level: float) -> str | None:
    """Why this noise, a name in `NOISES`, cannot have this level: one sentence, or None."""
    probability = NOISES[noise].probability
    if level >= 0 and (level <= 1 or not probability) and math.isfinite(level):
        return None
    wanted = "a probability, 0 to 1" if probability else "0 or more, and finite"
    return f"level = {level} of {noise} noise: want {wanted}"


def noise_of(noise: str, level: float) -> Noise:
    """The entry of `NOISES`. Raises PthetaError for an unknown noise or an invalid level."""
    if noise not in NOISES:
        raise unknown("noise", noise, NOISES)
    odd = odd_level(noise, level)
    if odd is not None:
        raise PthetaError(odd)
    return NOISES[noise]


def corrupt(x: Tensor, noise: str, level: float, spec: DataSpec | None = None) -> Tensor:
    """Corrupts x by an entry of `NOISES`. spec: of x; None for images. A dropped cell is NaN.

    Raises PthetaError for an unknown noise or an invalid level.
    """
    kind = noise_of(noise, level)
    if not isinstance(spec, VectorSpec):
        return kind.damage(x, level)
    damage = kind.cells
    if damage is None:
        raise PthetaError(of_images(noise))
    columns = zip(spec.columns, x.unbind(1), strict=True)
    return torch.stack([damage(cells, level, column) for column, cells in columns], 1)


def odd_noise(noise: str, spec: DataSpec) -> str | None:
    """Why examples cannot have this noise: one sentence, or None."""
    odd = isinstance(spec, VectorSpec) and NOISES[noise].cells is None
    return of_images(noise) if odd else None


def of_images(noise: str) -> str:
    """The message that a noise applies only to images, with the alternatives."""
    others = [name for name, entry in NOISES.items() if entry.cells is not None]
    return f"noise = {noise} applies only to images: use {' or '.join(others)}"
