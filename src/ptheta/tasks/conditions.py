"""Parse conditions from user input: names, numbers, texts or tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from ptheta.batch import Between, Condition, Together, joined
from ptheta.capabilities import Blends, condition_of, device_of
from ptheta.conditions import Attributes, ConditionSpec, Labels, parts_of
from ptheta.conditions.base import tensor_of
from ptheta.config import brief
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError

Asked: TypeAlias = Condition | str | Sequence[str] | Mapping[str, Sequence[str]]
"""Conditions as tensors, or as user input: one text, several, or several by their kind."""


def whole_numbers(asked: Iterable[object], what: str) -> None:
    """Raise PthetaError for booleans and floats, which would be mistaken for indices.

    what: their name in the message
    """
    for one in asked:
        array = np.asarray(one)  # also from an array or tensor with one number
        if array.ndim or not np.issubdtype(array.dtype, np.integer):
            raise PthetaError(f"{what} {one!r}: want a whole number")


def spec_of(model: nn.Module, what: str = "condition") -> ConditionSpec:
    """The condition spec of a model. Raises PthetaError for an unconditional model.

    what: name of the condition in the message
    """
    spec = condition_of(model)
    if spec is None:
        raise PthetaError(f"this model takes no {what}: leave it out")
    return spec


def check_condition(model: nn.Module, condition: Condition | None) -> Condition | None:
    """The condition on the model's device.

    Raises PthetaError if the model takes none, and for an unknown value.
    """
    if condition is None:
        return None
    return _checked(spec_of(model), condition).to(device_of(model))


def _checked(spec: ConditionSpec, condition: Condition) -> Condition:
    """A condition or an interpolated one. Raises PthetaError if it does not match the spec."""
    for end in condition.ends() if isinstance(condition, Between) else (condition,):
        spec.check(end)
    return condition


def rows_between(model: nn.Module, rows: Condition, steps: int) -> Condition:
    """Interpolate from the first to the second of two rows in equal steps, one row each.

    Raises PthetaError unless there are two rows, and if the model cannot interpolate conditions.
    """
    spec_of(model)
    if len(rows) != 2:
        raise PthetaError(
            f"conditions to interpolate: give two, the first and the last, not {len(rows)}"
        )
    if steps < 2:
        raise PthetaError(f"{steps} steps between two conditions: want 2 or more")
    share = torch.linspace(0, 1, steps, device=device_of(model))
    first, second = (rows[torch.full_like(share, end, dtype=torch.long)] for end in (0, 1))
    return blend(model, first, second, share)


def blend(model: nn.Module, first: Condition, second: Condition, share: Tensor) -> Condition:
    """Interpolate the conditions of B examples: share (B,), 0 for the first.

    Raises PthetaError if the model cannot interpolate conditions.
    """
    if not isinstance(model, Blends):
        raise PthetaError(
            "this model cannot interpolate between conditions: give each of them separately"
        )
    return model.between(first, second, share)


def rows_asked(model: nn.Module, asked: Asked) -> Condition:
    """The requested conditions, one per row, on the model's device.

    Raises PthetaError if the model does not support such a condition.
    """
    by_kind = isinstance(asked, Mapping)
    spec = spec_of(model, next(iter(asked), "condition") if by_kind else "condition")
    if isinstance(asked, Tensor | Together):
        found = _checked(spec, asked)
    elif isinstance(asked, Mapping):
        found = _of_kinds(spec, {kind: _parsed(spec, kind, texts) for kind, texts in asked.items()})
    else:
        found = joined([spec.parse(text) for text in _texts(asked, "condition")])
    return found.to(device_of(model))


def labels_asked(model: nn.Module, labels: Sequence[int | str]) -> Condition:
    """Labels by name or number, one row each. Raises PthetaError as `rows_asked` does."""
    spec = spec_of(model, "labels")
    part = _part(spec, Labels.kind)
    assert isinstance(part, Labels)
    if not len(labels):
        raise PthetaError("labels is empty: give at least one, or leave it out for all in turn")
    whole_numbers((one for one in labels if not isinstance(one, str)), "label")
    numbers = [part.number(one) if isinstance(one, str) else int(one) for one in labels]
    for number in numbers:
        part.check_number(number)
    return _of_kinds(spec, {Labels.kind: torch.tensor(numbers)}).to(device_of(model))


def attributes_asked(model: nn.Module, attributes: Sequence[float]) -> Condition:
    """One vector of attributes, as one row. Raises PthetaError as `rows_asked` does."""
    spec = spec_of(model, "attributes")
    part = _part(spec, Attributes.kind)
    if len(attributes) != part.size:
        raise PthetaError(f"{len(attributes)} attributes: this model takes {part.size}")
    row = torch.tensor([[float(value) for value in attributes]])
    part.check(row)
    return _of_kinds(spec, {Attributes.kind: row}).to(device_of(model))


def conditions_asked(
    model: nn.Module,
    labels: Sequence[int | str] | None,
    attributes: Sequence[float] | None,
    condition: Asked | None,
) -> Condition | None:
    """The rows given by one of these three; None if none is given.

    Raises PthetaError as `rows_asked` does, and if two are given.
    """
    if sum(one is not None for one in (labels, attributes, condition)) > 1:
        raise PthetaError("labels, attributes and condition exclude one another: give one of them")
    if labels is not None:
        return labels_asked(model, labels)
    if attributes is not None:
        return attributes_asked(model, attributes)
    return None if condition is None else rows_asked(model, condition)


def one_condition(model: nn.Module, asked: int | str | None, n: int) -> Condition | None:
    """One condition for n images.

    asked: index of the label (or of a single attribute, ...), or a text; None for the first
        condition of a conditional model
    Raises PthetaError if the model takes no condition, or not this one.
    """
    spec = condition_of(model)
    if asked is None and spec is None:
        return None
    spec = spec_of(model, "labels")
    if isinstance(asked, str):
        row = spec.parse(asked)
    else:
        whole_numbers([asked or 0], "label")
        if isinstance(spec, Labels):
            spec.check_number(asked or 0)
        elif not 0 <= (asked or 0) < spec.size:
            raise PthetaError(
                f"unknown label {asked}: the labels of this model are 0 to {spec.size - 1}"
            )
        row = spec.examples(1, asked or 0)
    return row[torch.zeros(n, dtype=torch.long)].to(device_of(model))


def with_conditions(model: nn.Module, data: Dataset) -> Dataset:
    """The data set with the conditions of the model, regardless of the model it was opened for.
    Labels whose names are unknown to the model are matched by index.

    Raises PthetaError if the conditions do not match, such as for other attributes.
    """
    spec = condition_of(model)
    if spec is None or data.condition == spec:
        return data
    if isinstance(spec, Labels) and not set(data.present_classes()) <= set(spec.names):
        return replace(data, condition=spec)
    return spec.adapted(data)


def _part(spec: ConditionSpec, kind: str) -> ConditionSpec:
    """The part of a condition spec of this kind. Raises PthetaError if there is none."""
    for part in parts_of(spec):
        if part.kind == kind:
            return part
    takes = ", ".join(part.kind for part in parts_of(spec))
    raise PthetaError(f"this model takes no {kind}, it takes {takes}: leave the {kind} out")


def _parsed(spec: ConditionSpec, kind: str, texts: Sequence[str]) -> Tensor:
    part = _part(spec, kind)
    return tensor_of(joined([part.parse(text) for text in _texts(texts, kind)]), kind)


def _texts(asked: object, what: str) -> list[str]:
    """One or several texts or paths, as a list. Raises PthetaError for none and for other types.

    what: their name in the message
    """
    found = list(asked) if isinstance(asked, Iterable) and not isinstance(asked, str) else [asked]
    if not found:
        raise PthetaError(f"{what} is empty: give at least one, or leave it out")
    for one in found:
        if not isinstance(one, str | PurePath):
            raise PthetaError(f"{what} {brief(repr(one))}: want a text, or several")
    return [str(one) for one in found]


def _of_kinds(spec: ConditionSpec, rows: Mapping[str, Tensor]) -> Condition:
    """Combine rows of some kinds to rows of the whole condition, as many as the longest has.
    Shorter ones are repeated in turn; missing kinds are filled with the examples of the spec."""
    parts = parts_of(spec)
    n = max(map(len, rows.values()))
    turn = torch.arange(n)
    found = {p.kind: rows[p.kind] if p.kind in rows else p.examples(n) for p in parts}
    filled = {kind: tensor_of(row, kind) for kind, row in found.items()}
    if len(parts) == 1:
        return filled[parts[0].kind]
    return Together({kind: row[turn % len(row)] for kind, row in filled.items()})
