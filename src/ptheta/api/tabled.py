"""Writing .csv tables, one row per example."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from ptheta.files.atomic import make_folder, write_atomic


def texts(values: Tensor) -> list[str]:
    """Formats values with six digits."""
    return [f"{value:.6g}" for value in values.tolist()]


def write_columns(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    """Writes columns of equal length, by their heads."""

    def fill(place: Path) -> None:
        # file names may not be valid UTF-8
        with place.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))

    make_folder(path.parent)
    write_atomic(path, fill)
