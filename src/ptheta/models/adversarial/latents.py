"""Priors of the code z that a GAN's generator draws from, by name: `PRIORS`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ptheta.compute import streams
from ptheta.config import Entry

SIDE = 3**0.5  # of half the cube in which a uniform number has mean square 1


def anywhere(z: Tensor) -> Tensor:
    return z


def alike(z: Tensor) -> Tensor:
    """A constant density."""
    return torch.zeros_like(z[:, 0])


@dataclass(frozen=True)
class LatentPrior(Entry):
    """A prior over codes.

    sample(n, latent, device) -> codes (n, latent), of mean square 1
    nearest(z): codes (B, latent) projected to the support of the prior
    truncated(n, latent, device, at): codes in [-at, at]; None if that is not defined
    improbable(z): minus the log-density divided by the dimensions, up to a constant, (B,)
    at(t): maps quantiles of N(0, 1) to those of the prior
    """

    sample: Callable[[int, int, torch.device], Tensor]
    nearest: Callable[[Tensor], Tensor] = anywhere
    improbable: Callable[[Tensor], Tensor] = alike
    at: Callable[[Tensor], Tensor] = anywhere
    truncated: Callable[[int, int, torch.device, float], Tensor] | None = None


def normal(n: int, latent: int, device: torch.device) -> Tensor:
    return streams.normal(n, latent, device=device)


def truncated_normal(n: int, latent: int, device: torch.device, at: float) -> Tensor:
    """N(0, 1) truncated to [-at, at] (1809.11096), by inverse CDF: one uniform number per value,
    without rejection."""
    u = streams.uniform(n, latent, device=device, dtype=torch.float64)
    half = 0.5 * math.erf(at / 2**0.5)  # of the mass on one side
    z: Tensor = torch.special.ndtri(0.5 + (2 * u - 1) * half)
    return z.clamp(-at, at).to(torch.get_default_dtype())


def sphere(n: int, latent: int, device: torch.device) -> Tensor:
    return on_sphere(normal(n, latent, device))


def on_sphere(z: Tensor) -> Tensor:
    """z (B, L) rescaled to the norm sqrt(L), the typical one of N(0, I)."""
    norm: float = z.shape[1] ** 0.5
    return normalize(z, dim=1) * norm


def uniform(n: int, latent: int, device: torch.device) -> Tensor:
    return (2 * streams.uniform(n, latent, device=device) - 1) * SIDE


def in_cube(z: Tensor) -> Tensor:
    return z.clamp(-SIDE, SIDE)


def at_in_cube(t: Tensor) -> Tensor:
    return torch.erf(t / 2**0.5) * SIDE


def half_square(z: Tensor) -> Tensor:
    """The density term of N(0, I)."""
    return 0.5 * z.square().mean(1)


PRIORS: dict[str, LatentPrior] = {
    "normal": LatentPrior(
        normal, anywhere, half_square, truncated=truncated_normal, about="N(0, I)"
    ),
    "sphere": LatentPrior(
        sphere, on_sphere, alike, about="on the sphere of radius sqrt(latent) (1609.04468)"
    ),
    "uniform": LatentPrior(
        uniform,
        in_cube,
        alike,
        at_in_cube,
        about="uniform in the cube from -sqrt(3) to sqrt(3) (1406.2661)",
    ),
}
