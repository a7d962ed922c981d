"""Baselines of log p, fitted to the training data directly.

Levels, whole numbers and categories have probabilities, for which a Gaussian of dequantised values
is a lower bound; real numbers have densities, in the units of the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.measures.covariance import Gaussian
from ptheta.models.numbers import numbers_of
from ptheta.specs import Column, ImageSpec, VectorSpec, to_levels

LEARNED_FROM = 10_000  # training examples
BINS = 64  # maximum number of bins of a histogram

LogDensity = Callable[[Tensor], Tensor]  # examples -> log p, float64 (B,) nats


@dataclass(frozen=True)
class Floor:
    """A baseline.

    make: fits to training examples and returns log p; whole: whether it needs complete rows
    bound: whether it is a lower bound for discrete columns
    """

    about: str
    make: Callable[[Dataset], LogDensity]
    whole: bool = False
    bound: bool = False


def some_of(train: Dataset) -> Tensor:
    """Training examples for a baseline, drawn with a fixed seed."""
    some = train.shuffled(0).subset(slice(0, LEARNED_FROM))
    return some.batch(slice(0, len(some))).x


def gaussian(train: Dataset) -> LogDensity:
    """log N(v; m, C) of dequantised values v of x. Few examples are dequantised several times, so
    that C contains the dequantisation noise in every direction."""
    numbers, x = numbers_of(train.spec), some_of(train)
    varying = ~numbers.of(x[:1])[0].isnan()
    again = 1 if numbers.exact else max(1, LEARNED_FROM // len(x))
    found = Gaussian.of(torch.cat([numbers.drawn(x)[:, varying] for _ in range(again)]))

    def log_p(x: Tensor) -> Tensor:
        v = numbers.drawn(x.cpu())
        return -found.surprise(v[:, varying]) - numbers.log_unit(v).double()

    return log_p


def independent(train: Dataset) -> LogDensity:
    """sum_i log p_i(x_i), where p_i is the histogram of a sub-pixel or of a column."""
    spec, x = train.spec, some_of(train)
    if isinstance(spec, ImageSpec):
        return _of_levels(spec, x)
    assert isinstance(spec, VectorSpec)
    columns = [_histogram(column, x[:, i].double()) for i, column in enumerate(spec.columns)]

    def log_p(x: Tensor) -> Tensor:
        cells = x.cpu().double().unbind(1)
        each = torch.stack([of(part) for of, part in zip(columns, cells, strict=True)])
        return torch.where(torch.stack(cells).isnan(), 0.0, each).sum(0)

    return log_p


def _of_levels(spec: ImageSpec, x: Tensor) -> LogDensity:
    """Log-histograms of the sub-pixels with add-one smoothing."""
    counts = torch.ones(spec.dims, spec.levels, dtype=torch.float64)
    for part in x.split(500):
        at = to_levels(part, spec.levels).flatten(1).long().T
        counts.scatter_add_(1, at, torch.ones(at.shape, dtype=torch.float64))
    log_share = (counts / counts.sum(1, keepdim=True)).log()

    def log_p(x: Tensor) -> Tensor:
        at = to_levels(x.cpu(), spec.levels).flatten(1).long().T
        return log_share.gather(1, at).sum(0)

    return log_p


def _histogram(column: Column, cells: Tensor) -> LogDensity:
    """log p of the cells of a column, NaN for a missing one; add-one smoothing of the bins."""
    seen = cells[~cells.isnan()]
    if column.values:
        counts = torch.bincount(seen.long(), minlength=len(column.values)).double() + 1
        log_share = (counts / counts.sum()).log()
        return lambda x: torch.where(x.isnan(), x, log_share[x.nan_to_num(0.0).long()])
    if len(seen) == 0 or (column.continuous and seen.min() == seen.max()):
        return lambda x: x - x  # a constant column carries no information
    return _of_numbers(seen, column.whole)


def _of_numbers(seen: Tensor, whole: bool) -> LogDensity:
    """Bins of equal width from the minimum to the maximum; each tail has the mass of one example
    and decays exponentially with the total length of the bins as scale."""
    low, high = seen.min().item(), seen.max().item()
    if whole:
        width = float(math.ceil((high - low + 1) / BINS))
        start, bins = low - 0.5, math.ceil((high - low + 1) / width)
    else:
        bins = max(1, min(BINS, math.isqrt(len(seen))))
        start, width = low, (high - low) / bins
    total, length = len(seen) + bins + 2, bins * width
    at = ((seen - start) / width).floor().long().clamp(0, bins - 1)
    counts = torch.bincount(at, minlength=bins).double() + 1
    inner = (counts / (total * width)).log()

    def log_p(x: Tensor) -> Tensor:
        place = ((x - start) / width).nan_to_num(0.0).floor().clamp(0, bins - 1).long()
        beyond = torch.maximum(start - x, x - (start + length)).clamp(min=0)
        outer = -math.log(total * length) - beyond / length
        return torch.where(beyond > 0, outer, inner[place]) + (x - x)

    return log_p


FLOORS: dict[str, Floor] = {
    "gaussian": Floor("one Gaussian of the training data", gaussian, whole=True, bound=True),
    "independent": Floor("independent histograms of the pixels or columns", independent),
}
