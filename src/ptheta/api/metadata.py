"""Metadata of samples: the condition of each, as table columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from ptheta.batch import Condition, Together
from ptheta.conditions import Attributes, ConditionSpec, Labels, Text, parts_of
from ptheta.data.metadata import FILE_NAME
from ptheta.data.table import CAPTIONS, LABELS

Cell = str | float
Metadata = Callable[[int], Mapping[str, Cell]]  # sample index -> its cells by column

LABEL, CAPTION = LABELS[0], CAPTIONS[0]
TAKEN = (FILE_NAME, *LABELS, *CAPTIONS)  # columns that `ptheta.open_data` reads as something else


def _label(spec: ConditionSpec, rows: Tensor) -> dict[str, list[Cell]]:
    return {LABEL: [*spec.describe(rows)]}


def _caption(spec: ConditionSpec, rows: Tensor) -> dict[str, list[Cell]]:
    return {CAPTION: [*spec.describe(rows)]}


def _attributes(spec: ConditionSpec, rows: Tensor) -> dict[str, list[Cell]]:
    """One column per attribute, with words as text."""
    assert isinstance(spec, Attributes)
    found: dict[str, list[Cell]] = {}
    for name, values in zip(spec.names, rows.T.tolist(), strict=True):
        words = {number: word for word, number in spec.by_name.get(name, {}).items()}
        column = f"attribute {name}" if name in TAKEN else name
        found[column] = [words.get(value, value) for value in values]
    return found


# columns of each kind of condition; other kinds, such as images, are not written
COLUMNS: dict[str, Callable[[ConditionSpec, Tensor], dict[str, list[Cell]]]] = {
    Labels.kind: _label,
    Attributes.kind: _attributes,
    Text.kind: _caption,
}


def metadata_of(spec: ConditionSpec | None, every: Condition) -> Metadata | None:
    """Metadata of samples drawn with these conditions in turn; None if there is none."""
    found: dict[str, list[Cell]] = {}
    for part in parts_of(spec):
        rows = every.parts[part.kind] if isinstance(every, Together) else every
        columns = COLUMNS.get(part.kind)
        if columns is not None and isinstance(rows, Tensor):
            found |= columns(part, rows.cpu())
    if not found:
        return None
    return lambda i: {name: cells[i % len(cells)] for name, cells in found.items()}
