"""Images that are in memory: arrays, tensors and data sets, in place of the name of a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ptheta.data.arrays import extreme, laid_out, reaches, to_images
from ptheta.data.cache import origin
from ptheta.data.columns.arrays import notes_on, rows_of
from ptheta.data.dataset import Dataset
from ptheta.data.decode import resize
from ptheta.data.image_data import ImageDataset
from ptheta.data.labels import Labels, number
from ptheta.data.names import MEMORY
from ptheta.data.pairs.attach import with_inputs
from ptheta.data.reader import SourceReader
from ptheta.data.request import Request
from ptheta.data.splits import SPLITS, Part, choose
from ptheta.data.values import Levels, Values, kind_of
from ptheta.data.vector_data import VectorDataset, vectors_of
from ptheta.errors import PthetaError, unknown

Array = np.ndarray | Tensor
Labelled = tuple[Array, Array | Sequence[int] | Sequence[str]]  # images and a label for each
Images = Dataset | Array | Labelled
InMemory = Images | Mapping[str, Images]  # or a part for each split
Source = str | Path | InMemory
TAKEN = (
    "give a name, a path, a Dataset, an array or a tensor of images or of rows, (images, labels), "
    "or a dictionary of such parts by split"
)


class Given(Protocol):
    """A part of a source in memory."""

    @property
    def labels(self) -> np.ndarray | None:
        """Those that are to be numbered, (N,)."""

    def to_send(self) -> Images:
        """The same for another process, which would share tensors and not own them."""

    def dataset(self, split: str, request: Request, labels_of_all: Sequence[np.ndarray]) -> Dataset:
        """labels_of_all: the labels of all parts of the source"""


@dataclass(frozen=True)
class GivenArrays:
    """images: (N, ...) of any type, as in a file, or rows (N, D); labels: (N,), or None"""

    images: np.ndarray
    labels: np.ndarray | None = None

    def to_send(self) -> Images:
        return self.images if self.labels is None else (self.images, self.labels)

    def dataset(self, split: str, request: Request, labels_of_all: Sequence[np.ndarray]) -> Dataset:
        labels: Labels = None, ()
        if self.labels is not None:
            labels = number(self.labels, labels_of_all)
        numbers, classes = labels
        if self.images.ndim == 2:
            cells, spec = rows_of(self.images, "the data in memory")
            return VectorDataset(
                *(MEMORY, split, cells, spec),
                labels=numbers,
                classes=classes,
                notes=notes_on(self.images),
            )
        array = laid_out(self.images, MEMORY)
        values = _values(array, request)
        pixels = to_images(array, MEMORY, values.whites)
        return ImageDataset(MEMORY, split, pixels, labels=numbers, classes=classes, values=values)


@dataclass(frozen=True)
class GivenDataset:
    """A data set that was made elsewhere. Its labels have numbers."""

    data: Dataset
    labels: None = None

    def to_send(self) -> Images:
        return self.data

    def dataset(self, split: str, request: Request, labels_of_all: Sequence[np.ndarray]) -> Dataset:
        return replace(self.data, split=split)


class Handed:
    """Images on their way to the processes of a training. (A plain class: what copies arguments
    field by field leaves it whole.)
    """

    def __init__(self, source: InMemory) -> None:
        parts = {split: part.to_send() for split, part in parts_of(source).items()}
        self.source: InMemory = parts if isinstance(source, Mapping) else parts["train"]


def open_memory(source: InMemory) -> SourceReader:
    """Raise PthetaError if this is not a source."""
    return SourceReader(MEMORY, partial(read_memory, parts_of(source)))


def parts_of(source: InMemory) -> dict[str, Given]:
    """The splits of a source, train if there is one part. Raises PthetaError for other types."""
    if isinstance(source, Mapping):
        return {split: _given(part) for split, part in source.items()}
    return {"train": _given(source)}


def _given(part: Images) -> Given:
    if isinstance(part, Dataset):
        return GivenDataset(part)
    if isinstance(part, np.ndarray | Tensor):
        return GivenArrays(_array(part))
    if not isinstance(part, tuple) or len(part) != 2:
        raise PthetaError(f"data of type {type(part).__name__}: {TAKEN}")
    images, labels = map(_array, part)
    if labels.ndim != 1 or len(labels) != len(images):
        pairs = (
            "; if they are the other halves of pairs, write the pairs into two folders with the "
            "same names, and give the path with pairs='folders'"
        )
        raise PthetaError(
            f"labels of shape {labels.shape} for {len(images)} images in memory: "
            f"give one label for each image{pairs if labels.ndim > 2 else ''}"
        )
    return GivenArrays(images, labels)


def _array(given: object) -> np.ndarray:
    if isinstance(given, Tensor):
        plain = given.detach().cpu()
        return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    return np.asarray(given)


def read_memory(parts: Mapping[str, Given], request: Request) -> tuple[Dataset, Part]:
    """The part of images in memory that answers to a split."""
    for name in parts:
        if name not in SPLITS:
            raise unknown("split", name, SPLITS)
    part = choose(request.split, parts, "the data in memory")
    labels = [given.labels for given in parts.values() if given.labels is not None]
    data = parts[part.name].dataset(request.split, request, labels)
    if part.name != "train" and isinstance(data, VectorDataset):
        training = parts["train"].dataset("train", request, labels)
        data = data.with_columns(vectors_of(training).vectors)
    return _resized(data, request), part


def one_part(source: Images, request: Request) -> Dataset:
    """Images as a data set, all of them, whatever the split."""
    given = _given(source)
    labels = [] if given.labels is None else [given.labels]
    return with_inputs(_resized(given.dataset(request.split, request, labels), request), request)


def _resized(data: Dataset, request: Request) -> Dataset:
    """Resize and recolour as requested. Masks are kept if they still match the images."""
    if request.settings.size is None and request.settings.channels is None:
        return data
    if not isinstance(data, ImageDataset):
        raise PthetaError(
            f"{data.name} holds {data.examples} of numbers, which have no size or channels: leave "
            "out --size and --channels"
        )
    pixels = resize(data.images, *origin(data.images), request)
    if data.inputs is not None and pixels is not data.images:
        raise PthetaError(
            f"{data.name} holds pairs of images of {data.spec}: give them in their final form, and "
            "leave out --size and --channels"
        )
    masks = data.masks if pixels.shape[2:] == data.images.shape[2:] else None
    return replace(data, images=pixels, masks=masks, binary={})


def _values(array: np.ndarray, request: Request) -> Values:
    kind = kind_of(array.dtype)
    if kind is None:
        return Values({}, {})
    tops: Levels = {kind: reaches(array) if array.dtype == np.uint8 else extreme(array, MEMORY)}
    return Values(tops, request.whites_for(tops))
