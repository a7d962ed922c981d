"""Baselines of translation, completion and text-to-image generation without a neural network. Each
is evaluated as a model is, by the same metrics on the same inputs.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.conditions import Image
from ptheta.conditions.base import tensor_of
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset, images_of
from ptheta.data.inputs import Inputs
from ptheta.errors import PthetaError
from ptheta.measures.errors import l1
from ptheta.measures.memorisation import nearest
from ptheta.metrics.biharmonic import SmoothestSurface
from ptheta.metrics.caption_floors import AnyCaption, NearestCaption, captioned
from ptheta.metrics.completions import MeanFill, NearestImage
from ptheta.specs import DataSpec, ImageSpec, LabelMapSpec

READ = 512  # pairs read at a time
RIDGE_PAIRS, CHOSEN_ON = (
    4000,
    1000,
)  # maximum pairs for the regression, and for the choice of its penalty
PENALTIES = tuple(
    10 ** (k / 2) for k in range(-6, 3)
)  # relative to the mean squared norm of an input
WIDTHS = (0.5, 1.0, 2.0, 4.0)  # standard deviations of a blur in pixels
LUMA = (0.299, 0.587, 0.114)  # ITU-R 601


def inputs_of(data: Dataset) -> Inputs:
    """The inputs of paired data. Raises PthetaError if the data has no pairs."""
    if data.inputs is None:
        raise PthetaError(f"{data.name} has no inputs: the baselines of a translation need pairs")
    return data.inputs


def given(data: Dataset, rows: Tensor) -> Tensor:
    """The inputs at these indices: uint8 (B, C, H, W)."""
    return inputs_of(data).take(data, data.rows(rows.numpy()))


class Floor(nn.Module, ABC):
    """A translation baseline. pairs: training pairs"""

    def __init__(self, pairs: Dataset) -> None:
        super().__init__()
        self.spec: DataSpec = pairs.spec
        self.condition = Image(inputs_of(pairs).spec)

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        """The output for each of n inputs; deterministic."""
        assert condition is not None
        return self.answer(tensor_of(condition, Image.kind))

    @abstractmethod
    def answer(self, x: Tensor) -> Tensor:
        """Inputs uint8 (B, C, H, W) -> outputs uint8 (B, C', H', W')."""
        ...


class MeanTarget(Floor):
    """The mean of the training targets; for label maps the most frequent label at each pixel."""

    def __init__(self, pairs: Dataset) -> None:
        super().__init__(pairs)
        total = torch.zeros(pairs.spec.scaled_shape, dtype=torch.float64)
        for start in range(0, len(pairs), READ):
            x = pairs.batch(slice(start, min(start + READ, len(pairs)))).x
            total += pairs.spec.scaled(x).double().sum(0)
        self.mean = pairs.spec.unscaled((total / len(pairs)).float()[None])

    def answer(self, x: Tensor) -> Tensor:
        return self.mean.expand(len(x), *self.mean.shape[1:]).contiguous()


class NearestPair(Floor):
    """The target of the training pair with the nearest input in pixels."""

    def __init__(self, pairs: Dataset) -> None:
        super().__init__(pairs)
        self.pairs = pairs
        every = given(pairs, torch.arange(len(pairs)))
        self.known = ImageDataset("inputs", pairs.split, every.numpy())

    def answer(self, x: Tensor) -> Tensor:
        where, _ = nearest(x, self.known)
        return self.pairs.batch(where).x


class CopiedInput(Floor):
    """The unchanged input, converted to grey or colour as the target."""

    def answer(self, x: Tensor) -> Tensor:
        channels = self.spec.shape[0]
        if x.shape[1] == channels:
            return self.condition.spec.rounded(x)
        if channels == 3:
            return x[:, :1].expand(-1, 3, -1, -1).contiguous()
        grey = (x.float() * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
        return grey.round().to(torch.uint8)


class BlurredInput(CopiedInput):
    """The blurred input, with the width that has the least pixel error to the targets."""

    def __init__(self, pairs: Dataset) -> None:
        super().__init__(pairs)
        rows = torch.arange(min(len(pairs), READ))
        x, y = super().answer(given(pairs, rows)), pairs.batch(rows.numpy()).x
        lost = {width: l1(blurred(x, width), y).mean().item() for width in WIDTHS}
        self.width = min(lost, key=lambda width: lost[width])

    def answer(self, x: Tensor) -> Tensor:
        return blurred(super().answer(x), self.width)


def blurred(x: Tensor, width: float) -> Tensor:
    """Blur images uint8 (B, C, H, W) by a Gaussian of this standard deviation in pixels, with edge
    padding."""
    reach = math.ceil(3 * width)
    at = torch.arange(-reach, reach + 1, dtype=torch.float32)
    g = torch.exp(-(at**2) / (2 * width**2))
    g = (g / g.sum()).expand(x.shape[1], 1, 1, -1)
    soft = F.pad(x.float(), (reach,) * 4, mode="replicate")
    soft = F.conv2d(F.conv2d(soft, g, groups=len(g)), g.mT, groups=len(g))
    return soft.round().clamp(0, 255).to(torch.uint8)


class Ridge(Floor):
    """Ridge regression of the target on the input, both in network scale, with the penalty chosen
    on held-out training pairs.

    With centred inputs X (N, D) and targets Y, the output for x is mean(Y) + x X^T (X X^T + p I)^-1
    Y, which only needs inner products of inputs.
    """

    def __init__(self, pairs: Dataset) -> None:
        super().__init__(pairs)
        order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0))
        rows = order[:RIDGE_PAIRS]
        x = self.condition.planes(given(pairs, rows)).flatten(1)
        y = pairs.spec.scaled(pairs.batch(rows.numpy()).x).flatten(1)
        few = slice(0, CHOSEN_ON)
        self.fit = _Fit(x, y, _best_penalty(x[few], y[few]))

    def answer(self, x: Tensor) -> Tensor:
        found = self.fit(self.condition.planes(x).flatten(1))
        return self.spec.unscaled(found.view(-1, *self.spec.scaled_shape).clamp(-1, 1))


def _best_penalty(x: Tensor, y: Tensor) -> float:
    """The penalty with the least squared error on a held-out tenth of the pairs."""
    held = max(1, len(x) // 10)
    lost = [
        (_Fit(x[held:], y[held:], p)(x[:held]) - y[:held]).square().mean().item() for p in PENALTIES
    ]
    return PENALTIES[lost.index(min(lost))]


class _Fit:
    """A fitted regression. x: (N, D); y: (N, E); penalty: relative to the mean squared norm of x"""

    def __init__(self, x: Tensor, y: Tensor, penalty: float) -> None:
        self.centre, self.mean = x.mean(0), y.mean(0)
        self.x = x - self.centre
        products = (self.x @ self.x.T).double()
        least = 1e-6  # the products are 0 if all inputs are equal
        weight = penalty * products.diagonal().mean().clamp(min=least)
        products.diagonal().add_(weight)
        right = (y - self.mean).double()
        self.dual = torch.linalg.solve(products, right).float()

    def __call__(self, x: Tensor) -> Tensor:
        answer: Tensor = (x - self.centre) @ self.x.T @ self.dual + self.mean
        return answer


class DomainFloor(nn.Module):
    """A baseline of translation between domains; this base class returns the unchanged image.
    train: labelled training images"""

    condition: ClassVar[None] = None

    def __init__(self, train: Dataset) -> None:
        super().__init__()
        self.train_part = images_of(train)
        self.spec, self.names = self.train_part.spec, train.classes

    def input_spec(self) -> ImageSpec:
        return self.spec

    def domains(self) -> tuple[str, ...]:
        return self.names

    def varied(self) -> bool:
        return False

    def translate(self, x: Tensor, to: Tensor | None = None) -> Tensor:
        return x


class BlurredImage(DomainFloor):
    """The blurred image, with a width of a sixteenth of its side."""

    def translate(self, x: Tensor, to: Tensor | None = None) -> Tensor:
        return blurred(x, min(x.shape[2:]) / 16)


class NearestOfDomain(DomainFloor):
    """The training image of the target domain nearest in pixels."""

    def translate(self, x: Tensor, to: Tensor | None = None) -> Tensor:
        assert to is not None
        data, made = self.train_part, torch.empty_like(x)
        assert data.labels is not None
        labels = data.labels[data.rows(slice(None))]
        for number in to.unique().tolist():
            there = np.flatnonzero(labels == number)
            if not len(there):
                raise PthetaError(f"{data.name} has no training image of {self.names[number]}")
            known, rows = data.subset(there), to == number
            where, _ = nearest(x[rows], known)
            made[rows] = known.batch(where).x
        return made


@dataclass(frozen=True)
class FloorKind:
    """A kind of baseline. make: builds it from training data; fits: whether it supports the data;
    blind: whether it ignores the input or condition, so that any useful model must be better"""

    make: Callable[[Dataset], nn.Module]
    fits: Callable[[Dataset], bool]
    blind: bool = False


def _labels(data: Dataset) -> bool:
    return isinstance(data.spec, LabelMapSpec)


def _paired(data: Dataset) -> bool:
    return data.inputs is not None


def _plain(data: Dataset) -> bool:
    return isinstance(data.spec, ImageSpec) and not _labels(data) and not _paired(data)


def _domains(data: Dataset) -> bool:
    return not _paired(data) and len(data.present_classes()) > 1


def _blurrable(data: Dataset) -> bool:
    return _copyable(data) and not _labels(data)


def _copyable(data: Dataset) -> bool:
    """Whether inputs can be returned as outputs: equal size, and no palette unless both have the
    same."""
    if data.inputs is None:
        return False
    inputs, targets = data.inputs.spec, data.spec
    palette = _labels(data) and inputs != targets
    channels = {inputs.channels, targets.shape[0]} <= {1, 3}
    return inputs.shape[1:] == targets.shape[1:] and channels and not palette


TRANSLATION_FLOORS: dict[str, FloorKind] = {
    "commonest label": FloorKind(MeanTarget, lambda data: _paired(data) and _labels(data), True),
    "mean target": FloorKind(MeanTarget, lambda data: _paired(data) and not _labels(data), True),
    "nearest training pair": FloorKind(NearestPair, _paired),
    "ridge regression": FloorKind(Ridge, _paired),
    "input copied": FloorKind(CopiedInput, _copyable),
    "mean image": FloorKind(MeanFill, _plain, True),
    "nearest training image": FloorKind(NearestImage, _plain),
    "smoothest surface": FloorKind(SmoothestSurface, _plain),
    "input copied, blurred": FloorKind(BlurredInput, _blurrable),
    "random training image": FloorKind(AnyCaption, captioned, True),
    "training image with the nearest caption": FloorKind(NearestCaption, captioned),
    "image copied": FloorKind(DomainFloor, _domains, True),
    "image blurred": FloorKind(BlurredImage, _domains),
    "nearest image of the domain": FloorKind(NearestOfDomain, _domains),
}


def floors_of(train: Dataset) -> dict[str, nn.Module]:
    """The baselines that support the data, by name."""
    return {name: kind.make(train) for name, kind in TRANSLATION_FLOORS.items() if kind.fits(train)}
