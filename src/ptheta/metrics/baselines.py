"""Baseline examples without a model, to compare a model's metrics with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.data.image_data import images_of
from ptheta.specs import DataSpec, VectorSpec, filled, quantise

LEARNED_FROM = 2000  # maximum number of images for the Gaussian


def pixel_gaussian(train: Dataset, n: int, seed: int) -> Tensor:
    """Samples of the Gaussian with the mean and covariance of the pixels: right to second order.

    The covariance is never formed: x = mean + A^T w with A the centred images over sqrt(N - 1) and
    w ~ N(0, I) has it.
    """
    train = images_of(train)
    some = train.with_fixed_binarisation().shuffled(seed)
    x = some.batch(slice(0, min(LEARNED_FROM, len(some)))).x.flatten(1).float()
    mean = x.mean(0)
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(n, len(x), generator=generator) / (len(x) - 1) ** 0.5
    drawn = mean + w @ (x - mean)
    images = drawn.clamp(0, 255).round().to(torch.uint8).view(n, *train.spec.shape)
    return quantise(images, train.levels)


def shuffled_pixels(train: Dataset, n: int, seed: int) -> Tensor:
    """Training images with randomly permuted pixels: right histograms, no shapes."""
    x = copies(train, n, seed)
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(len(x), 1, x[0, 0].numel(), generator=generator).argsort(2)
    return x.flatten(2).gather(2, order.expand(-1, x.shape[1], -1)).view_as(x)


def copies(real: Dataset, n: int, seed: int) -> Tensor:
    """Copies of real images: the distance is at least as good as that of a perfect model, but
    nothing is new."""
    # different from those of the real baseline
    some = real.with_fixed_binarisation().shuffled(seed + 1)
    return some.batch([i % len(some) for i in range(n)]).x


def gaussian_rows(train: Dataset, n: int, seed: int) -> Tensor:
    """Samples of the Gaussian of the columns in network scale, categories one-hot: right to second
    order. Missing cells are replaced by the mean of their column."""
    some = train.shuffled(seed)
    s = train.spec.scaled(some.batch(slice(0, min(LEARNED_FROM, len(some)))).x).double()
    mean = filled(s.nanmean(0))  # NaN if all of these rows lack the cell
    centred = filled(s - mean)
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(n, len(s), generator=generator, dtype=torch.float64)
    return train.spec.unscaled(mean + w @ centred / max(1, len(s) - 1) ** 0.5)


def shuffled_columns(train: Dataset, n: int, seed: int) -> Tensor:
    """Every column sampled independently from the training rows: right marginals, no dependence."""
    generator = torch.Generator().manual_seed(seed)
    x = train.batch(slice(None)).x
    columns = []
    for cells in x.unbind(1):
        there = cells[~cells.isnan()]
        columns.append(there[torch.randint(len(there), (n,), generator=generator)])
    return torch.stack(columns, 1)


def complete_copies(real: Dataset, n: int, seed: int) -> Tensor:
    """Real rows without missing cells, or any rows if none is complete."""
    whole = ~real.batch(slice(None)).x.isnan().any(1)
    return copies(real.subset(whole) if whole.any() else real, n, seed)


Make = Callable[[Dataset, Dataset, int, int], Tensor]  # (training, test, n, seed) -> n examples


@dataclass(frozen=True)
class Baseline:
    """A baseline. make: returns n examples; blind: whether they ignore the dependence between
    variables, so that any useful model must be better"""

    make: Make
    blind: bool = False

    def __call__(self, train: Dataset, test: Dataset, n: int, seed: int) -> Tensor:
        return self.make(train, test, n, seed)


BASELINES: dict[str, Baseline] = {
    "pixel Gaussian": Baseline(lambda train, test, n, seed: pixel_gaussian(train, n, seed), True),
    "shuffled pixels": Baseline(lambda train, test, n, seed: shuffled_pixels(train, n, seed), True),
    "training set, copied": Baseline(lambda train, test, n, seed: copies(train, n, seed)),
    "test set, copied": Baseline(lambda train, test, n, seed: copies(test, n, seed)),
}
OF_VECTORS: dict[str, Baseline] = {
    "Gaussian of the columns": Baseline(
        lambda train, test, n, seed: gaussian_rows(train, n, seed), True
    ),
    "columns shuffled": Baseline(
        lambda train, test, n, seed: shuffled_columns(train, n, seed), True
    ),
    "training set, copied": Baseline(lambda train, test, n, seed: complete_copies(train, n, seed)),
    "test set, copied": Baseline(lambda train, test, n, seed: complete_copies(test, n, seed)),
}


def baselines_of(spec: DataSpec) -> dict[str, Baseline]:
    """The baselines for such examples, by name."""
    return OF_VECTORS if isinstance(spec, VectorSpec) else BASELINES
