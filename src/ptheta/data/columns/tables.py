"""Tables as data sets of vectors: learned columns, the label column, and the splits.

Bounds, center and scale of a numeric column are computed from the training rows. Words are numbered
over the whole training file, so that a rare word that is held out is known; a word that occurs only
in another file is not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ptheta.data.columns.learn import LISTED, cells_of, chosen, columns_of, no_column
from ptheta.data.columns.raw import RawColumn
from ptheta.data.dataset import Dataset
from ptheta.data.labels import number
from ptheta.data.names import shortened, some_of
from ptheta.data.request import DataSettings, Request
from ptheta.data.splits import Part, choose, mark_repeats
from ptheta.data.table import LABELS
from ptheta.data.vector_data import VectorDataset
from ptheta.errors import PthetaError
from ptheta.specs import Column, VectorSpec


class ColumnFile(Protocol):
    """A part of a table. Raises PthetaError where it cannot be read."""

    def names(self) -> list[str]:
        """The roles of the columns of a table."""

    def read(self, wanted: Collection[str], words: Collection[str]) -> list[RawColumn]:
        """These columns, in the file's order. words: those that are to be words"""


@dataclass(frozen=True)
class Table:
    """A table with its splits.

    name: name of the data set; place: its name in messages; parts: the tables by split
    classes: the names of labels that are stored as numbers, if the source has them
    """

    name: str
    place: str
    parts: Mapping[str, ColumnFile]
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Roles:
    """Which columns are what. label: None where there is none"""

    columns: Sequence[str]
    label: str | None

    @classmethod
    def of(cls, names: Sequence[str], settings: DataSettings, place: str) -> _Roles:
        """Choose the columns. Raises PthetaError for an unknown column, and if none is left."""
        label = settings.label_column
        if label is None and not settings.columns:
            free = [name for name in LABELS if name not in settings.category_columns]
            label = next((name for name in free if name in names), None)
        for name in settings.category_columns:
            if name not in names:
                raise no_column(name, names, "--category-columns", place)
        if label is not None and label not in names:
            raise no_column(label, names, "--label-column", place)
        wanted = settings.columns or tuple(name for name in names if name != label)
        if label in wanted:
            raise PthetaError(
                f"{place}: {label!r} is both the label and among --columns: remove it from one"
            )
        for name in wanted:
            if name not in names:
                raise no_column(name, names, "--columns", place)
        for name in settings.category_columns:
            if name not in wanted:
                raise PthetaError(
                    f"{place}: {name!r} is among --category-columns but not among --columns: leave "
                    "it out, or add it to --columns"
                )
        if not wanted:
            raise PthetaError(f"{place} has only the label column {label!r}: add other columns")
        return cls(wanted, label)

    @classmethod
    def known(
        cls, names: Sequence[str], vectors: VectorSpec, settings: DataSettings, place: str
    ) -> _Roles:
        """The roles for a known spec. Raises PthetaError for a missing column."""
        wanted = [column.name for column in vectors.columns]
        for name in wanted:
            if name not in names:
                raise PthetaError(
                    f"{place} has no column {shortened(name)!r}, which the model was trained "
                    f"on: it has {some_of(names, LISTED)}"
                )
        usual = LABELS if settings.label_column is None else (settings.label_column,)
        rest = [name for name in usual if name in names and name not in wanted]
        return cls(wanted, next(iter(rest), None))

    @property
    def notes(self) -> tuple[str, ...]:
        if self.label is None:
            return ()
        return (f"labels of the column {self.label!r}, which is not among the learned columns",)


def read_vectors(table: Table, request: Request) -> tuple[Dataset, Part]:
    """Read the part of a table for a split.

    Raises:
        PthetaError: if a column cannot be used as requested, with a suggestion.
    """
    request.refuse_pictures(table.place)
    part = choose(request.split, table.parts, table.place)
    names, known = table.parts["train"].names(), request.learned.vectors
    if known is None:
        roles = _Roles.of(names, request.settings, table.place)
        training = _training(table, roles, request)
    else:
        roles = _Roles.known(names, known, request.settings, table.place)
        training = replace(_other(table, roles, "train", known), split=request.split)
    if part.name == "train":
        return training, part
    data = _other(table, roles, part.name, training.vectors)
    data = replace(data, split=request.split)
    return mark_repeats(data, training, request.cache_dir), part


def _training(table: Table, roles: _Roles, request: Request) -> VectorDataset:
    """The training part, with the columns that are learned from it."""
    categories = request.settings.category_columns
    raw = _read(table, "train", roles, categories)
    taken = chosen(raw, roles.columns, "--columns", table.place)
    columns = columns_of(taken, categories, place=table.place)
    data = VectorDataset(
        table.name, request.split, cells_of(taken, columns), VectorSpec(columns), notes=roles.notes
    )
    return _labelled(data, table, roles, "train", raw)


def _other(table: Table, roles: _Roles, part: str, known: VectorSpec) -> VectorDataset:
    """Another part, with the columns of the training part."""
    raw = _read(table, part, roles, known.categories)
    taken = chosen(raw, roles.columns, f"its {part} part", table.place)
    own = [_own(column, like) for column, like in zip(taken, known.columns, strict=True)]
    data = VectorDataset(table.name, part, cells_of(taken, own), VectorSpec(tuple(own)))
    return _labelled(data.with_columns(known), table, roles, part, raw)


def _read(table: Table, part: str, roles: _Roles, categories: Collection[str]) -> list[RawColumn]:
    wanted = {*roles.columns, *filter(None, [roles.label])}
    return table.parts[part].read(wanted, categories)


def _own(raw: RawColumn, like: Column) -> Column:
    """The inferred spec of a column of another part. like: its spec in the training part"""
    words = raw.as_words().words if like.values else raw.words
    if words or like.values:
        return Column(raw.name, "category", words or like.values, missing=True)
    return Column(raw.name, missing=True)


def _labelled(
    data: VectorDataset, table: Table, roles: _Roles, part: str, raw: Sequence[RawColumn]
) -> VectorDataset:
    """The same with its labels, where every row has one. The parts agree on their numbers."""
    name = roles.label
    own = next((column for column in raw if column.name == name), None)
    if name is None or own is None:
        return data
    others = [
        file.read({name}, ())[0].values()
        for other, file in table.parts.items()
        if other != part and name in file.names()
    ]
    values = own.values()
    labels, classes = number(values, [values, *others], table.classes.get(name, ()))
    if labels is None:
        note = f"no labels are read: the column {name!r} has missing or negative values"
        return replace(data, notes=(*data.notes, note))
    return replace(data, labels=labels, classes=classes)
