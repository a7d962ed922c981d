"""What every task asks of a condition before it uses it: that the model takes it and knows it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ptheta.capabilities import conditional, device_of, some_conditions
from ptheta.errors import PthetaError


def check_labels(classes: int, labels: Sequence[int]) -> None:
    """Raises PthetaError for a label that a model of so many classes does not know."""
    for label in labels:
        if not classes:
            raise PthetaError(f"label {label}: this model takes no labels; leave the label out")
        if not 0 <= label < classes:
            raise PthetaError(f"unknown label {label}: this model knows 0 to {classes - 1}")


def check_condition(model: nn.Module, condition: Tensor | None) -> Tensor | None:
    """The condition on the model's device, int64 (B,) labels or float (B, A) attributes.

    Raises PthetaError where the model takes none, and for a label that it does not know.
    """
    if condition is None:
        return None
    if not conditional(model):
        raise PthetaError("this model takes no condition: leave the labels (or attributes) out")
    if condition.ndim == 1:
        check_labels(getattr(model, "classes", 0), condition.unique().tolist())
    return condition.to(device_of(model))


def one_condition(model: nn.Module, label: int | None, n: int) -> Tensor | None:
    """The condition number `label` of a model, for n images: a label, or one attribute alone.

    label: None is the first one of a conditional model
    Raises PthetaError where the model takes none, or knows no such one.
    """
    if label is not None:
        known: int = getattr(model, "classes", 0) or getattr(model, "attributes", 0)
        check_labels(known, [label])
    number = label or 0
    every = some_conditions(model, number + 1)
    return None if every is None else every[number].expand(n, *every.shape[1:])
