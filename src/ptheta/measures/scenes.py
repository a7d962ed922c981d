"""Agreement of scenes: attributes read from an image compared with the true ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ptheta.data.shapes import ATTRIBUTES, CENTRES, FILLS, OBJECT

CELLS = len(CENTRES) ** 2
ABSENT = -1
KINDS = ("shape", "colour", "size", "fill")  # attributes of an object besides its cell


@dataclass(frozen=True)
class Agreement:
    """Agreement by attribute, float64 (N,) each. background: 1 if equal. The others: the fraction
    of the objects of either scene that both have in the same cell (place), and that also agree in
    shape, colour, size or fill. Missing, additional or displaced objects do not agree. fills: 1 if
    both have objects with the same set of fills, in any cells.
    """

    background: np.ndarray
    place: np.ndarray
    shape: np.ndarray
    colour: np.ndarray
    size: np.ndarray
    fill: np.ndarray
    fills: np.ndarray

    def all_of(self, *names: str) -> np.ndarray:
        """Whether all of these attributes agree completely: float64 (N,) of 0 and 1."""
        known = vars(self)
        whole = np.stack([known[name] == 1 for name in names]).all(axis=0)
        return np.asarray(whole, dtype=np.float64)


def agreement(read: np.ndarray, wanted: np.ndarray) -> Agreement:
    """Compare scenes, int8 (N, 14) each with the columns ATTRIBUTES, in any order of the
    objects."""
    a, b = _by_cell(read), _by_cell(wanted)
    either = ((a != ABSENT) | (b != ABSENT)).any(-1)  # (N, 9)
    both = (a != ABSENT).any(-1) & (b != ABSENT).any(-1)
    count = np.maximum(either.sum(1), 1)
    nothing = either.sum(1) == 0

    def part(same: np.ndarray) -> np.ndarray:
        return np.where(nothing, 1.0, (same & both).sum(1) / count)

    background = ATTRIBUTES.index("background")
    shape, colour, size, fill = (part(a[..., k] == b[..., k]) for k in range(len(KINDS)))
    return Agreement(
        background=(read[:, background] == wanted[:, background]).astype(np.float64),
        place=part(both),
        shape=shape,
        colour=colour,
        size=size,
        fill=fill,
        fills=(_fills(a) == _fills(b)).all(1).astype(np.float64),
    )


# attributes compared as multisets over the objects
PARTS = ("objects", "background", "place", *KINDS)


def alike(read: np.ndarray, wanted: np.ndarray) -> dict[str, np.ndarray]:
    """Whether scenes, int8 (N, 14) each, agree in each attribute separately: the same number of
    objects, the same cells, the same shapes, and so on, as multisets over the objects. By PARTS:
    float64 (N,).

    For a single object this compares its attributes. With two objects, attributes may still be
    swapped between them; `agreement` detects that.
    """
    plain = {name: ATTRIBUTES.index(name) for name in ("objects", "background")}
    found = {name: read[:, k] == wanted[:, k] for name, k in plain.items()}
    a, b = _by_cell(read), _by_cell(wanted)
    found["place"] = ((a != ABSENT).any(-1) == (b != ABSENT).any(-1)).all(1)
    for k, name in enumerate(KINDS):
        found[name] = (np.sort(a[..., k], 1) == np.sort(b[..., k], 1)).all(1)
    return {name: found[name].astype(np.float64) for name in PARTS}


def _fills(cells: np.ndarray) -> np.ndarray:
    """Which fills occur in scenes given by cell: bool (N, fills)."""
    fill = cells[..., KINDS.index("fill")]
    return np.stack([(fill == k).any(1) for k in range(len(FILLS))], 1)


def _by_cell(rows: np.ndarray) -> np.ndarray:
    """Shape, colour, size and fill in each cell, -1 for an empty cell: int8 (N, 9, 4)."""
    cells = np.full((len(rows), CELLS, len(KINDS)), ABSENT, dtype=np.int8)
    for which in ("first", "second"):
        columns = {name: rows[:, ATTRIBUTES.index(f"{which}_{name}")] for name in OBJECT}
        there = np.flatnonzero(columns["shape"] != ABSENT)
        cell = columns["row"][there] * len(CENTRES) + columns["column"][there]
        cells[there, cell] = np.stack([columns[name][there] for name in KINDS], 1)
    return cells
