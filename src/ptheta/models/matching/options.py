"""Objectives that match samples to data, and their spaces: `MATCHINGS` and `SPACES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from annotated_types import Ge, Le
from torch import Tensor

from ptheta.compute import streams
from ptheta.config import Entry, Layers, OneOf, option
from ptheta.errors import PthetaError
from ptheta.losses.drifting import drifting_terms
from ptheta.losses.mmd import KERNELS, median_square, mmd_terms, root_of_mean

KernelName: TypeAlias = Annotated[str, OneOf(KERNELS)]
Width: TypeAlias = Annotated[float, Ge(1e-6), Le(1e6)]  # whose square float32 has room for
Widths: TypeAlias = Annotated[tuple[Width, ...], *Layers.__metadata__]


@dataclass(frozen=True)
class MatchingConfig:
    """The options of `MATCHINGS`."""

    kernel: KernelName = option("gaussian", "kernel that compares samples with data (mmd)")
    widths: Widths = option(
        (0.25, 0.5, 1.0), "kernel widths, in (squared) median distances of the data (mmd)"
    )
    root: bool = option(
        True, "minimise MMD instead of MMD^2, so that its gradient does not vanish (mmd)"
    )
    temperatures: Widths = option(
        (0.02, 0.05, 0.2), "kernel temperatures, in mean distances of samples and data (drifting)"
    )
    normalised: bool = option(
        True, "normalise the field of each temperature to a mean square of 1 (drifting)"
    )


@dataclass(frozen=True)
class Matching(Entry):
    """terms(config, x, y): loss (n,) of samples x (n, D) of the model, given data y (m, D)"""

    terms: Callable[[MatchingConfig, Tensor, Tensor], Tensor]


def several(x: Tensor) -> Tensor:
    """x itself (n, D). Raises PthetaError for a single example: the unbiased MMD is undefined for
    it, and the drifting field has no repulsion."""
    if len(x) < 2:
        raise PthetaError(
            "this loss holds the examples of a step against one another, and one has no other: "
            "give --batch-size 2 or more, and at least as many examples"
        )
    return x


def mmd(config: MatchingConfig, x: Tensor, y: Tensor) -> Tensor:
    kernel, unit = KERNELS[config.kernel], median_square(y)
    if config.root:
        return root_of_mean(mmd_terms(x, y, kernel, config.widths, unit, unbiased=False))
    return mmd_terms(several(x), y, kernel, config.widths, unit)


def drifting(config: MatchingConfig, x: Tensor, y: Tensor) -> Tensor:
    several(x)
    return drifting_terms(x, y, config.temperatures, normal=config.normalised)


MATCHINGS: dict[str, Matching] = {
    "mmd": Matching(
        mmd,
        about="kernel distance between samples and data (1502.02761)",
        reads=frozenset({"kernel", "widths", "root"}),
    ),
    "drifting": Matching(
        drifting,
        about="drifting field from samples to data (2602.04770)",
        reads=frozenset({"temperatures", "normalised"}),
    ),
}


@dataclass(frozen=True)
class Space(Entry):
    """coded: whether it is that of the codes of an autoencoder"""

    coded: bool = False


SPACES: dict[str, Space] = {
    "pixels": Space(about="examples as the network sees them"),
    "codes": Space(coded=True, about="codes of a pretrained autoencoder"),
}

MatchingName: TypeAlias = Annotated[str, OneOf(MATCHINGS)]
SpaceName: TypeAlias = Annotated[str, OneOf(SPACES)]


def matched(name: str, config: MatchingConfig, x: Tensor, y: Tensor) -> Tensor:
    """The loss of this process's samples, (B,), given those of all processes. x, y: (B, ...)"""
    both = (streams.whole(part.flatten(1)) for part in (x, y))
    return streams.back(MATCHINGS[name].terms(config, *both))
