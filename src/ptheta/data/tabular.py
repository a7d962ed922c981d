"""Sources of rows with an image column: parquet files, those of `datasets`, and the hub alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ptheta.data.dataset import Dataset
from ptheta.data.decode import RawPairs, RawPictures, Readings, decode_any
from ptheta.data.domains import read_domains
from ptheta.data.image_data import ImageDataset
from ptheta.data.labels import Labels, number
from ptheta.data.pairs.halves import half
from ptheta.data.pairs.table import COLUMNS, SIDE_BY_SIDE
from ptheta.data.picture import Raw
from ptheta.data.request import Request
from ptheta.data.splits import Part, choose
from ptheta.data.table import (
    CAPTIONS,
    LABELS,
    choose_column,
    image_column,
    no_captions,
    no_labels,
    notes_on,
    some_cells,
)
from ptheta.errors import PthetaError

STORED = (SIDE_BY_SIDE, COLUMNS)  # the kinds of pairs that such sources may hold
IMAGE, CLASS = "Image", "ClassLabel"  # the hub's types of image and label columns


class Feature(BaseModel):
    """The hub's description of a column. names: of the classes, of a column of labels"""

    type: str = Field("", alias="_type")
    names: list[str] | None = None


Features = Mapping[str, Feature]


def features_of(described: object) -> Features:
    """The JSON descriptions of columns by name, without invalid ones."""
    features: dict[str, Feature] = {}
    with suppress(ValidationError):
        for column, text in TypeAdapter(dict[str, object]).validate_python(described).items():
            with suppress(ValidationError):
                features[column] = Feature.model_validate(text)
    return features


def of_type(features: Features, kind: str) -> list[str]:
    """The columns that are declared to be of a kind."""
    return [column for column, feature in features.items() if feature.type == kind]


class Rows(Protocol):
    """The rows of one split. Raises PthetaError where they cannot be read."""

    @property
    def columns(self) -> list[str]: ...

    @property
    def features(self) -> Features: ...

    @property
    def image_columns(self) -> list[str]:
        """The columns that hold images, the likeliest first."""

    def state(self) -> list[object]:
        """A stamp that changes whenever a row does; any object with a stable repr."""

    def items(self, column: str) -> Iterator[tuple[str, Raw]]:
        """(name, picture) of every row."""

    def sample(self, column: str) -> Iterator[Raw]:
        """Some pictures from all over the rows."""

    def cells(self, column: str, *, needed: bool = True) -> list[object]:
        """A column. needed: whether it must be there; rows that lack it have no cells otherwise"""


@dataclass(frozen=True)
class Table:
    """name: of the data set; place: for messages; identity: which one it is
    splits: its rows
    resembles: see `Dataset`
    """

    name: str
    place: str
    identity: str
    splits: Mapping[str, Rows]
    resembles: str = ""


def read_table(table: Table, request: Request) -> tuple[Dataset, Part]:
    """The part that answers to a split."""
    place = table.place
    part = choose(request.split, table.splits, place)
    rows = table.splits[part.name]
    label_column, caption_column = _columns(rows, place, request)
    if request.settings.domain_columns:
        return read_domains(table, part.name, caption_column, request), part
    images = rows.image_columns
    columns = _image_columns(images, rows.columns, place, request)
    decoded = decode_any(*_readings(table, part.name, columns), request)
    labels, classes = _labels(table, part.name, label_column)
    captions: tuple[object, ...] | None = None
    without: tuple[str, ...] = ()
    if caption_column is not None:
        captions = some_cells(rows.cells(caption_column), decoded.positions)
        without = no_captions(captions, [f"row {i}" for i in decoded.positions])
    data = ImageDataset(
        name=table.name,
        split=request.split,
        images=decoded.images,
        labels=None if labels is None else labels[decoded.positions],
        classes=classes,
        captions=captions,
        skipped=decoded.skipped,
        notes=(
            *decoded.notes,
            *notes_on(columns, images),
            *no_labels(label_column, labels),
            *without,
        ),
        advice=decoded.advice,
        resized=decoded.resized,
        values=decoded.values,
        palette=decoded.palette,
        inputs=decoded.inputs,
        originals=decoded.originals,
        resembles=table.resembles,
    )
    return data, part


def _readings(table: Table, split: str, columns: tuple[str, str]) -> Readings:
    """The pictures of a split by themselves, and what pairs they may be read as.

    columns: of the images, and of the inputs of pairs
    """
    rows, training = table.splits[split], table.splits["train"]

    def pictures(column: str) -> RawPictures:
        return RawPictures(
            table.place,
            (table.identity, split, column),
            [*rows.state(), *training.state()],
            partial(rows.items, column),
            partial(training.sample, column),
        )

    column, inputs = columns

    def halves() -> RawPairs:
        whole = pictures(column)
        return RawPairs(half(whole, right=False), half(whole, right=True))

    def two() -> RawPairs:
        return RawPairs(pictures(inputs), pictures(column))

    return partial(pictures, column), {SIDE_BY_SIDE: halves, COLUMNS: two}


def _image_columns(
    images: Sequence[str], columns: Sequence[str], place: str, request: Request
) -> tuple[str, str]:
    """The image column and the input column of pairs, which are the same if no pairs are requested.
    If neither is named, the inputs are the first image column.
    """
    settings = request.settings
    if settings.pairs != COLUMNS:
        column = image_column(settings.image_column, images, columns, place)
        return column, column
    named = (settings.input_column, settings.image_column)
    free = [name for name in images if name not in named]
    inputs = choose_column("input", settings.input_column, free, columns, place)
    left = [name for name in free if name != inputs]
    target = choose_column("image", settings.image_column, left, columns, place)
    if inputs is None or target is None or inputs == target:
        raise PthetaError(
            f"{place} has the columns of images {', '.join(images) or 'none'}: pairs need two, "
            "--input-column and --image-column"
        )
    return target, inputs


def _columns(rows: Rows, place: str, request: Request) -> tuple[str | None, str | None]:
    """The label column (requested, with a usual name, or declared as one) and caption column."""
    if request.whole:
        return None, None
    settings, columns = request.settings, rows.columns
    usual = (*LABELS, *of_type(rows.features, CLASS))
    return (
        choose_column("label", settings.label_column, usual, columns, place),
        choose_column("caption", settings.caption_column, CAPTIONS, columns, place),
    )


def _labels(table: Table, split: str, column: str | None) -> Labels:
    """Values of all rows of a split, including those with undecodable pictures."""
    if column is None:
        return None, ()
    described = table.splits[split].features.get(column)
    names = (described.names if described is not None else None) or ()
    # those of other splits are needed only where the numbers depend on them; some have none
    cells = {name: rows.cells(column, needed=name == split) for name, rows in table.splits.items()}
    return number(cells[split], cells.values(), names)
