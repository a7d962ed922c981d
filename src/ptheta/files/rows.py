"""Rows of text as a .csv, written whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from ptheta.files.atomic import make_folder, write_atomic


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A line for the heads and one for each row. Folders above that are missing are made."""

    def fill(place: Path) -> None:
        # names of files may be no UTF-8
        with place.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(head)
            writer.writerows(rows)

    make_folder(path.parent)
    write_atomic(path, fill)
