"""Translations that need no learning of the kind a model does, to hold its numbers against: each is
measured as a model is, by the same metrics on the same inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.conditions import Image
from ptheta.conditions.base import tensor_of
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset, images_of
from ptheta.data.inputs import Inputs
from ptheta.errors import PthetaError
from ptheta.measures.memorisation import nearest
from ptheta.specs import DataSpec, ImageSpec, LabelMapSpec

READ = 512  # pairs that are read at a time
RIDGE_PAIRS = 1500  # that the regression is fitted to
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # of the regression, times the mean squared norm
LUMA = (0.299, 0.587, 0.114)  # ITU-R 601


def inputs_of(data: Dataset) -> Inputs:
    """What the examples are to be made from. Raises PthetaError where the data are no pairs."""
    if data.inputs is None:
        raise PthetaError(f"{data.name} has no inputs: floors of a translation are of pairs")
    return data.inputs


def given(data: Dataset, rows: Tensor) -> Tensor:
    """The inputs at these positions: uint8 (B, C, H, W)."""
    return inputs_of(data).take(data, data.rows(rows.numpy()))


class Floor(nn.Module, ABC):
    """What answers inputs without a network. pairs: training pairs"""

    def __init__(self, pairs: Dataset) -> None:
        super().__init__()
        self.spec: DataSpec = pairs.spec
        self.condition = Image(inputs_of(pairs).spec)

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        """An answer to each of n inputs, always the same."""
        assert condition is not None
        return self.answer(tensor_of(condition, Image.kind))

    @abstractmethod
    def answer(self, x: Tensor) -> Tensor:
        """Inputs uint8 (B, C, H, W) -> answers uint8 (B, C', H', W')."""
        ...


class MeanTarget(Floor):
    """The mean of the training targets; of label maps the commonest label at each place."""

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
    """The target of the training pair whose input is nearest in pixels."""

    def __init__(self, pairs: Dataset) -> None:
        super().__init__(pairs)
        self.pairs = pairs
        every = given(pairs, torch.arange(len(pairs)))
        self.known = ImageDataset("inputs", pairs.split, every.numpy())

    def answer(self, x: Tensor) -> Tensor:
        where, _ = nearest(x, self.known)
        return self.pairs.batch(where).x


class CopiedInput(Floor):
    """The input itself, in grey or in colour as the target is."""

    def answer(self, x: Tensor) -> Tensor:
        channels = self.spec.shape[0]
        if x.shape[1] == channels:
            return self.condition.spec.rounded(x)
        if channels == 3:
            return x[:, :1].expand(-1, 3, -1, -1).contiguous()
        grey = (x.float() * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
        return grey.round().to(torch.uint8)


class Ridge(Floor):
    """Linear regression of the target on the input, as a network sees both, with the penalty that
    does best on a tenth of the training pairs.

    With centred inputs X (N, D) and targets Y, the answer to x is mean(Y) + x X^T (X X^T + p I)^-1
    Y, for which only the products of inputs are needed.
    """

    def __init__(self, pairs: Dataset) -> None:
        super().__init__(pairs)
        order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0))
        rows = order[:RIDGE_PAIRS]
        x = self.condition.planes(given(pairs, rows)).flatten(1)
        y = pairs.spec.scaled(pairs.batch(rows.numpy()).x).flatten(1)
        held = max(1, len(rows) // 10)
        errors = [
            (_Fit(x[held:], y[held:], p)(x[:held]) - y[:held]).square().mean().item()
            for p in PENALTIES
        ]
        self.fit = _Fit(x, y, PENALTIES[errors.index(min(errors))])

    def answer(self, x: Tensor) -> Tensor:
        found = self.fit(self.condition.planes(x).flatten(1))
        return self.spec.unscaled(found.view(-1, *self.spec.scaled_shape).clamp(-1, 1))


class _Fit:
    """x: (N, D); y: (N, E); penalty: times the mean squared norm of x"""

    def __init__(self, x: Tensor, y: Tensor, penalty: float) -> None:
        self.centre, self.mean = x.mean(0), y.mean(0)
        self.x = x - self.centre
        products = (self.x @ self.x.T).double()
        least = 1e-6  # inputs that are all alike have no products
        weight = penalty * products.diagonal().mean().clamp(min=least)
        products.diagonal().add_(weight)
        right = (y - self.mean).double()
        self.dual = torch.linalg.solve(products, right).float()

    def __call__(self, x: Tensor) -> Tensor:
        answer: Tensor = (x - self.centre) @ self.x.T @ self.dual + self.mean
        return answer


class CopiedImage(nn.Module):
    """What carries nothing over between domains: the image stays what it was."""

    condition: ClassVar[None] = None

    def __init__(self, train: Dataset) -> None:
        super().__init__()
        images = images_of(train)
        self.spec, self.names = images.spec, images.classes

    def input_spec(self) -> ImageSpec:
        return self.spec

    def domains(self) -> tuple[str, ...]:
        return self.names

    def varied(self) -> bool:
        return False

    def translate(self, x: Tensor, to: Tensor | None = None) -> Tensor:
        return x


@dataclass(frozen=True)
class FloorKind:
    """make: from training data; fits: whether there is one of such data"""

    make: Callable[[Dataset], nn.Module]
    fits: Callable[[Dataset], bool]


def _labels(data: Dataset) -> bool:
    return isinstance(data.spec, LabelMapSpec)


def _paired(data: Dataset) -> bool:
    return data.inputs is not None


def _copyable(data: Dataset) -> bool:
    """Inputs of the size of the targets, in grey or in colour, where neither is of a palette that
    the other does not have."""
    if data.inputs is None:
        return False
    inputs, targets = data.inputs.spec, data.spec
    palette = _labels(data) and inputs != targets
    channels = {inputs.channels, targets.shape[0]} <= {1, 3}
    return inputs.shape[1:] == targets.shape[1:] and channels and not palette


TRANSLATION_FLOORS: dict[str, FloorKind] = {
    "commonest label": FloorKind(MeanTarget, lambda data: _paired(data) and _labels(data)),
    "mean target": FloorKind(MeanTarget, lambda data: _paired(data) and not _labels(data)),
    "nearest training pair": FloorKind(NearestPair, _paired),
    "ridge regression": FloorKind(Ridge, _paired),
    "input copied": FloorKind(CopiedInput, _copyable),
    "image copied": FloorKind(
        CopiedImage, lambda data: not _paired(data) and len(data.present_classes()) > 1
    ),
}


def floors_of(train: Dataset) -> dict[str, nn.Module]:
    """Those that fit the data, by name."""
    return {name: kind.make(train) for name, kind in TRANSLATION_FLOORS.items() if kind.fits(train)}
