"""Heat maps of where an image is unlike the training data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ptheta.batch import Condition
from ptheta.capabilities import HasConditionals
from ptheta.errors import unknown
from ptheta.measures.memorisation import nearest
from ptheta.tasks.needs import Autoencodes, require
from ptheta.tasks.outliers.known import Known


class Map(Protocol):
    def __call__(self, x: Tensor, condition: Condition | None, /) -> Tensor:
        """Non-negative maps, float (B, C, H, W), higher where a pixel is less like the training
        data."""
        ...


@dataclass(frozen=True)
class Heat:
    """A kind of heat map. about: a short description; make: computes it; needs: capabilities"""

    about: str
    make: Callable[[Known], Map]
    needs: type | None = None


def surprise(known: Known) -> Map:
    model = require(known.model, HasConditionals, "compute the surprise of pixels")
    return lambda x, y: -model.conditionals(x, y).log_prob(x).float().cpu() / math.log(2)


def residual(known: Known) -> Map:
    model = require(known.model, Autoencodes, "reconstruct examples")

    def of(x: Tensor, y: Condition | None) -> Tensor:
        return (x.float() - model.decode(model.encode(x, y), y).float()).abs().cpu()

    return of


def neighbour(known: Known) -> Map:
    def of(x: Tensor, y: Condition | None) -> Tensor:
        return (x.float().cpu() - closest(known, x).float()).abs()

    return of


def closest(known: Known, x: Tensor) -> Tensor:
    """The training image nearest to each in pixels: uint8 (B, C, H, W)."""
    places, _ = nearest(x.cpu(), known.bank)
    return known.bank.batch(places).x


# the first one that a model supports is shown; to add a kind of map, add an entry here
HEATS: dict[str, Heat] = {
    "surprise": Heat("bits per pixel, given the earlier ones", surprise, HasConditionals),
    "residual": Heat("reconstruction error of each pixel", residual, Autoencodes),
    "difference": Heat("the difference to the nearest training image", neighbour),
}


def heat_of(known: Known, name: str | None = None) -> tuple[str, Map]:
    """The map of this name, else the first that the model supports; and its name."""
    if name is not None and name not in HEATS:
        raise unknown("heat map", name, HEATS)
    able = (
        key
        for key, heat in HEATS.items()
        if heat.needs is None or isinstance(known.model, heat.needs)
    )
    chosen = next(able) if name is None else name
    return chosen, HEATS[chosen].make(known)


@torch.no_grad()
def brightness(maps: Tensor) -> Tensor:
    """Maps (N, C, H, W) averaged over channels and divided by their maximum: (N, 1, H, W)."""
    grey = maps.mean(1, keepdim=True)
    return grey / grey.max().clamp(min=1e-9)
