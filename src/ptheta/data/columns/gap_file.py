"""A table read part by part, and written again with its gaps filled and nothing else changed."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from ptheta.config import brief
from ptheta.data.columns.learn import LISTED
from ptheta.data.columns.raw import is_missing, plain
from ptheta.data.names import shortened, shown, some_of
from ptheta.errors import PthetaError
from ptheta.specs import Column, VectorSpec

ROWS = 2000  # in memory together
FURTHEST = float(np.finfo(np.float32).max)
Put = Callable[["Part", Tensor], None]


class Part(Protocol):
    """Some rows of a table. cells: float32 (B, D), NaN where a cell is missing"""

    @property
    def cells(self) -> Tensor: ...


class GapFile(ABC):
    """A table of the columns of a spec, among others."""

    def __init__(self, path: Path, spec: VectorSpec) -> None:
        self.path, self.spec = path, spec

    @abstractmethod
    def parts(self) -> Iterator[Part]:
        """Its rows in order. Raises PthetaError if it is not such a table."""

    @abstractmethod
    def writing(self, out: Path) -> AbstractContextManager[Put]:
        """Inside, parts are written there with rows (B, D) that fill their gaps."""

    def _refuse_others(self, names: Sequence[str]) -> None:
        for column in self.spec.columns:
            if column.name not in names:
                raise PthetaError(
                    f"{self.path} has no column {shortened(column.name)!r}, which the model was "
                    f"trained on: it has {some_of(names, LISTED)}"
                )
            if names.count(column.name) > 1:
                raise PthetaError(
                    f"{self.path} has two columns {brief(column.name)!r}: give each a different "
                    "name"
                )


def cell_of(text: str, column: Column) -> float:
    """The value of a cell's text in a column. Raises PthetaError for an invalid number or unknown
    category."""
    if is_missing(text):
        return math.nan
    if column.values:
        return float(_position(shown(text.strip()), column))
    try:
        number = float("" if "_" in text else text)
    except ValueError:
        number = math.inf
    if math.isnan(number):  # written in an odd way, such as -nan
        return number
    if abs(number) > FURTHEST or (column.whole and number != round(number)):
        kind = "whole number" if column.whole else f"number up to {FURTHEST:.2g}"
        raise PthetaError(f"column {column.name!r} holds {brief(text)}: give a {kind}, or nothing")
    return number


def _position(word: str, column: Column) -> int:
    try:
        words = (word, plain(float(word)))
    except (ValueError, OverflowError):
        words = (word, word)
    found = next((w for w in words if w in column.values), None)
    if found is None:
        known = some_of(column.values, LISTED)
        raise PthetaError(
            f"column {column.name!r} holds {brief(word)}, and the run learned {known}: leave such "
            "rows out"
        )
    return column.values.index(found)
