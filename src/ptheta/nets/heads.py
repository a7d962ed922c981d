"""What stands between a network's outputs and a distribution of pixels."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from ptheta.distributions.pixels import (
    Bernoulli,
    Categorical,
    Gaussian,
    LogisticMixture,
    PixelDistribution,
)
from ptheta.errors import PthetaError, unknown
from ptheta.specs import ImageSpec

FEW_LEVELS = 16  # up to here a probability for each level is cheap

Kind = Literal["auto", "bernoulli", "categorical", "logistic", "gaussian"]


Sigma = Literal["pixel", "shared", "fixed"]


class Head(nn.Module):
    """Which distribution a network's output is, and how many numbers it takes.

    kind: auto is bernoulli for 2 levels, categorical up to 16, else logistic
    components: logistics mixed in each sub-pixel
    sigma: of a gaussian: an output for each sub-pixel, one learned number for all of them, or
        `scale`, in units of the pixel range (white - black = 1)
    per_pixel: numbers for each sub-pixel
    Raises PthetaError for another kind or sigma, and for a bernoulli with more than 2 levels.
    """

    def __init__(
        self,
        spec: ImageSpec,
        kind: Kind = "auto",
        components: int = 1,
        sigma: Sigma = "pixel",
        scale: float = 0.1,
    ) -> None:
        super().__init__()
        if kind not in get_args(Kind):
            raise unknown("likelihood", kind, get_args(Kind))
        if sigma not in get_args(Sigma):
            raise unknown("sigma", sigma, get_args(Sigma))
        if kind == "auto":
            few: Kind = "bernoulli" if spec.levels == 2 else "categorical"
            kind = few if spec.levels <= FEW_LEVELS else "logistic"
        if kind == "bernoulli" and spec.levels != 2:
            raise PthetaError(
                f"a bernoulli likelihood has 2 levels, the images have {spec.levels}: "
                "train with --levels 2, or choose logistic, gaussian or categorical"
            )
        self.levels, self.kind = spec.levels, kind
        sizes = {"bernoulli": 1, "categorical": spec.levels, "logistic": 3 * components}
        sizes["gaussian"] = 2 if sigma == "pixel" else 1
        self.per_pixel = sizes[kind]
        # widths start near `scale` (logistic: 1/7 of the range) and stay above a tenth of a level
        self.start = math.log(2 * scale)
        self.floor = math.log(0.2 / (spec.levels - 1))
        shared = kind == "gaussian" and sigma == "shared"
        self.log_sigma = nn.Parameter(torch.tensor(self.start)) if shared else None

    def forward(self, out: Tensor) -> PixelDistribution:
        """out (B, per_pixel * C, H, W), colours fastest, of any C, H and W."""
        out = out.float() if out.dtype in (torch.float16, torch.bfloat16) else out
        if self.kind == "bernoulli":
            return Bernoulli(out)
        out = out.unflatten(1, (self.per_pixel, -1))  # (B, per_pixel, C, H, W)
        if self.kind == "categorical":
            return Categorical(out)
        if self.kind == "gaussian":
            loc = out[:, 0]
            if self.per_pixel == 2:
                log_sigma = (out[:, 1] + self.start).clamp(min=self.floor)
            elif self.log_sigma is not None:
                log_sigma = self.log_sigma.clamp(min=self.floor).expand(loc.shape)
            else:
                log_sigma = loc.new_full((), self.start).expand(loc.shape)
            return Gaussian(loc, log_sigma, self.levels)
        weights, loc, log_scale = out.chunk(3, 1)
        return LogisticMixture(weights, loc, (log_scale - 2).clamp(min=self.floor), self.levels)
