"""Targets of translation (pictures, label maps): output mapping and reconstruction error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ptheta.specs import ImageSpec, LabelMapSpec


@dataclass(frozen=True)
class Target:
    """term: the name of the error among the loss terms
    image: what the generator gives, (B, C, H, W), no end -> images as a network sees them
    error(out, image, real): of each example, (B,), a mean over its pixels
    smooth: whether a mean of two pixels means something
    """

    term: str
    image: Callable[[Tensor], Tensor]
    error: Callable[[Tensor, Tensor, Tensor], Tensor]
    smooth: bool


def absolute(out: Tensor, image: Tensor, real: Tensor) -> Tensor:
    """|image - real|, in -1 to 1."""
    return (image - real).abs().flatten(1).mean(1)


def planes(out: Tensor) -> Tensor:
    """The probability of each label, -1 for 0 and 1 for 1, as the planes of real label maps."""
    return 2 * out.softmax(1) - 1


def cross_entropy(out: Tensor, image: Tensor, real: Tensor) -> Tensor:
    """-log p(label), nats."""
    return F.cross_entropy(out, real.argmax(1), reduction="none").flatten(1).mean(1)


PICTURES = Target("l1", torch.tanh, absolute, smooth=True)
LABEL_MAPS = Target("cross_entropy", planes, cross_entropy, smooth=False)


def target_of(spec: ImageSpec) -> Target:
    """Of the images that a spec describes."""
    return LABEL_MAPS if isinstance(spec, LabelMapSpec) else PICTURES
