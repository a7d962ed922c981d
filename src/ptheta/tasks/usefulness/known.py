"""What the usefulness of samples is told by: training and test examples, and samples of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.specs import DataSpec, VectorSpec, to_symmetric

MOST = 5000  # training examples that a classifier is shown, and test examples


class Examples(NamedTuple):
    """x: as the spec has them, (N, ...); y: labels int64 (N,), None where nobody knows them"""

    x: Tensor
    y: Tensor | None

    @property
    def labels(self) -> Tensor:
        """Where they are known."""
        assert self.y is not None
        return self.y

    def rows(self, at: Tensor) -> Examples:
        return Examples(self.x[at], None if self.y is None else self.y[at])


Draw = Callable[[int, int], Examples]  # (n, seed) -> n examples of the model, with their labels


@dataclass(frozen=True, eq=False)
class Known:
    """spec: of the examples; train, test: real ones, those of `test` not among the training ones
    bank: all training examples, that samples may be copies of
    draw: n examples of the model by a seed, with labels where the training examples have some
    names: of the classes, none where there are no labels
    target: the number of the column that is the label; None where labels stand beside the examples
    """

    spec: DataSpec
    train: Examples
    test: Examples
    bank: Dataset
    draw: Draw
    names: tuple[str, ...] = ()
    target: int | None = None

    @property
    def labelled(self) -> bool:
        return self.train.y is not None

    def seen(self, x: Tensor) -> Tensor:
        """What a classifier of labels sees: the cells of a row but for the label, standardised,
        words one-hot and 0 where they are missing, float32 (N, W); images in [-1, 1], (N, C, H, W).
        """
        if not isinstance(self.spec, VectorSpec):
            return to_symmetric(x)
        if self.target is None:
            return self.spec.compared(x)
        columns = [column for i, column in enumerate(self.spec.columns) if i != self.target]
        rest = [cells for i, cells in enumerate(x.unbind(1)) if i != self.target]
        return VectorSpec(tuple(columns)).compared(torch.stack(rest, 1))

    def whole(self, of: Examples) -> Tensor:
        """Rows with their label, one-hot, as far as it stands beside them: float32 (N, W)."""
        x = self.spec.compared(of.x)
        if of.y is None or self.target is not None:
            return x
        return torch.cat([x, torch.nn.functional.one_hot(of.y, len(self.names)).to(x)], 1)
