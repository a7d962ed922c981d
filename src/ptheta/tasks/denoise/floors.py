"""Baselines of denoising, as an extensible table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from ptheta.config import Entry
from ptheta.tasks.denoise.principal import Principal
from ptheta.tasks.denoise.repair import Damage

BATCH = 100  # images processed together
WINDOW = 3  # width and height of the median window
APART = 2**32  # first stream number for training images, distinct from those of test images


@dataclass(frozen=True, eq=False)
class Clean:
    """Training images, uint8 (N, C, H, W). fit: to fit baselines; choice: others, to select their
    hyperparameters"""

    fit: Tensor
    choice: Tensor

    @cached_property
    def principal(self) -> Principal:
        return Principal.of(self.fit)


class Repairer(NamedTuple):
    """A fitted baseline. repair: noisy images, uint8 (B, C, H, W) -> the same shape; note: the
    chosen settings"""

    repair: Callable[[Tensor], Tensor]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Floor(Entry):
    """A denoising baseline: one of these functions.

    plain: denoises without training; None if it needs training
    fitted: fits to training images and a damage; None if it needs no training
    """

    plain: Callable[[Tensor], Tensor] | None = None
    fitted: Callable[[Clean, Damage], Repairer] | None = None

    def ready(self, clean: Clean | None, damage: Damage) -> Repairer | None:
        """The ready baseline; None if it needs training images and there are none."""
        if self.plain is not None:
            return Repairer(self.plain)
        return None if self.fitted is None or clean is None else self.fitted(clean, damage)


def as_it_is(x: Tensor) -> Tensor:
    return x


def median(x: Tensor) -> Tensor:
    """Median of the window around each pixel, per channel, with edge padding."""
    return torch.cat([_median(part) for part in x.split(BATCH)])


def _median(x: Tensor) -> Tensor:
    wide = pad(x.float(), (WINDOW // 2,) * 4, mode="replicate")
    windows = wide.unfold(2, WINDOW, 1).unfold(3, WINDOW, 1)  # (B, C, H, W, WINDOW, WINDOW)
    return windows.flatten(4).median(4).values.to(x.dtype)


def principal(clean: Clean, damage: Damage) -> Repairer:
    """PCA with the number of components that denoises other training images best."""
    noise = damage.of(clean.choice, range(APART, APART + len(clean.choice)))
    count = clean.principal.best(noise, clean.choice)
    return Repairer(
        lambda x: clean.principal.image(x, count), f"{count} component{'s' * (count != 1)}"
    )


FLOORS: dict[str, Floor] = {
    "noisy": Floor(plain=as_it_is, about="the noisy image unchanged"),
    "median": Floor(plain=median, about=f"median filter of {WINDOW}x{WINDOW} pixels"),
    "PCA": Floor(
        fitted=principal,
        about="principal components; their number is chosen on other training images",
    ),
}
