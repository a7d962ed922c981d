"""Heads that turn network outputs into a distribution of pixels: one class per likelihood."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeAlias

import torch
from torch import Tensor, nn

from ptheta.config import Entry, OneOf
from ptheta.distributions.kernels import KERNELS
from ptheta.distributions.pixels import (
    Bernoulli,
    Categorical,
    DiscretisedGaussian,
    LogisticMixture,
    PixelDistribution,
)
from ptheta.errors import PthetaError, unknown
from ptheta.nets.column_heads import ColumnsHead
from ptheta.nets.example_head import ExampleHead
from ptheta.specs import DataSpec, ImageSpec, VectorSpec

FEW_LEVELS = 16  # up to here a probability for each level is cheap


@dataclass(frozen=True)
class Width(Entry):
    """A parametrisation of the width of a gaussian.

    log_sigma(head, out, loc): from the head's network output (B, numbers, C, H, W) and its
        locations (B, C, H, W) -> the logarithm of each width, as loc, in units of the pixel range
    numbers: outputs of a sub-pixel, its location among them
    learned: whether the head keeps a number of its own for it, `log_sigma`
    """

    log_sigma: Callable[[GaussianHead, Tensor, Tensor], Tensor]
    numbers: int = 1
    learned: bool = False


def _of_pixel(head: GaussianHead, out: Tensor, loc: Tensor) -> Tensor:
    return (out[:, 1] + head.start).clamp(min=head.floor)


def _shared(head: GaussianHead, out: Tensor, loc: Tensor) -> Tensor:
    assert head.log_sigma is not None
    return head.log_sigma.clamp(min=head.floor).expand(loc.shape)


def _fixed(head: GaussianHead, out: Tensor, loc: Tensor) -> Tensor:
    return loc.new_full((), head.start).expand(loc.shape)


SIGMAS: dict[str, Width] = {
    "pixel": Width(_of_pixel, numbers=2, about="one predicted per sub-pixel"),
    "shared": Width(_shared, learned=True, about="one learned value for all"),
    "fixed": Width(_fixed, about="fixed at --scale"),
}

Sigma: TypeAlias = Annotated[str, OneOf(SIGMAS)]


@dataclass(frozen=True)
class HeadOptions:
    """components: logistics mixed in each sub-pixel
    sigma: of a gaussian, a name of `SIGMAS`
    scale: its width at the start, in units of the pixel range (white - black = 1)
    Raises PthetaError for another sigma.
    """

    components: int = 1
    sigma: Sigma = "pixel"
    scale: float = 0.1

    def __post_init__(self) -> None:
        if self.sigma not in SIGMAS:
            raise unknown("sigma", self.sigma, SIGMAS)


DEFAULTS = HeadOptions()


class Head(ExampleHead):
    """Turn a network's output into a distribution of pixels.

    about, traits, excludes: as of `config.Choice`
    per_pixel: network outputs per sub-pixel
    """

    about: ClassVar[str] = ""
    traits: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[Mapping[str, str]] = {}

    per_pixel: int

    if TYPE_CHECKING:  # as `forward`: torch leaves it open

        def __call__(self, out: Tensor) -> PixelDistribution: ...

    def __init__(self, spec: ImageSpec, options: HeadOptions) -> None:
        """Raise PthetaError for unsupported images."""
        super().__init__()
        odd = self.unsupported(spec)
        if odd is not None:
            raise PthetaError(odd)
        self.spec, self.levels = spec, spec.levels
        # widths start near `scale` (logistic: 1/7 of the range) and stay above a tenth of a level
        self.start = math.log(2 * options.scale)
        self.floor = math.log(0.2 / (spec.levels - 1))

    @classmethod
    def unsupported(cls, spec: ImageSpec) -> str | None:
        """Why it cannot be of such images: one sentence, or None."""
        return None

    @property
    def out_shape(self) -> tuple[int, int, int]:
        c, h, w = self.spec.shape
        return self.per_pixel * c, h, w

    def forward(self, out: Tensor) -> PixelDistribution:
        """out (B, per_pixel * C, H, W), colours fastest, of any C, H and W."""
        out = out.float() if out.dtype in (torch.float16, torch.bfloat16) else out
        return self.distribution(out)

    @abstractmethod
    def distribution(self, out: Tensor) -> PixelDistribution:
        """out: as above, in 32 bits or more."""

    def by_number(self, out: Tensor) -> Tensor:
        """(B, per_pixel * C, H, W) -> (B, per_pixel, C, H, W)"""
        numbers: Tensor = out.unflatten(1, (self.per_pixel, -1))
        return numbers


class BernoulliHead(Head):
    """The log-odds of white."""

    about = "of 2 levels"
    per_pixel = 1

    @classmethod
    def unsupported(cls, spec: ImageSpec) -> str | None:
        if spec.levels == 2:
            return None
        others = [name for name, head in HEADS.items() if head is not cls]
        return (
            f"a bernoulli likelihood needs 2 levels, and the images have {spec.levels}: "
            f"train with --levels 2, or choose {', '.join(others[:-1])} or {others[-1]}"
        )

    def distribution(self, out: Tensor) -> Bernoulli:
        return Bernoulli(out)


class CategoricalHead(Head):
    """A logit for each level."""

    about = "one probability per level"

    def __init__(self, spec: ImageSpec, options: HeadOptions) -> None:
        super().__init__(spec, options)
        self.per_pixel = spec.levels

    def distribution(self, out: Tensor) -> Categorical:
        return Categorical(self.by_number(out))


class LogisticHead(Head):
    """A weight, a location and a scale per logistic."""

    about = "a mixture of logistics over the bins of the levels"

    def __init__(self, spec: ImageSpec, options: HeadOptions) -> None:
        super().__init__(spec, options)
        self.per_pixel = 3 * options.components

    def distribution(self, out: Tensor) -> LogisticMixture:
        weights, loc, log_scale = self.by_number(out).chunk(3, 1)
        return LogisticMixture(weights, loc, (log_scale - 2).clamp(min=self.floor), self.levels)


class GaussianHead(Head):
    """A location, and a width by `SIGMAS`."""

    about = "a Gaussian over the bins of the levels"

    def __init__(self, spec: ImageSpec, options: HeadOptions) -> None:
        super().__init__(spec, options)
        self.width = SIGMAS[options.sigma]
        self.per_pixel = self.width.numbers
        start = torch.tensor(self.start)
        self.log_sigma = nn.Parameter(start) if self.width.learned else None

    def distribution(self, out: Tensor) -> DiscretisedGaussian:
        out = self.by_number(out)
        loc = out[:, 0]
        return DiscretisedGaussian(loc, self.width.log_sigma(self, out, loc), self.levels)


HEADS: dict[str, type[Head]] = {
    "bernoulli": BernoulliHead,
    "categorical": CategoricalHead,
    "logistic": LogisticHead,
    "gaussian": GaussianHead,
}

Likelihood: TypeAlias = Annotated[str, OneOf(HEADS, "auto")]


def default_likelihood(levels: int) -> str:
    """bernoulli for 2 levels, categorical up to 16, else logistic."""
    if levels == 2:
        return "bernoulli"
    return "categorical" if levels <= FEW_LEVELS else "logistic"


def head_kind(spec: ImageSpec, likelihood: Likelihood) -> type[Head]:
    """The kind of head of a likelihood; auto: see `default_likelihood`. Raises PthetaError for
    another."""
    name = default_likelihood(spec.levels) if likelihood == "auto" else likelihood
    if name not in HEADS:
        raise unknown("likelihood", name, ("auto", *HEADS))
    return HEADS[name]


def odd_likelihood(spec: DataSpec, likelihood: Likelihood, sigma: Sigma = "pixel") -> str | None:
    """Why examples cannot have this likelihood, of this width: one sentence, or None."""
    if isinstance(spec, ImageSpec):
        return head_kind(spec, likelihood).unsupported(spec)
    return odd_for_columns(likelihood, sigma)


def head(spec: ImageSpec, likelihood: Likelihood = "auto", options: HeadOptions = DEFAULTS) -> Head:
    """The head of a likelihood. Raises PthetaError for the name of none, and for images that it
    cannot be of."""
    return head_kind(spec, likelihood)(spec, options)


def levels_head(spec: ImageSpec) -> Head:
    """A probability for each level: bernoulli for 2 levels, else categorical."""
    return head(spec, "bernoulli" if spec.levels == 2 else "categorical")


def example_head(
    spec: DataSpec, likelihood: Likelihood = "auto", options: HeadOptions = DEFAULTS
) -> ExampleHead:
    """The head for any spec. Raises PthetaError as `head` does, and for a likelihood or a width
    that columns cannot have."""
    if isinstance(spec, ImageSpec):
        return head(spec, likelihood, options)
    return columns_head(spec, likelihood, options)


def columns_head(spec: DataSpec, likelihood: Likelihood, options: HeadOptions) -> ColumnsHead:
    """The head of a vector's columns. Raises PthetaError as `example_head` does."""
    odd = odd_for_columns(likelihood, options.sigma)
    if odd is not None or not isinstance(spec, VectorSpec):
        raise PthetaError(odd or f"there is no likelihood for {spec}")
    return ColumnsHead(spec, kernel_of(likelihood), options.components)


def kernel_of(likelihood: Likelihood) -> str:
    """The kernel of mixtures of numeric columns; auto: Gaussians."""
    return "gaussian" if likelihood == "auto" else likelihood


def odd_for_columns(likelihood: Likelihood, sigma: Sigma) -> str | None:
    """Why the columns of a vector cannot have this: one sentence, or None."""
    if kernel_of(likelihood) not in KERNELS:
        return (
            f"likelihood = {likelihood} is for pixels: numeric columns use mixtures of "
            f"{' or '.join(KERNELS)}, and categories use probabilities; leave it at auto"
        )
    if sigma != "pixel":
        return (
            f"sigma = {sigma} is for pixels: each column of a table has its own width; leave it out"
        )
    return None
