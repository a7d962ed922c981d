"""Inputs of the usefulness evaluation: training and test examples, and samples of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.specs import DataSpec, VectorSpec, to_symmetric

MOST = 5000  # maximum number of training examples for a classifier, and of test examples


class Examples(NamedTuple):
    """Examples with labels. x: examples of the spec, (N, ...); y: labels int64 (N,), None if
    unknown"""

    x: Tensor
    y: Tensor | None

    @property
    def labels(self) -> Tensor:
        """The labels; must be known."""
        assert self.y is not None
        return self.y

    def rows(self, at: Tensor) -> Examples:
        return Examples(self.x[at], None if self.y is None else self.y[at])


Draw = Callable[[int, int], Examples]  # (n, seed) -> n samples of the model, with labels


@dataclass(frozen=True, eq=False)
class Known:
    """The data and the sampler to evaluate.

    spec: of the examples; train, test: disjoint sets of real examples
    bank: all training examples, to search for copies
    draw: samples n examples by a seed, with labels if the training examples have labels
    names: of the classes; empty without labels
    target: index of the label column; None if labels are separate from the examples
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
        """Classifier inputs. For rows: all cells except the label, standardised, categories
        one-hot, 0 for missing cells, float32 (N, W); for images: values in [-1, 1], (N, C, H, W).
        """
        if not isinstance(self.spec, VectorSpec):
            return to_symmetric(x)
        if self.target is None:
            return self.spec.compared(x)
        columns = [column for i, column in enumerate(self.spec.columns) if i != self.target]
        rest = [cells for i, cells in enumerate(x.unbind(1)) if i != self.target]
        return VectorSpec(tuple(columns)).compared(torch.stack(rest, 1))

    def whole(self, of: Examples) -> Tensor:
        """Rows with the label appended one-hot, if it is not a column: float32 (N, W)."""
        x = self.spec.compared(of.x)
        if of.y is None or self.target is not None:
            return x
        return torch.cat([x, torch.nn.functional.one_hot(of.y, len(self.names)).to(x)], 1)
