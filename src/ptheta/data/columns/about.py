"""What the columns of a table hold, for the user to look at."""

from __future__ import annotations

import numpy as np

from ptheta.data.columns.told import ColumnAbout
from ptheta.data.vector_data import VectorDataset
from ptheta.specs import Column

FEW = 500  # training rows, of which a model may know each by heart


def columns_about(data: VectorDataset) -> dict[str, ColumnAbout]:
    """By name, in their order."""
    cells = data.cells[data.rows(slice(None))]
    return {c.name: _about(c, cells[:, i]) for i, c in enumerate(data.vectors.columns)}


def _about(column: Column, cells: np.ndarray) -> ColumnAbout:
    there = cells[~np.isnan(cells)]
    about: ColumnAbout = {"kind": column.kind, "missing": 1 - len(there) / len(cells)}
    if column.values:
        return about | {"words": list(column.values)}
    if len(there):
        about |= {"low": float(there.min()), "high": float(there.max())}
    return about


def columns_advice(data: VectorDataset) -> list[str]:
    """What to mend or to set before training on these rows."""
    cells, lines = data.cells[data.rows(slice(None))], []
    if len(data) < FEW:
        lines.append(f"{len(data)} training rows only: a model may memorise them; add more")
    for i, column in enumerate(data.vectors.columns):
        there = cells[:, i][~np.isnan(cells[:, i])]
        different = len(np.unique(there))
        if different == 1:
            lines.append(f"column {column.name!r} is the same in every row")
        elif column.whole and different == len(cells):
            lines.append(
                f"column {column.name!r} has a different whole number in every row, like row "
                "numbers: leave it out with --columns"
            )
    return lines
