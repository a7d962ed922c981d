"""Domains in the columns of a table: each picture is an example, its column is its label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from ptheta.data.decode import RawPictures, decode
from ptheta.data.image_data import ImageDataset
from ptheta.data.picture import Raw
from ptheta.data.request import Request
from ptheta.data.table import choose_column, no_captions, some_cells

if TYPE_CHECKING:
    from ptheta.data.tabular import Table


def read_domains(table: Table, split: str, caption: str | None, request: Request) -> ImageDataset:
    """The pictures of the given columns, one column after the other.

    split: the part of the table; caption: its caption column, or None
    With two columns, the pictures of a row are partners. Raises PthetaError for a missing column.
    """
    rows, columns = table.splits[split], request.settings.domain_columns
    for column in columns:
        choose_column("domain", column, (), rows.columns, table.place)
    decoded = decode(_pictures(table, split, columns), request)
    labels, places = np.divmod(decoded.positions, decoded.total // len(columns))
    captions: tuple[object, ...] | None = None
    without: tuple[str, ...] = ()
    if caption is not None:
        captions = some_cells(rows.cells(caption), places)
        without = no_captions(captions, [f"row {i}" for i in places])
    return ImageDataset(
        name=table.name,
        split=request.split,
        images=decoded.images,
        labels=labels,
        classes=columns,
        captions=captions,
        partners=_partners(labels, places) if len(columns) == 2 else None,
        skipped=decoded.skipped,
        notes=(*decoded.notes, f"labels are the columns {', '.join(columns)}", *without),
        advice=decoded.advice,
        resized=decoded.resized,
        values=decoded.values,
        palette=decoded.palette,
        originals=decoded.originals,
        resembles=table.resembles,
    )


def _pictures(table: Table, split: str, columns: tuple[str, ...]) -> RawPictures:
    rows, training = table.splits[split], table.splits["train"]

    def items() -> Iterator[tuple[str, Raw]]:
        return chain.from_iterable(rows.items(column) for column in columns)

    def sample() -> Iterable[Raw]:
        """The labels: one domain per column."""
        return chain.from_iterable(zip(*map(training.sample, columns), strict=False))

    stamp = [*rows.state(), *training.state()]
    return RawPictures(table.place, (table.identity, split, columns), stamp, items, sample)


def _partners(labels: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The row of the other domain from the same place, -1 where it could not be read: int64 (N,).

    labels: 0 or 1, int64 (N,); places: the row of the table, (N,)
    """
    row_of = np.full((2, int(places.max()) + 1), -1, dtype=np.int64)
    row_of[labels, places] = np.arange(len(labels))
    found: np.ndarray = row_of[1 - labels, places]
    return found
