"""Completions of masked test images, compared with the true pixels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import Completes, conditional, varied
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import images_of
from ptheta.data.turns import in_turn
from ptheta.masks import TESTED
from ptheta.measures.errors import MOST_DECIBELS, decibels, squared_error
from ptheta.measures.intervals import Groups, draws, estimate
from ptheta.measures.results import Estimate
from ptheta.metrics.context import Context
from ptheta.metrics.metric import Metric, Presentation, Section
from ptheta.specs import ImageSpec
from ptheta.tasks.conditions import with_conditions
from ptheta.tasks.inpaint import inpaint, regions
from ptheta.terminal.progress import stage

IMAGES = 500  # number of test images, each with every mask
AT_ONCE = 50  # images completed at a time
READ = 1000  # training images read at a time


def of_completions(ctx: Context) -> bool:
    """The model completes images deterministically. Models that sample the unknown pixels are
    judged by their likelihood: a sample has a larger error than a blurred mean."""
    return isinstance(ctx.model, Completes) and not varied(ctx.model)


def completion_psnr(ctx: Context) -> Mapping[str, Estimate]:
    """PSNR of completions, by mask."""
    with stage("completing test images"):
        return {name: psnr_of(errors_by(ctx, name)) for name in TESTED}


def errors_by(ctx: Context, mask: str) -> Tensor:
    """The mean squared error on the unknown pixels of each test image, out of 255^2: (N,)."""
    data = with_conditions(ctx.the_model, ctx.test)
    batch = in_turn(data).batch(slice(0, min(IMAGES, len(data))))
    n, c, h, w = batch.x.shape
    unknown = regions(mask, n, (c, h, w), ctx.seed)
    y = batch.condition if conditional(ctx.the_model) else None
    found = []
    for start in range(0, n, AT_ONCE):
        some = slice(start, start + AT_ONCE)
        x, open_ = batch.x[some], unknown[some]
        hidden = x.masked_fill(open_, 0)  # do not leak the true pixels
        asked = None if y is None else y[some]
        made = inpaint(ctx.the_model, hidden, ~open_, seed=ctx.seed, condition=asked)
        found.append(squared_error(made, x, open_))
    return torch.cat(found)


def psnr_of(errors: Tensor) -> Estimate:
    """The PSNR of the mean of these squared errors (N,), so that an exactly completed image, with
    an infinite PSNR by itself, contributes an error of 0."""
    groups = Groups(len(errors), "real")
    left = (10 * torch.log10(255.0**2 / groups.means(errors))).clamp(max=MOST_DECIBELS)
    found = draws(real=left) if groups.count else None
    return estimate(decibels(errors.mean().item()), found)


OF_COMPLETIONS: tuple[Metric, ...] = (
    Metric(
        "completion_psnr_{term}",
        completion_psnr,
        "peak signal-to-noise ratio on the unknown pixels, by mask",
        Section.COMPLETION,
        of=(ImageSpec,),
        asked=of_completions,
        unit="dB",
        better="higher",
        shown=Presentation(paired=True),
    ),
)


# -- baselines


class MeanFill(nn.Module):
    """Fills in the mean training image, regardless of the known pixels."""

    condition = None

    def __init__(self, train: Dataset) -> None:
        super().__init__()
        self.train_images, self.spec = train, images_of(train).spec

    def varied(self) -> bool:
        return False

    @cached_property
    def mean(self) -> Tensor:
        """The mean training image, uint8 (1, C, H, W)."""
        data, total = self.train_images, torch.zeros(self.spec.shape, dtype=torch.float64)
        for start in range(0, len(data), READ):
            total += data.batch(slice(start, min(start + READ, len(data)))).x.double().sum(0)
        return self.spec.rounded((total / len(data)).round().to(torch.uint8)[None])

    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        return torch.where(known, x, self.mean.to(x.device))


class NearestImage(nn.Module):
    """Fills in the training image nearest in the known pixels; the first of several."""

    condition = None

    def __init__(self, train: Dataset) -> None:
        super().__init__()
        self.train_images, self.spec = train.with_fixed_binarisation(), images_of(train).spec

    def varied(self) -> bool:
        return False

    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        there = known.flatten(1).float()
        seen = x.flatten(1).float() * there
        best = torch.full((len(x),), torch.inf, device=x.device)
        found = torch.zeros_like(x)
        for start in range(0, len(self.train_images), READ):
            stop = min(start + READ, len(self.train_images))
            images = self.train_images.batch(slice(start, stop)).x.to(x.device)
            flat = images.flatten(1).float()
            # |k (x - t)|^2 without |k x|^2, which does not depend on t
            gap = there @ flat.square().T - 2 * seen @ flat.T
            least, place = gap.min(1)
            closer = least < best
            best = torch.where(closer, least, best)
            found[closer] = images[place[closer]]
        return torch.where(known, x, found)
