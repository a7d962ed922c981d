"""Evaluation of a representation by classification with few labels: needs `Encodes`.

Three classifiers for each number of labels: a linear probe on the codes of the trained encoder; the
encoder and a linear head, fine-tuned together from the trained weights; the same network trained
from scratch. The difference of the last two measures the benefit of training without labels.
Codes without a gradient, such as rounded ones or those of a solved ODE, have the linear probe only.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypedDict, Unpack

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ptheta.capabilities import Encodes, conditional, device_of
from ptheta.compute.streams import seeded, undisturbed
from ptheta.errors import PthetaError
from ptheta.tasks.needs import require

WAYS = ("linear", "fine-tuned", "from scratch")


@dataclass(frozen=True)
class Probe:
    """Accuracy on the test images. accuracy: one value per random subset of labelled images"""

    way: str
    labels: int
    accuracy: tuple[float, ...]

    @property
    def mean(self) -> float:
        return float(np.mean(self.accuracy))

    @property
    def spread(self) -> float:
        """Standard deviation over the subsets; 0 for one."""
        return float(np.std(self.accuracy, ddof=1)) if len(self.accuracy) > 1 else 0.0


class Labelled(NamedTuple):
    """Images uint8 (N, C, H, W) with int64 labels (N,)."""

    x: Tensor
    y: Tensor

    def rows(self, rows: Tensor) -> Labelled:
        return Labelled(self.x[rows], self.y[rows])


class Options(TypedDict, total=False):
    """Settings of the evaluation.

    draws: random subsets of labelled images, for each number of labels; default: 3
    steps: Adam steps of the fine-tuned and the fresh network, batches of at most 64; default: 300
    seed: random seed; default: 0
    """

    draws: int
    steps: int
    seed: int


@undisturbed()
def probe(
    trained: nn.Module,
    fresh: Callable[[], nn.Module],
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    labels: Sequence[int],
    *,
    tell: Callable[[str], None] = lambda text: None,
    **options: Unpack[Options],
) -> list[Probe]:
    """Train and test classifiers on the representation of a model.

    trained: a model that encodes; fresh: returns the same model with new weights
    train, test: image batches with int64 labels (N,)
    labels: numbers of labelled images to learn from, balanced over classes if possible; a number of
        at least all images uses all of them, once
    tell: called with a line about each result

    Raises PthetaError if the model cannot encode or is conditional, for fewer labels than classes,
    and for draws or steps below 1.
    """
    encoder = require(trained, Encodes, "predict labels from codes")
    if conditional(trained):
        raise PthetaError(
            "this model is conditional on the label (or attributes): there is nothing to probe"
        )
    learning = _Learning(trained, fresh, Labelled(*train), Labelled(*test), **options)
    for count in labels:
        if count < learning.classes:
            raise PthetaError(
                f"{count} labels for {learning.classes} classes: give at least one of each"
            )
    with torch.no_grad(), seeded(learning.seed):
        codes, test_codes = (
            Labelled(torch.cat([_encoded(encoder, part) for part in x.split(500)]).cpu(), y)
            for x, y in (train, test)
        )
    found = []
    for count in labels:
        for one in learning.probes(count, codes, test_codes):
            tell(f"{one.labels} labels, {one.way}: {one.mean:.3f}")
            found.append(one)
    return found


@dataclass(frozen=True)
class _Learning:
    """The models, data and settings of `probe`."""

    trained: nn.Module
    fresh: Callable[[], nn.Module]
    train: Labelled
    test: Labelled
    draws: int = 3
    steps: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        if self.draws < 1 or self.steps < 1:
            raise PthetaError(
                f"draws = {self.draws}, steps = {self.steps}: give at least one of each"
            )

    @property
    def classes(self) -> int:
        return int(self.train.y.max()) + 1

    def probes(self, count: int, codes: Labelled, test_codes: Labelled) -> list[Probe]:
        """Results of the three classifiers with `count` labelled images.

        codes, test_codes: codes of the training and test images
        """
        from ptheta.tasks.logistic import logistic_accuracy  # scikit-learn takes a second to import

        n = len(self.train.x)
        drawn = [torch.arange(n)] if count >= n else self._drawn(count)
        accuracy = {"linear": [logistic_accuracy(*codes.rows(rows), *test_codes) for rows in drawn]}
        if self.tunable:
            accuracy |= {
                "fine-tuned": [self._tuned(i, rows, self._copy) for i, rows in enumerate(drawn)],
                "from scratch": [self._tuned(i, rows, self.fresh) for i, rows in enumerate(drawn)],
            }
        return [Probe(way, min(count, n), tuple(accuracy[way])) for way in WAYS if way in accuracy]

    @cached_property
    def tunable(self) -> bool:
        """Whether the codes have a gradient, by which the encoder can learn."""
        encoder = require(self.trained, Encodes, "predict labels from codes")
        with torch.enable_grad(), seeded(self.seed):
            return _encoded(encoder, self.train.x[:2]).requires_grad

    def _drawn(self, count: int) -> list[Tensor]:
        return [balanced(self.train.y, count, self.seed + draw) for draw in range(self.draws)]

    def _copy(self) -> nn.Module:
        return copy.deepcopy(self.trained)

    def _tuned(self, draw: int, rows: Tensor, start: Callable[[], nn.Module]) -> float:
        """Accuracy of the encoder with a linear head, both trained on these rows."""
        with seeded(self.seed + draw):
            model = start().to(device_of(self.trained))
            return _tuned(model, self.train.rows(rows), self.test, self.classes, self.steps)


def balanced(y: Tensor, count: int, seed: int) -> Tensor:
    """Choose `count` rows, the same number of each class except for a remainder."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    classes = int(y.max()) + 1
    rank = torch.empty_like(y)
    for c in range(classes):
        mine = order[y[order] == c]
        rank[mine] = torch.arange(len(mine))
    # first of each class, second of each class, ...
    return order[torch.argsort(rank[order], stable=True)][:count]


def _encoded(encoder: Encodes, x: Tensor) -> Tensor:
    """Codes in single precision, on the device of the encoder."""
    assert isinstance(encoder, nn.Module)
    return encoder.encode(x.to(device_of(encoder))).float()


def _tuned(model: nn.Module, train: Labelled, test: Labelled, classes: int, steps: int) -> float:
    """Accuracy of the model's encoder with a linear head, both trained."""
    x, y = train
    encoder, device = require(model, Encodes, "predict labels from codes"), device_of(model)
    with torch.no_grad():
        head = nn.Linear(_encoded(encoder, x[:2]).shape[1], classes).to(device)
    model.train()
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    size = min(64, len(x))
    for _ in range(steps):
        rows = torch.randint(len(x), (size,))
        loss = cross_entropy(head(_encoded(encoder, x[rows])), y[rows].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        hits = [
            (head(_encoded(encoder, part)).argmax(1).cpu() == wanted).float()
            for part, wanted in zip(test.x.split(500), test.y.split(500), strict=True)
        ]
    return torch.cat(hits).mean().item()
