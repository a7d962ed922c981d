"""What every task asks of a condition before it uses it: that the model takes it and knows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from torch import Tensor, nn

from ptheta.capabilities import (
    attributes_of,
    classes_of,
    conditional,
    device_of,
    some_conditions,
)
from ptheta.errors import PthetaError


def check_labels(classes: int, labels: Sequence[int]) -> None:
    """Raises PthetaError for a label that a model of so many classes does not know, and for what
    is no whole number."""
    whole_numbers(labels, "label")
    for label in labels:
        if not classes:
            raise PthetaError(f"label {label}: this model takes no labels; leave the label out")
        if not 0 <= label < classes:
            raise PthetaError(f"unknown label {label}: this model knows 0 to {classes - 1}")


def whole_numbers(asked: Iterable[object], what: str) -> None:
    """Raises PthetaError for truth values and floats: as numbers they would name other things.

    what: they are, for the message
    """
    for one in asked:
        array = np.asarray(one)  # of an array or a tensor of one number, too
        if array.ndim or not np.issubdtype(array.dtype, np.integer):
            raise PthetaError(f"{what} {one!r}: want a whole number")


def check_condition(model: nn.Module, condition: Tensor | None) -> Tensor | None:
    """The condition on the model's device, int64 (B,) labels or float (B, A) attributes.

    Raises PthetaError where the model takes none, and for a label that it does not know.
    """
    if condition is None:
        return None
    if not conditional(model):
        raise PthetaError("this model takes no condition: leave the labels (or attributes) out")
    if condition.ndim == 1:
        check_labels(classes_of(model), condition.unique().tolist())
    return condition.to(device_of(model))


def one_condition(model: nn.Module, label: int | None, n: int) -> Tensor | None:
    """The condition number `label` of a model, for n images: a label, or one attribute alone.

    label: None is the first one of a conditional model
    Raises PthetaError where the model takes none, or knows no such one.
    """
    if label is not None:
        known = classes_of(model) or attributes_of(model)
        check_labels(known, [label])
    number = label or 0
    every = some_conditions(model, number + 1)
    return None if every is None else every[number].expand(n, *every.shape[1:])
