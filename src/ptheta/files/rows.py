"""Atomic writing of CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from ptheta.files.atomic import make_folder, write_atomic


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a header line and one line per row. Missing parent folders are created."""

    def fill(place: Path) -> None:
        # file names may not be valid UTF-8
        with place.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(head)
            writer.writerows(rows)

    make_folder(path.parent)
    write_atomic(path, fill)
