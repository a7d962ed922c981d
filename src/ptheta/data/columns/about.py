"""A summary of the columns of a table for the user."""

from __future__ import annotations

import numpy as np

from ptheta.data.columns.summary import ColumnAbout
from ptheta.data.vector_data import VectorDataset
from ptheta.specs import Column

FEW = 500  # number of training rows that a model may memorise


def columns_about(data: VectorDataset) -> dict[str, ColumnAbout]:
    """Summaries of the columns by name, in order."""
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
    """Suggestions before training on these rows."""
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
