"""Sets of shards as a source of data."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np

from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.data.names import shown
from ptheta.data.picture import Shape
from ptheta.data.reader import SourceReader
from ptheta.data.request import Request
from ptheta.data.shards.images import Look, ShardCaptions, ShardImages, ShardNames, Split
from ptheta.data.shards.index import (
    FORMAT,
    INDEX,
    Index,
    SplitEntry,
    table_type,
)
from ptheta.data.shards.store import CURE, LocalStore, Store
from ptheta.data.splits import Part, choose
from ptheta.data.values import Values
from ptheta.data.windows import Windows
from ptheta.errors import PthetaError

KIND = "tar shards"
HEAD = 200  # bytes of an index that show what it is


def is_shards(path: Path) -> bool:
    """Whether a folder is a set of shards."""
    file = path / INDEX
    if not file.is_file():  # reading a pipe could block forever
        return False
    try:
        with file.open("rb") as opened:
            return f'"{FORMAT}"'.encode() in opened.read(HEAD)
    except OSError:
        return False


def open_shards(path: Path) -> SourceReader:
    return reader_of_shards(LocalStore(path.resolve()))


def reader_of_shards(store: Store) -> SourceReader:
    """Raises PthetaError if the index cannot be read."""
    index = store.index()
    shards: dict[str, tuple[int, ...]] = {
        name: tuple(shard.bytes for shard in entry.shards) for name, entry in index.splits.items()
    }
    return SourceReader(KIND, partial(_read, store, index), shards=shards)


def _read(store: Store, index: Index, request: Request) -> tuple[Dataset, Part]:
    part = choose(request.split, index.splits, store.place)
    entry = next(entry for name, entry in index.splits.items() if name == part.name)
    store.check_room(index.window, entry.shards)
    table = _table(store, index, entry)
    whites = request.whites_for(index.tops)
    shape, own = _shape(index, request)
    usual = Request().whites_for(index.tops)
    split = Split(
        *(store, tuple(entry.shards), table, tuple(index.suffixes)), f"{index.digest}:{part.name}"
    )
    look = Look(shape, whites, own and whites == usual)
    images = ShardImages(split, look, index.window, request.cache_dir)
    captions = None if entry.captions is None else ShardCaptions(split, entry.captions)
    data = ImageDataset(
        shown(index.name),
        request.split,
        images,
        labels=table["label"] if entry.labelled else None,
        classes=tuple(index.classes),
        captions=captions,
        attributes=table["attributes"] if index.attributes else None,
        attribute_names=tuple(index.attributes),
        attribute_values=index.attribute_values,
        groups=None if part.divide else table["group"],
        repeats=table["repeat"] if part.name != "train" and table["repeat"].any() else None,
        numbers=table["number"],
        files=ShardNames(split),
        notes=(*map(shown, entry.notes), *_notes(look, index)),
        advice=tuple(map(shown, entry.advice)),
        resembles=shown(index.resembles),
        resized=index.resized or not own,
        values=Values(index.tops, whites),
        order=Windows(split.starts, index.window, _identity(index, entry)),
    )
    return data, part


def _identity(index: Index, entry: SplitEntry) -> str:
    """Twelve hex digits on which the order of training depends."""
    content = (index.window, [shard.sha256 for shard in entry.shards])
    return hashlib.sha256(repr(content).encode()).hexdigest()[:12]


def _shape(index: Index, request: Request) -> tuple[Shape, bool]:
    """The shape of images, and whether it is the one that pictures have by default."""
    c, h, w = index.shape
    settings = request.settings
    shape = Shape(settings.channels or c, settings.size or h, settings.size or w)
    return shape, shape == Shape(c, h, w)


def _notes(look: Look, index: Index) -> tuple[str, ...]:
    shape = look.shape
    if (shape.channels, shape.height, shape.width) == tuple(index.shape):
        return ()
    return (f"pictures are resized and cropped to {shape.width}x{shape.height} pixels (--size)",)


def _table(store: Store, index: Index, entry: SplitEntry) -> np.ndarray:
    """The rows of a split, as a memory map. Raises PthetaError if they are damaged."""
    path = store.path(entry.table)
    try:
        table: object = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise PthetaError(f"cannot read {path}: {error}; {CURE}") from None
    kind = table_type(len(index.attributes), index.attribute_type)
    if not isinstance(table, np.ndarray) or table.dtype != kind or table.ndim != 1:
        raise PthetaError(f"{path} is not a table of shards: {CURE}")
    names = [shard.name for shard in entry.shards]
    if len(set(names)) < len(names) or not _fits(table, index, entry):
        raise PthetaError(f"{path} does not belong to its index: {CURE}")
    if len(table) != entry.samples or sum(s.samples for s in entry.shards) != entry.samples:
        raise PthetaError(f"{path} has {len(table):,} rows for {entry.samples:,} examples: {CURE}")
    return table


def _fits(table: np.ndarray, index: Index, entry: SplitEntry) -> bool:
    """Whether what the rows refer to is there: suffixes, classes and captions."""
    if not len(table):
        return True
    label = table["label"]
    known = label.min() >= (0 if entry.labelled else -1) and label.max() < len(index.classes)
    size = 0 if entry.captions is None else entry.captions.bytes
    ends = table["text"] + table["length"]
    return bool(known and table["suffix"].max() < len(index.suffixes) and ends.max() <= size)
