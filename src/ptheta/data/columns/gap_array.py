"""Imputation in array files: all other values stay unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ptheta.data.arrays import unreadable
from ptheta.data.columns.arrays import cells_of
from ptheta.data.columns.gap_file import ROWS, GapFile, Part, Put
from ptheta.data.members import DAMAGE
from ptheta.errors import PthetaError


@dataclass(frozen=True)
class ArrayPart:
    """rows: as stored, (B, D)"""

    rows: np.ndarray
    cells: Tensor


class ArrayGaps(GapFile):
    """A .npy file of rows."""

    def _array(self) -> np.ndarray:
        try:
            found: np.ndarray = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except DAMAGE as error:
            raise unreadable(self.path, error) from None
        if found.ndim != 2 or found.shape[1] != self.spec.dims or found.dtype.kind != "f":
            raise PthetaError(
                f"{self.path} holds {found.dtype} of shape {found.shape}: give rows of floats "
                f"(N, {self.spec.dims})"
            )
        return found

    def parts(self) -> Iterator[ArrayPart]:
        array = self._array()
        for at in range(0, len(array), ROWS):
            rows = np.array(array[at : at + ROWS])
            yield ArrayPart(rows, torch.from_numpy(cells_of(rows, str(self.path), at)))

    @contextmanager
    def writing(self, out: Path) -> Iterator[Put]:
        array, at = self._array(), 0
        made = np.lib.format.open_memmap(out, "w+", array.dtype, array.shape)

        def put(part: Part, filled: Tensor) -> None:
            nonlocal at
            assert isinstance(part, ArrayPart)
            rows = np.where(np.isnan(part.rows), filled.numpy().astype(array.dtype), part.rows)
            made[at : at + len(rows)] = rows
            at += len(rows)

        yield put
        made.flush()
