"""Outputs of image-to-image generators, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import torch
from torch import Tensor

from ptheta.config import Entry, OneOf
from ptheta.specs import full

FAINT = 2.0  # logit of how little of the old image shows through where a mask says nothing


@dataclass(frozen=True)
class End(Entry):
    """planes: channels of an image -> those of what the generator makes
    image: what it was given, (B, C, H, W) in [-1, 1], and what it makes, (B, planes, H, W)
        -> images
    """

    planes: Callable[[int], int]
    image: Callable[[Tensor, Tensor], Tensor]


def new(x: Tensor, made: Tensor) -> Tensor:
    """In [-1, 1], whatever the image was."""
    return torch.tanh(made)


def added(x: Tensor, made: Tensor) -> Tensor:
    """The image and a change to it: what makes nothing copies."""
    return x + made


def masked(x: Tensor, made: Tensor) -> Tensor:
    """At each place between the image itself and a new one, as a mask says, which is made, too
    (Pumarola et al. 2018, eq. 1, arXiv:1807.09251). The mask comes first, its logit; at first the
    old image shows through a little, so that a copy is not where learning begins."""
    made = full(made)
    return torch.lerp(torch.tanh(made[:, 1:]), full(x), (made[:, :1] - FAINT).sigmoid())


ENDS: dict[str, End] = {
    "image": End(lambda channels: channels, new, about="a new image"),
    "change": End(lambda channels: channels, added, about="a residual added to the input"),
    "mask": End(
        lambda channels: channels + 1,
        masked,
        about="a new image and a mask that keeps parts of the input (1807.09251)",
    ),
}

EndName: TypeAlias = Annotated[str, OneOf(ENDS)]
