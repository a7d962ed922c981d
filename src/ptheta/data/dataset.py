"""The base class of all data sets: examples stored one per row, with their metadata."""

from __future__ import annotations

import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol, Self, overload

import numpy as np
import torch
from torch import Tensor

from ptheta.batch import Batch, Condition
from ptheta.data.captions import caption
from ptheta.data.held_out import held_out
from ptheta.data.inputs import Inputs
from ptheta.data.labels import numbered_as
from ptheta.data.lengths import check_lengths
from ptheta.data.names import shortened
from ptheta.data.near import Groups
from ptheta.data.positions import Positions, is_one, positions
from ptheta.data.rows import Images
from ptheta.data.values import Kind, Values
from ptheta.data.windows import Windows
from ptheta.data.words import Words, check_words
from ptheta.errors import PthetaError
from ptheta.files import html
from ptheta.specs import DataSpec, VectorSpec

ITERATED = 256  # examples that are made at once

Example = Tensor | tuple[Tensor, Condition]


class Gives(Protocol):
    """Creates the conditions of a batch: see `ptheta.conditions.ConditionSpec`."""

    def take(self, data: Dataset, rows: np.ndarray) -> Condition | None: ...


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(ABC):
    """Examples with their metadata. Also a map-style data set of torch.

    `data[i]` is one example x, or (x, condition) for data with conditions: an int64 label () or
    float attributes (A,). A `torch.utils.data.DataLoader` can make batches of these. `data[2:5]`,
    `data[labels == 3]` etc. are data sets, as returned by `subset`.

    Attributes:
        name: name of the source.
        split: "train", "val" or "test".
        labels: int64 (N,), one per stored row, or None; those of the examples in use are
            `conditions(slice(None))` if the data have no other condition.
        classes: name of each label.
        index: indices of the rows in use; None for all.
        files: path of each stored row's file, relative to the source; None without files.
        captions: for each stored row a text, or a cell that `ptheta.data.captions` reads as text.
        attributes: (N, A), one row per stored row.
        attribute_names: names of the attributes.
        attribute_values: for attributes with words, the number of each word:
            {"colour": {"red": 0, "blue": 1}}.
        condition: creates the conditions of a batch; None for the labels, if there are any.
        groups: int64 per stored row; (near-)duplicates share a number. None if not computed.
        repeats: bool per stored row, True for a held-out example that is also in the training part
            of its source. None if there are none.
        unseen: bool per stored row, True if its combination of attributes was held out of training
            (`ptheta.data.selection`). None if none was.
        skipped: files that could not be read, with the reason.
        left_out: files and folders of the source that are not read, one line per kind.
        notes: lines about how the source was read, such as the origin of a split.
        advice: suggestions before training.
        numbers: int64 per stored row, the number that identifies it in training; None for the row
            index.
        resembles: the built-in data set with similar images; "" if unknown.
        resized: whether pictures were resized.
        order: how training likes to read them; None for any order.
    """

    name: str
    split: str
    _: KW_ONLY
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    index: np.ndarray | None = None
    files: Sequence[str] | None = None
    captions: Sequence[object] | None = None
    attributes: np.ndarray | None = None
    attribute_names: tuple[str, ...] = ()
    attribute_values: Mapping[str, Words] = field(default_factory=dict)
    condition: Gives | None = None
    groups: np.ndarray | None = None
    repeats: np.ndarray | None = None
    unseen: np.ndarray | None = None
    skipped: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    numbers: np.ndarray | None = None
    resembles: str = ""
    resized: bool = False
    order: Windows | None = None

    # in messages: what one is called, and several, and what one is that repeats another
    example: ClassVar[str]
    examples: ClassVar[str]
    alike: ClassVar[str]

    @property
    @abstractmethod
    def spec(self) -> DataSpec:
        """The spec of one example."""
        ...

    @property
    @abstractmethod
    def stored(self) -> Images:
        """The stored rows (N, ...): an array, a memory map, or images that are read when needed."""
        ...

    @abstractmethod
    def _take(self, rows: np.ndarray) -> Tensor:
        """The examples of these rows, as their spec has them."""
        ...

    def _extra(self, rows: np.ndarray) -> dict[str, Tensor]:
        """The other parts of a batch: labels of these rows, and more."""
        if self.labels is None:
            return {}
        return {"labels": torch.from_numpy(self.labels[rows].astype(np.int64))}

    @abstractmethod
    def _preview(self) -> str:
        """The first examples, as HTML. No random stream is drawn from."""
        ...

    @abstractmethod
    def keys(self) -> np.ndarray:
        """A 64-bit hash of each example, uint64 (N,).

        Neither names, order, labels, levels nor binarisation enter, so that a copy of an example
        has the key of the example, in any data set of the same shape.
        """
        ...

    @abstractmethod
    def find_groups(self, *others: Dataset, place: Path | None = None) -> Groups:
        """The (near-)duplicates among the examples of this data set and others of its kind, in
        order. place: the cache folder, None for the user's own
        """
        ...

    def learned_from(self, training: np.ndarray) -> Self:
        """The same data, with statistics of the data computed from the training examples only.

        training: bool (N,), the examples used for training
        """
        return self

    def with_columns(self, known: VectorSpec) -> Self:
        """The same with the columns of other data that it is used with, where it has columns."""
        return self

    def joins(self, other: Dataset) -> bool:
        """Whether examples of both can be compared: of one kind and shape."""
        return type(self) is type(other) and self.stored.shape[1:] == other.stored.shape[1:]

    @property
    def draws(self) -> bool:
        """Whether making a batch draws from torch's random stream, so that batches must be made in
        their step."""
        return False

    def expect(self, indices: Positions) -> None:  # noqa: B027
        """Begin to read the examples at these positions, which are the next batch but few."""

    def approach(self, indices: Positions) -> None:  # noqa: B027
        """Begin to fetch the files of the examples at these positions, if they are elsewhere."""

    @abstractmethod
    def with_levels(self, levels: int, dynamic: bool = False, seed: int = 0) -> Self:
        """The same with values of so many levels. Raises PthetaError where it can have none."""
        ...

    def with_fixed_binarisation(self) -> Self:
        """The same as it is measured, whatever the seed of a run: with the one binarisation of seed
        0 where it has 2 levels."""
        return self

    # -- what images have, and others have not

    @property
    def values(self) -> Values | None:
        """The value range of the source, if it is not equivalent to 8 bits."""
        return None

    @property
    def masks(self) -> np.ndarray | None:
        """uint8 (N, H, W) segmentation for each stored row."""
        return None

    @property
    def inputs(self) -> Inputs | None:
        """The inputs of the images, for data of pairs."""
        return None

    @property
    def partners(self) -> np.ndarray | None:
        """The stored row that shows the same in another domain, -1 for none: int64 (N,)."""
        return None

    def read_as(self) -> dict[str, object]:
        """Reading options that change the scale of metrics, for the protocol of a metric."""
        return {}

    @property
    def whites(self) -> dict[Kind, float]:
        """The value that is white in the source, for each kind of value in it."""
        return {}

    def __post_init__(self) -> None:
        if len(self) == 0:
            raise PthetaError(
                f"{self.name} ({self.split}) holds no {self.example}; give at least two"
            )
        check_lengths(self.name, len(self.stored), vars(self))
        check_words(self.name, self.attributes_named(), self.attribute_values)

    # -- as a sequence

    def __len__(self) -> int:
        return len(self.stored) if self.index is None else len(self.index)

    @overload
    def __getitem__(self, asked: int) -> Example: ...
    @overload
    def __getitem__(self, asked: Positions) -> Example | Self: ...
    def __getitem__(self, asked: Positions) -> Example | Self:
        return self.__getitems__(asked)[0] if is_one(asked) else self.subset(asked)

    def __getitems__(self, asked: Positions) -> list[Example]:
        """The examples at several positions: a DataLoader asks for all of a batch at once."""
        batch = self.batch(asked)
        if batch.condition is None:
            return list(batch.x)
        return list(zip(batch.x, batch.condition, strict=True))

    def __iter__(self) -> Iterator[Example]:
        for start in range(0, len(self), ITERATED):
            yield from self.__getitems__(range(start, min(start + ITERATED, len(self))))

    def __repr__(self) -> str:
        more = ""
        if self.labels is not None:
            more = f", {len(self.classes)} classes"
        if self.attributes is not None:
            more += f", {len(self.attribute_names)} attributes"
        if self.inputs is not None:
            more += f", each from one of {self.inputs.spec}"
        name, kind = shortened(self.name), type(self).__name__
        return f"{kind}({name!r}, {self.split}: {len(self):,} {self.examples} of {self.spec}{more})"

    def _repr_html_(self) -> str:
        """For notebooks: a description and the first examples."""
        about = {
            "classes": ", ".join(self.classes),
            "attributes": ", ".join(self.attribute_names),
            "notes": "; ".join(self.notes),
            "advice": "; ".join(self.advice),
        }
        return html.card(self, html.facts(about), self._preview())

    def rows(self, indices: Positions) -> np.ndarray:
        """Positions in this data set, or a mask of it (see `positions`) -> stored rows."""
        try:
            where = positions(indices, len(self))
        except IndexError as error:
            if self.labels is None or np.asarray(indices).shape != self.labels.shape:
                raise
            raise IndexError(
                f"{error}; labels are of all stored rows, conditions(slice(None)) of these alone"
            ) from None
        return where if self.index is None else self.index[where]

    def batch(self, indices: Positions) -> Batch:
        """The examples at these positions, with their conditions."""
        rows = self.rows(indices)
        return Batch(self._take(rows), self._condition(rows), self._extra(rows))

    def number(self, rows: np.ndarray) -> np.ndarray:
        """The numbers of these stored rows in training: int64 (N,)."""
        return rows if self.numbers is None else self.numbers[rows]

    def with_numbers(self, numbers: np.ndarray) -> Self:
        """numbers: int64, one for each stored row"""
        return dataclasses.replace(self, numbers=numbers)

    @property
    def has_conditions(self) -> bool:
        """Whether a batch has conditions."""
        return self._condition(self.rows(slice(0, 1))) is not None

    def conditions(self, indices: Positions) -> Condition | None:
        """The conditions at these positions, without their examples."""
        return self._condition(self.rows(indices))

    def _condition(self, rows: np.ndarray) -> Condition | None:
        if self.condition is not None:
            return self.condition.take(self, rows)
        return None if self.labels is None else torch.from_numpy(self.labels[rows].astype(np.int64))

    def caption_texts(self) -> list[str] | None:
        """The caption of each position, or None."""
        if self.captions is None:
            return None
        return [self.caption(row) for row in self.rows(slice(None)).tolist()]

    def caption(self, row: int) -> str:
        """The caption of a stored row; "" for none.

        Raises:
            PthetaError: if it is not a text.
        """
        assert self.captions is not None
        try:
            return caption(self.captions[row])
        except PthetaError as error:
            raise PthetaError(f"{self.name}, row {row}: {error}") from None

    def subset(self, indices: Positions) -> Self:
        """These positions only; nothing is copied."""
        return dataclasses.replace(self, index=self.rows(indices))

    def shuffled(self, seed: int) -> Self:
        """All of it, in an order that the seed gives."""
        return self.subset(np.random.default_rng(seed).permutation(len(self)))

    def repeated(self) -> np.ndarray:
        """Whether the held-out example at each position is in the training part too: bool (N,)."""
        if self.repeats is None:
            return np.zeros(len(self), dtype=bool)
        found: np.ndarray = self.repeats[self.rows(slice(None))]
        return found

    def attributes_named(self) -> tuple[str, ...]:
        """The names of the attributes; their places 0, 1, ... where they have none."""
        if self.attributes is None:
            return ()
        return self.attribute_names or tuple(map(str, range(self.attributes.shape[1])))

    def present_classes(self) -> tuple[str, ...]:
        """The names of the labels that occur, in the order of their numbers."""
        if self.labels is None:
            return ()
        numbers = np.unique(self.labels[self.rows(slice(None))])
        return tuple(self.class_name(int(k)) for k in numbers)

    def class_name(self, label: int) -> str:
        """The name of a label; its number if it has no name."""
        return self.classes[label] if label < len(self.classes) else str(label)

    def with_classes(self, names: Sequence[str]) -> Self:
        """The same examples, their labels numbered as `names` are.

        Raises PthetaError where an example has a label of another name.
        """
        if self.labels is None or self.classes == tuple(names):
            return self
        labels = numbered_as(self, names)
        return dataclasses.replace(self, labels=labels, classes=tuple(names))

    def hold_out(self, n: int, seed: int = 0, *, by_label: bool = False) -> tuple[Self, Self]:
        """Split into (the rest, n random examples); deterministic given the seed.

        Near-duplicates and partners stay together, so that neither an example of one part nor the
        target of its translation is in the other; fewer than n are held out if this is impossible.

        Args:
            n: number of examples to hold out.
            seed: seed of the random choice.
            by_label: hold out the same share of every label, rounded down, so that none is used up.
        """
        rest, held = held_out(self, n, seed, by_label=by_label)
        return self.subset(rest), self.subset(held)

    def fingerprint(self) -> str:
        """Twelve hex digits that change with any example, the rows, levels and seed (not the
        labels).

        All examples are read: an entry of a cache must not outlive one that was replaced.
        """
        digest = hashlib.sha256()
        digest.update(repr(self._told_apart_by()).encode())
        rows = self.rows(slice(None))
        digest.update(self.number(rows).astype(np.int64).tobytes())
        for start in range(0, len(rows), 512):
            digest.update(np.ascontiguousarray(self.stored[rows[start : start + 512]]).tobytes())
        return digest.hexdigest()[:12]

    def _told_apart_by(self) -> object:
        """The settings that the fingerprint depends on, in addition to the rows."""
        return self.stored.shape
