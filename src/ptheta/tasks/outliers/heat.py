"""Where an example is unlike the training data: maps of its pixels."""

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
        """float (B, C, H, W), 0 or more, more where a pixel is less like those of training."""
        ...


@dataclass(frozen=True)
class Heat:
    """about: what a map shows; make: what gives it; needs: what a model must be able to do"""

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
    """The training image that is nearest to each in pixels: uint8 (B, C, H, W)."""
    places, _ = nearest(x.cpu(), known.bank)
    return known.bank.batch(places).x


# the first that a model can give is shown; a new kind of map is an entry here
HEATS: dict[str, Heat] = {
    "surprise": Heat("bits per pixel, given the earlier ones", surprise, HasConditionals),
    "residual": Heat("reconstruction error of each pixel", residual, Autoencodes),
    "difference": Heat("the difference to the nearest training image", neighbour),
}


def heat_of(known: Known, name: str | None = None) -> tuple[str, Map]:
    """The map of this name, else the first that the model can give; and its name."""
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
    """Maps (N, C, H, W) as shares of the greatest of all, the mean of channels: (N, 1, H, W)."""
    grey = maps.mean(1, keepdim=True)
    return grey / grey.max().clamp(min=1e-9)
