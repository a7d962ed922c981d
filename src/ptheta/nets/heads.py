"""What stands between a network's outputs and a distribution of pixels: one class for each."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from ptheta.distributions.pixels import (
    Bernoulli,
    Categorical,
    DiscretisedGaussian,
    LogisticMixture,
    PixelDistribution,
)
from ptheta.distributions.kernels import KERNELS
from ptheta.errors import PthetaError, unknown
from ptheta.nets.column_heads import ColumnsHead
from ptheta.nets.example_head import ExampleHead
from ptheta.specs import DataSpec, ImageSpec, VectorSpec

FEW_LEVELS = 16  # up to here a probability for each level is cheap

Sigma = Literal["pixel", "shared", "fixed"]


@dataclass(frozen=True)
class HeadOptions:
    """components: logistics mixed in each sub-pixel
    sigma: of a gaussian: an output for each sub-pixel, one learned number for all of them, or
        `scale`, in units of the pixel range (white - black = 1)
    Raises PthetaError for another sigma.
    """

    components: int = 1
    sigma: Sigma = "pixel"
    scale: float = 0.1

    def __post_init__(self) -> None:
        if self.sigma not in get_args(Sigma):
            raise unknown("sigma", self.sigma, get_args(Sigma))


DEFAULTS = HeadOptions()


class Head(ExampleHead):
    """Makes a network's output a distribution of pixels.

    per_pixel: numbers that the network gives for each sub-pixel
    """

    per_pixel: int

    if TYPE_CHECKING:  # as `forward`: torch leaves it open

        def __call__(self, out: Tensor) -> PixelDistribution: ...

    def __init__(self, spec: ImageSpec, options: HeadOptions) -> None:
        super().__init__()
        self.spec, self.levels = spec, spec.levels
        # widths start near `scale` (logistic: 1/7 of the range) and stay above a tenth of a level
        self.start = math.log(2 * options.scale)
        self.floor = math.log(0.2 / (spec.levels - 1))

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
    """The log-odds of white. Raises PthetaError for more than 2 levels."""

    per_pixel = 1

    def __init__(self, spec: ImageSpec, options: HeadOptions) -> None:
        super().__init__(spec, options)
        if spec.levels != 2:
            raise PthetaError(
                f"a bernoulli likelihood has 2 levels, the images have {spec.levels}: "
                "train with --levels 2, or choose logistic, gaussian or categorical"
            )

    def distribution(self, out: Tensor) -> Bernoulli:
        return Bernoulli(out)


class CategoricalHead(Head):
    """A logit for each level."""

    def __init__(self, spec: ImageSpec, options: HeadOptions) -> None:
        super().__init__(spec, options)
        self.per_pixel = spec.levels

    def distribution(self, out: Tensor) -> Categorical:
        return Categorical(self.by_number(out))


class LogisticHead(Head):
    """Of each logistic a weight, a location and a scale."""

    def __init__(self, spec: ImageSpec, options: HeadOptions) -> None:
        super().__init__(spec, options)
        self.per_pixel = 3 * options.components

    def distribution(self, out: Tensor) -> LogisticMixture:
        weights, loc, log_scale = self.by_number(out).chunk(3, 1)
        return LogisticMixture(weights, loc, (log_scale - 2).clamp(min=self.floor), self.levels)


class GaussianHead(Head):
    """A location, and a width where each sub-pixel has its own."""

    def __init__(self, spec: ImageSpec, options: HeadOptions) -> None:
        super().__init__(spec, options)
        self.per_pixel = 2 if options.sigma == "pixel" else 1
        shared = options.sigma == "shared"
        self.log_sigma = nn.Parameter(torch.tensor(self.start)) if shared else None

    def distribution(self, out: Tensor) -> DiscretisedGaussian:
        out = self.by_number(out)
        loc = out[:, 0]
        if self.per_pixel == 2:
            log_sigma = (out[:, 1] + self.start).clamp(min=self.floor)
        elif self.log_sigma is not None:
            log_sigma = self.log_sigma.clamp(min=self.floor).expand(loc.shape)
        else:
            log_sigma = loc.new_full((), self.start).expand(loc.shape)
        return DiscretisedGaussian(loc, log_sigma, self.levels)


HEADS: dict[str, type[Head]] = {
    "bernoulli": BernoulliHead,
    "categorical": CategoricalHead,
    "logistic": LogisticHead,
    "gaussian": GaussianHead,
}

if TYPE_CHECKING:
    Likelihood: TypeAlias = str
else:  # the options of the command line are read off the table
    Likelihood = Literal["auto", *HEADS]


def default_likelihood(levels: int) -> str:
    """bernoulli for 2 levels, categorical up to 16, else logistic."""
    if levels == 2:
        return "bernoulli"
    return "categorical" if levels <= FEW_LEVELS else "logistic"


def head(spec: ImageSpec, likelihood: Likelihood = "auto", options: HeadOptions = DEFAULTS) -> Head:
    """The head of a likelihood; auto: see `default_likelihood`. Raises PthetaError for another."""
    name = default_likelihood(spec.levels) if likelihood == "auto" else likelihood
    if name not in HEADS:
        raise unknown("likelihood", name, ("auto", *HEADS))
    return HEADS[name](spec, options)


def levels_head(spec: ImageSpec) -> Head:
    """A probability for each level: bernoulli for 2 levels, else categorical."""
    return head(spec, "bernoulli" if spec.levels == 2 else "categorical")


def example_head(
    spec: DataSpec, likelihood: Likelihood = "auto", options: HeadOptions = DEFAULTS
) -> ExampleHead:
    """The head for any spec. Raises PthetaError as `head` does, and for a likelihood or a width that
    columns cannot have."""
    if isinstance(spec, ImageSpec):
        return head(spec, likelihood, options)
    odd = odd_for_columns(likelihood, options.sigma)
    if odd is not None or not isinstance(spec, VectorSpec):
        raise PthetaError(odd or f"no likelihood of {spec} is known")
    return ColumnsHead(spec, kernel_of(likelihood), options.components)


def kernel_of(likelihood: Likelihood) -> str:
    """What the numbers of a vector are mixtures of; auto: Gaussians."""
    return "gaussian" if likelihood == "auto" else likelihood


def odd_for_columns(likelihood: Likelihood, sigma: Sigma) -> str | None:
    """Why the columns of a vector cannot have this: one sentence, or None."""
    if kernel_of(likelihood) not in KERNELS:
        return (
            f"likelihood = {likelihood} is of pixels: numbers of a vector are mixtures of "
            f"{' or '.join(KERNELS)}, and words have a probability each; leave it at auto"
        )
    if sigma != "pixel":
        return f"sigma = {sigma} is of pixels: each column of a vector has its own; leave it out"
    return None
