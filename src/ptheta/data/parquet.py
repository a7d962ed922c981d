"""Parquet files with an image column, as the hub stores them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptheta.data import tabular
from ptheta.data.dataset import Dataset
from ptheta.data.request import Request
from ptheta.data.splits import Part, named
from ptheta.data.tabular import ROWS, lacks
from ptheta.errors import PthetaError


@dataclass(frozen=True)
class Parquet:
    """A parquet file."""

    path: Path

    def schema(self) -> Any:
        import pyarrow.parquet as pq

        return pq.read_schema(self.path)

    def groups(self) -> int:
        import pyarrow.parquet as pq

        return int(pq.read_metadata(self.path).num_row_groups)

    def batches(self, column: str, groups: Sequence[int] | None = None) -> Iterator[Any]:
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.path) as opened:
            if column not in opened.schema_arrow.names:
                raise lacks(self.path, column)
            for batch in opened.iter_batches(ROWS, groups, columns=[column]):
                yield batch.column(0)


def files_of(path: Path) -> dict[str, list[Path]]:
    """The files of each split, by their names; the files for train where none names a split."""
    if path.is_file():
        return {"train": [path]}
    found: dict[str, list[Path]] = {}
    for file in sorted(path.rglob("*.parquet")):
        inside = file.relative_to(path)
        if not any(part.startswith(".") for part in inside.parts) and file.is_file():
            found.setdefault(named(inside.as_posix()) or "", []).append(file)
    rest = found.pop("", [])
    return found if "train" in found or not rest else {"train": rest} | found


def read(path: Path, request: Request) -> tuple[Dataset, Part]:
    """The part of a parquet file or folder that answers to a split.

    Raises PthetaError without pyarrow, without an image column, or where a file is damaged.
    """
    need_pyarrow(path)
    splits = {split: [Parquet(file) for file in some] for split, some in files_of(path).items()}
    return tabular.read(path, splits, request)


def need_pyarrow(path: Path) -> None:
    """Raises PthetaError where it is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise PthetaError(f"{path} needs the extra: pip install 'ptheta[parquet]'") from None
