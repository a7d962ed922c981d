"""The one data set type: images as uint8 in memory or in a memory-mapped file."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, overload

import numpy as np
import torch
from torch import Tensor

from ptheta.batch import Batch, Condition
from ptheta.data.binarise import binarised, drawn_afresh
from ptheta.data.maps import MappedFile, PageCounter
from ptheta.data.names import shortened
from ptheta.data.near import find_groups, first_groups
from ptheta.data.positions import Positions, is_one, positions
from ptheta.data.values import USUAL, Kind, Values
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec, quantise

SMALL = 2**28  # bytes of images up to which their fixed binarisation is kept in memory
PAGE = 4096  # bytes that are read at least
ITERATED = 256  # examples that are made at once


Example = Tensor | tuple[Tensor, Condition]


class Gives(Protocol):
    """What a batch's conditions are made by: see `ptheta.conditions.ConditionSpec`."""

    def take(self, data: Dataset, rows: np.ndarray) -> Condition | None: ...


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with what is known about them: a map-style data set of torch, too.

    `data[i]` is one example, the image uint8 (C, H, W), or (image, condition) where there are
    conditions: an int64 label (), or float attributes (A,). A `torch.utils.data.DataLoader` makes
    batches of these. `data[2:5]`, `data[labels == 3]` and the like are data sets, as of `subset`.

    name, split: where they come from
    images: uint8 (N, C, H, W), an array or a memory map; never copied whole
    labels: int64 (N,), or None
    classes: the name of each label
    levels: pixel values a batch holds, 2..256; with 2 the pixels are drawn: P(255) = value / 255
    dynamic: with 2 levels, draw afresh for every batch (from torch's global generator) instead of
        once for each image
    seed: of that one draw
    index: the rows in use, or None for all
    captions: text for each row of `images`
    attributes: (N, A) for each row, with attribute_names
    masks: uint8 (N, H, W) segmentation for each row
    condition: what the conditions in a batch are made by; None for the labels, where there are some
    groups: int64 for each row of `images`; rows with the same number are near-duplicates of one
        another (`ptheta.data.near`). None where that has not been looked for
    repeats: bool for each row of `images`, True where a held-out image is in the training part of
        its source as well. None where none is
    skipped: files that could not be read, with the reason
    left_out: what lies in the source and is not read, a line for each kind
    notes: lines about how it was read, such as where a split comes from
    advice: lines on what to do before training on it
    numbers: int64, for each row of `images` the number that its fixed binarisation is drawn by, or
        None for the row's own: an image whose file was renamed keeps its pixels
    resembles: the embedded set that shows the same kind of images; "" where the source does not say
    resized: whether pictures were brought to a size that they did not have
    values: what its values were in the source; None where that is as good as 8 bits
    binary: the images with their fixed binarisation, once drawn, where they are few
    pages: hands back the pages of a memory map
    """

    name: str
    split: str
    images: np.ndarray
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    levels: int = 256
    dynamic: bool = False
    seed: int = 0
    index: np.ndarray | None = None
    captions: Sequence[str] | None = None
    attributes: np.ndarray | None = None
    attribute_names: tuple[str, ...] = ()
    masks: np.ndarray | None = None
    condition: Gives | None = None
    groups: np.ndarray | None = None
    repeats: np.ndarray | None = None
    skipped: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    numbers: np.ndarray | None = None
    resembles: str = ""
    resized: bool = False
    values: Values | None = None
    binary: dict[str, np.ndarray] = dataclasses.field(
        default_factory=dict, repr=False, compare=False
    )
    pages: PageCounter = dataclasses.field(default_factory=PageCounter, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise PthetaError(
                f"{self.name}: images of type {self.images.dtype} and shape {self.images.shape}; "
                "want uint8 (N, C, H, W)"
            )
        if len(self) == 0:
            raise PthetaError(f"{self.name} ({self.split}) holds no image; give at least two")
        if self.dynamic and self.levels != 2:
            raise PthetaError(
                f"dynamic binarisation needs --levels 2, not {self.levels}: "
                "add --levels 2 or drop --dynamic"
            )

    def __len__(self) -> int:
        return len(self.images) if self.index is None else len(self.index)

    @overload
    def __getitem__(self, asked: int) -> Example: ...
    @overload
    def __getitem__(self, asked: Positions) -> Example | Dataset: ...
    def __getitem__(self, asked: Positions) -> Example | Dataset:
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
        spec, more = self.spec, ""
        if self.labels is not None:
            more = f", {len(self.classes)} classes"
        if self.attributes is not None:
            more += f", {len(self.attribute_names)} attributes"
        name = shortened(self.name)
        return f"Dataset({name!r}, {self.split}: {len(self):,} images of {spec}{more})"

    def __getstate__(self) -> dict[str, object]:
        """For another process: a memory map goes as the name of its file, not as its bytes."""
        state = dict(self.__dict__) | {"binary": {}, "pages": PageCounter()}
        if (mapped := MappedFile.of(self.images)) is not None:
            state |= {"images": None, "mapped": mapped}
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        mapped: MappedFile | None = self.__dict__.pop("mapped", None)
        if mapped is not None:
            self.__dict__["images"] = mapped.open()

    @property
    def spec(self) -> ImageSpec:
        _, c, h, w = self.images.shape
        return ImageSpec(c, h, w, self.levels)

    @property
    def whites(self) -> dict[Kind, float]:
        """The value that is white in the source, for each kind of value in it."""
        return {"8-bit": USUAL["8-bit"]} if self.values is None else dict(self.values.whites)

    def rows(self, indices: Positions) -> np.ndarray:
        """Positions in this data set, or a mask of it (see `positions`) -> rows of `images`."""
        where = positions(indices, len(self))
        return where if self.index is None else self.index[where]

    def batch(self, indices: Positions) -> Batch:
        """The images at these positions, quantised or binarised, with their conditions."""
        rows = self.rows(indices)
        fixed = self.levels == 2 and not self.dynamic
        if fixed and self.images.nbytes <= SMALL:
            if "images" not in self.binary:  # all at once, the first time
                everything = np.arange(len(self.images))
                self.binary["images"] = self._binarised(everything)
            x = torch.from_numpy(self.binary["images"][rows])
        elif fixed:
            x = torch.from_numpy(self._binarised(rows))
        else:
            x = torch.from_numpy(np.ascontiguousarray(self.images[rows]))
            x = drawn_afresh(x) if self.levels == 2 else quantise(x, self.levels)
        self.pages.add(self.images, max(x.numel(), PAGE))
        return Batch(x, self._condition(rows), self._extra(rows))

    def number(self, rows: np.ndarray) -> np.ndarray:
        """What the fixed binarisation of these rows of `images` is drawn by: int64 (N,)."""
        return rows if self.numbers is None else self.numbers[rows]

    def _binarised(self, rows: np.ndarray) -> np.ndarray:
        return binarised(self.images, rows, self.number(rows), self.seed)

    @property
    def has_conditions(self) -> bool:
        """Whether a batch has conditions."""
        return self._condition(self.rows(slice(0, 1))) is not None

    def conditions(self, indices: Positions) -> Condition | None:
        """The conditions at these positions, without their images."""
        return self._condition(self.rows(indices))

    def _condition(self, rows: np.ndarray) -> Condition | None:
        if self.condition is not None:
            return self.condition.take(self, rows)
        return None if self.labels is None else torch.from_numpy(self.labels[rows].astype(np.int64))

    def _extra(self, rows: np.ndarray) -> dict[str, Tensor]:
        """What there is beside images and conditions: the labels and masks of these rows."""
        extra = {}
        if self.labels is not None:
            extra["labels"] = torch.from_numpy(self.labels[rows].astype(np.int64))
        if self.masks is not None:
            extra["masks"] = torch.from_numpy(np.ascontiguousarray(self.masks[rows]))
        return extra

    def caption_texts(self) -> list[str] | None:
        """The caption of each position, or None."""
        if self.captions is None:
            return None
        return [str(self.captions[int(row)]) for row in self.rows(slice(None))]

    def with_levels(self, levels: int, dynamic: bool = False, seed: int = 0) -> Dataset:
        binary = self.binary if seed == self.seed else {}
        return dataclasses.replace(self, levels=levels, dynamic=dynamic, seed=seed, binary=binary)

    def with_fixed_binarisation(self) -> Dataset:
        """The same with the one binarisation of seed 0 where it has 2 levels.

        It does not follow the seed of a run, so all runs are measured on the same pixels.
        """
        return self.with_levels(self.levels, dynamic=False, seed=0)

    def subset(self, indices: Positions) -> Dataset:
        """These positions only; nothing is copied."""
        return dataclasses.replace(self, index=self.rows(indices))

    def shuffled(self, seed: int) -> Dataset:
        """All of it, in an order that the seed gives."""
        return self.subset(np.random.default_rng(seed).permutation(len(self)))

    def repeated(self) -> np.ndarray:
        """For each position, whether this held-out image is a training image as well: bool (N,)."""
        if self.repeats is None:
            return np.zeros(len(self), dtype=bool)
        found: np.ndarray = self.repeats[self.rows(slice(None))]
        return found

    def present_classes(self) -> tuple[str, ...]:
        """The names of the labels that occur, in the order of their numbers."""
        if self.labels is None:
            return ()
        numbers = np.unique(self.labels[self.rows(slice(None))])
        return tuple(self._class_name(int(k)) for k in numbers)

    def _class_name(self, label: int) -> str:
        return self.classes[label] if label < len(self.classes) else str(label)

    def with_classes(self, names: Sequence[str]) -> Dataset:
        """The same images, their labels numbered as `names` are.

        Raises PthetaError where an image has a label of another name.
        """
        if self.labels is None or self.classes == tuple(names):
            return self
        odd = next((name for name in self.present_classes() if name not in names), None)
        if odd is not None:
            raise PthetaError(
                f"class {odd!r} is a class of {self.name} ({self.split}), and the run learned "
                f"{', '.join(names)}: give data with the same classes, such as without this one"
            )
        position = {name: i for i, name in enumerate(names)}
        numbers = [position.get(self._class_name(k), -1) for k in range(int(self.labels.max()) + 1)]
        labels = np.asarray(numbers, dtype=np.int64)[self.labels]
        return dataclasses.replace(self, labels=labels, classes=tuple(names))

    def hold_out(self, n: int, seed: int = 0) -> tuple[Dataset, Dataset]:
        """(the rest, n images drawn at random): disjoint, the same for the same seed.

        Near-duplicates stay together, so that no image of one part is in the other; where they
        leave no choice, fewer than n are held out.
        """
        total = len(self)
        if not 0 < n < total:
            raise PthetaError(
                f"cannot hold out {n} of the {total} images of {self.name}: "
                "give more images or hold out fewer"
            )
        rows = self.rows(slice(None))
        groups = (
            find_groups((self.images, rows)).groups if self.groups is None else self.groups[rows]
        )
        order = np.random.default_rng(seed).permutation(total)
        held = first_groups(groups[order], n)
        if not held.any():
            raise PthetaError(
                f"cannot hold out {n} of the {total} images of {self.name}: too many are "
                "near-duplicates of one another; give more images or hold out more"
            )
        return self.subset(np.sort(order[~held])), self.subset(np.sort(order[held]))

    def fingerprint(self) -> str:
        """Twelve hex digits that change with any image, the rows, levels and seed (not the labels).

        All images are read: an entry of a cache must not outlive one that was replaced.
        """
        digest = hashlib.sha256()
        digest.update(repr((self.images.shape, self.levels, self.dynamic, self.seed)).encode())
        rows = self.rows(slice(None))
        digest.update(self.number(rows).astype(np.int64).tobytes())
        for start in range(0, len(rows), 512):
            digest.update(np.ascontiguousarray(self.images[rows[start : start + 512]]).tobytes())
        return digest.hexdigest()[:12]
