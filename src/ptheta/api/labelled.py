"""Real examples and samples of a run, with labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.batch import Condition, Together
from ptheta.capabilities import condition_of
from ptheta.conditions import Labels, parts_of
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError, unknown
from ptheta.specs import Column, DataSpec, VectorSpec
from ptheta.tasks.conditions import with_conditions
from ptheta.tasks.sample import check_sampling
from ptheta.tasks.spread import spread_over
from ptheta.tasks.usefulness import MOST, Examples, Known, Usefulness, usefulness

Labeller = Callable[[Tensor], Tensor]  # x (N, ...) -> int64 (N,), -1 if the label is missing


class Target(NamedTuple):
    """A column used as the label: its index, the label names, and the labeller."""

    column: int
    names: tuple[str, ...]
    of: Labeller


@dataclass(frozen=True)
class Drawn:
    """Samples of a model, with the conditions of training examples.

    condition: of the training examples, None for an unconditional model; y: their labels
    """

    model: nn.Module
    condition: Condition | None
    y: Tensor | None
    target: Target | None

    def __call__(self, n: int, seed: int) -> Examples:
        if self.condition is None:
            x = tasks.sample(self.model, n, seed=seed)
            return Examples(x, None if self.target is None else self.target.of(x))
        y = torch.zeros(len(self.condition), dtype=torch.long) if self.y is None else self.y
        rows = spread_over(y, n, seed)
        x = tasks.sample(self.model, n, seed=seed, condition=self.condition[rows])
        return Examples(x, None if self.y is None else y[rows])


def measured(
    model: nn.Module,
    train: Dataset,
    test: Dataset,
    target: str | None,
    *,
    n: int | None,
    repeats: int,
    seed: int,
) -> tuple[Usefulness, tuple[str, ...]]:
    """Evaluates the usefulness of a model's samples; also returns remarks. Arguments and errors as
    for `ptheta.usefulness`."""
    known, remarks = known_of(model, train, test, target)
    return usefulness(known, n=n, repeats=repeats, seed=seed), remarks


def known_of(
    model: nn.Module, train: Dataset, test: Dataset, target: str | None
) -> tuple[Known, tuple[str, ...]]:
    """The data for the evaluation of usefulness, and remarks. target: as for `ptheta.usefulness`.

    Raises PthetaError if the model cannot sample, for a target that is not a label, and if all
    labels are the same.
    """
    check_sampling(model, 1)
    shown, held_out = (
        _some(with_conditions(model, data).with_fixed_binarisation()) for data in (train, test)
    )
    remarks = [
        f"{len(some):,} of {len(data):,} {what} {data.examples} are used"
        for some, data, what in ((shown, train, "training"), (held_out, test, "test"))
        if len(some) < len(data)
    ]
    spec, labels = train.spec, _labels_of(model)
    of = None if target is None else _target(spec, target, labels, shown)
    real, new = (_examples(data, labels, of) for data in (shown, held_out))
    names = labels.names if labels is not None else () if of is None else of.names
    if real.y is None:
        remarks.append(_no_labels(spec))
    elif len(real.y.unique()) < 2 or not len(new.labels):
        raise PthetaError(
            f"the labels of {len(real.y):,} training {train.examples} are all the same, or no "
            f"test {test.example} has one, so there is nothing to classify: give other data or "
            "another label"
        )
    asked = None if condition_of(model) is None else shown.batch(slice(None)).condition
    draw = Drawn(model, asked, real.y, of)
    column = None if of is None else of.column
    known = Known(spec, real, new, train, draw, names, column)
    return known, tuple(remarks)


def _some(data: Dataset) -> Dataset:
    return data if len(data) <= MOST else data.shuffled(0).subset(slice(0, MOST))


def _labels_of(model: nn.Module) -> Labels | None:
    """The label spec of a model's condition."""
    parts = parts_of(condition_of(model))
    return next((part for part in parts if isinstance(part, Labels)), None)


def _examples(data: Dataset, labels: Labels | None, target: Target | None) -> Examples:
    """All examples with a known label."""
    batch = data.batch(slice(None))
    if target is not None:
        y = target.of(batch.x)
        return Examples(batch.x[y >= 0], y[y >= 0])
    if labels is None:
        return Examples(batch.x, None)
    condition = batch.condition
    found = condition.parts[labels.kind] if isinstance(condition, Together) else condition
    assert isinstance(found, Tensor)
    return Examples(batch.x, found)


def _no_labels(spec: DataSpec) -> str:
    cure = "; for a table, --target COLUMN uses a column as the label" if columns(spec) else ""
    return (
        "no labels: the run is not conditional on labels, so no classifier is trained on its "
        f"samples{cure}"
    )


def columns(spec: DataSpec) -> tuple[Column, ...]:
    """The columns of a table; empty for images."""
    return spec.columns if isinstance(spec, VectorSpec) else ()


def _hint_on_labels(train: Dataset) -> str:
    if train.labels is None:
        return ""
    return (
        "; this run was trained without the labels: train with --condition labels, or with "
        "--category-columns COLUMN to include a label column"
    )


def _target(spec: DataSpec, name: str, labels: Labels | None, train: Dataset) -> Target:
    """Raises PthetaError for a column that is not a label."""
    if labels is not None:
        raise PthetaError(
            f"--target {name}: the run is conditional on labels, which are used: leave it out"
        )
    if not columns(spec):
        raise PthetaError(
            f"--target {name}: this is a run of images, which have no columns: leave it out"
        )
    names = [column.name for column in columns(spec)]
    if name not in names:
        raise PthetaError(f"--target {unknown('column', name, names)}{_hint_on_labels(train)}")
    k = names.index(name)
    column = columns(spec)[k]
    if column.values:
        return Target(k, column.values, lambda x: _words(x[:, k]))
    cells = train.batch(slice(None)).x[:, k]
    values = cells[~cells.isnan()].unique()
    if len(values) == 2:
        return Target(k, tuple(f"{v:g}" for v in values.tolist()), lambda x: _two(x[:, k], values))
    raise PthetaError(
        f"--target {name}: the column has {len(values)} different numbers; a label is a column "
        f"of words, or of two numbers{_others(spec)}"
    )


def _others(spec: DataSpec) -> str:
    words = [column.name for column in columns(spec) if column.values]
    return f": {', '.join(words)}" if words else ""


def _words(cells: Tensor) -> Tensor:
    return torch.where(cells.isnan(), -1.0, cells).long()


def _two(cells: Tensor, values: Tensor) -> Tensor:
    """Index of the nearer of two values."""
    nearer = ((cells - values[1]).abs() < (cells - values[0]).abs()).long()
    return torch.where(cells.isnan(), -1, nearer)
