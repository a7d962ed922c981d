"""The base of every data set: what is known of examples that are stored one to a row."""

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
from ptheta.data.values import Kind, Values
from ptheta.data.words import Words, check_words
from ptheta.errors import PthetaError
from ptheta.files import html
from ptheta.specs import DataSpec, VectorSpec

ITERATED = 256  # examples that are made at once

Example = Tensor | tuple[Tensor, Condition]


class Gives(Protocol):
    """What a batch's conditions are made by: see `ptheta.conditions.ConditionSpec`."""

    def take(self, data: Dataset, rows: np.ndarray) -> Condition | None: ...


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(ABC):
    """Examples with what is known about them: a map-style data set of torch, too.

    `data[i]` is one example, x as its spec has it, or (x, condition) where there are conditions: an
    int64 label (), or float attributes (A,). A `torch.utils.data.DataLoader` makes batches of
    these. `data[2:5]`, `data[labels == 3]` and the like are data sets, as of `subset`.

    name, split: where they come from
    labels: int64 (N,) for each stored row, or None; those of the examples are
        `conditions(slice(None))` where data have no other condition
    classes: the name of each label
    index: the rows in use, or None for all
    files: the path of each stored row's file, below the source; None where rows have no files
    captions: for each stored row a text, or what `ptheta.data.captions` reads as one
    attributes: (N, A) for each row, with attribute_names
    attribute_values: for attributes whose numbers stand for words, the number of each word, by the
        name of the attribute: {"colour": {"red": 0, "blue": 1}}
    condition: what the conditions in a batch are made by; None for the labels, where there are some
    groups: int64 for each stored row; rows with the same number are (near-)duplicates of one
        another. None where that has not been looked for
    repeats: bool for each stored row, True where a held-out example is in the training part of its
        source as well. None where none is
    unseen: bool for each stored row, True where its combination of attributes was held out of
        training (`ptheta.data.selection`). None where none was
    skipped: files that could not be read, with the reason
    left_out: what lies in the source and is not read, a line for each kind
    notes: lines about how it was read, such as where a split comes from
    advice: lines on what to do before training on it
    numbers: int64, for each stored row the number that training knows it by, or None for the row's
        own
    resembles: the embedded set that shows the same kind of images; "" where the source does not say
    resized: whether pictures were brought to a size that they did not have
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

    # in messages: what one is called, and several, and what one is that repeats another
    example: ClassVar[str]
    examples: ClassVar[str]
    alike: ClassVar[str]

    @property
    @abstractmethod
    def spec(self) -> DataSpec:
        """What one example is."""
        ...

    @property
    @abstractmethod
    def stored(self) -> np.ndarray:
        """What is stored of each row, (N, ...): an array or a memory map."""
        ...

    @abstractmethod
    def _take(self, rows: np.ndarray) -> Tensor:
        """The examples of these rows, as their spec has them."""
        ...

    def _extra(self, rows: np.ndarray) -> dict[str, Tensor]:
        """What there is beside examples and conditions: the labels of these rows, and more."""
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
        """The same, where what is learned of the data as a whole is learned from these examples.

        training: which are trained on, bool (N,)
        """
        return self

    def with_columns(self, known: VectorSpec) -> Self:
        """The same with the columns of other data that it is used with, where it has columns."""
        return self

    def joins(self, other: Dataset) -> bool:
        """Whether examples of both can be compared: of one kind and shape."""
        return type(self) is type(other) and self.stored.shape[1:] == other.stored.shape[1:]

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
        """What its values were in the source, where that is not as good as 8 bits."""
        return None

    @property
    def masks(self) -> np.ndarray | None:
        """uint8 (N, H, W) segmentation for each stored row."""
        return None

    @property
    def inputs(self) -> Inputs | None:
        """What each image is made from, where the data are pairs."""
        return None

    @property
    def partners(self) -> np.ndarray | None:
        """The stored row that shows the same in another domain, -1 for none: int64 (N,)."""
        return None

    def read_as(self) -> dict[str, object]:
        """What of how it was read makes numbers of another scale, for the protocol of a number."""
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
        """For notebooks: what it is, and its first examples."""
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
        """What training knows these stored rows by: int64 (N,)."""
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
        """Of a stored row, of data that have captions; "" for none. Raises PthetaError for what is
        no text."""
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
        """Of a label, its number where it has none."""
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
        """(the rest, n examples drawn at random): disjoint, the same for the same seed.

        Near-duplicates and partners stay together, so that no example of one part is in the other,
        nor what its translation is held against; where that leaves no choice, fewer are held out.

        by_label: of every label its share of n, rounded down, so that none is used up
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
        """What the fingerprint depends on beside rows and what they hold."""
        return self.stored.shape
