"""Write a data set as tar shards."""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ptheta.data.image_data import ImageDataset
from ptheta.data.memory import Source
from ptheta.data.names import called, shortened
from ptheta.data.request import DataSettings, Request
from ptheta.data.shards.index import (
    FORMAT,
    INDEX,
    VERSION,
    WINDOW,
    Entry,
    Index,
    SplitEntry,
    key_of,
    shard_name,
    table_type,
)
from ptheta.data.shards.originals import OriginalPictures
from ptheta.data.sources import Opening
from ptheta.data.splits import SPLITS
from ptheta.data.values import USUAL, Kind, Levels, merged
from ptheta.errors import PthetaError
from ptheta.files.atomic import commit_folder, digest, make_folder, remove, temporary, tidy, writing
from ptheta.terminal.progress import watched

SIZE = 256 * 2**20  # bytes of a shard
BLOCK = tarfile.BLOCKSIZE
CAPTIONS = "{}.captions"
TABLE = "{}.npy"


@dataclass(frozen=True)
class Cut:
    """Where a shard ends. size: most bytes (but at least one example); images: most examples"""

    size: int = SIZE
    images: int | None = None

    def full(self, size: int, images: int) -> bool:
        if not images:
            return False
        return size > self.size or (self.images is not None and images >= self.images)


def opened(source: Source, settings: DataSettings) -> dict[str, ImageDataset]:
    """The splits of a source, read without conversions. Raises PthetaError for other data than
    single images."""
    opening = Opening(source, Request(settings=settings))
    splits: dict[str, ImageDataset] = {}
    for split in opening.reader.splits:
        data, part = opening.reader.read(replace(opening.request, split=split))
        if not isinstance(data, ImageDataset):
            raise PthetaError(
                f"{shortened(called(source))} holds {data.examples} of numbers, and shards are of "
                "images: give the table itself as --data"
            )
        if part.divide:
            return _divided(opening)
        if part.name == split:
            own = opening.split(split)
            assert isinstance(own, ImageDataset)
            splits[split] = own
    return splits


def _divided(opening: Opening) -> dict[str, ImageDataset]:
    """Both sides of a source without splits; all is for training if nothing is held out."""
    train = opening.split("train")
    assert isinstance(train, ImageDataset)
    if len(train) == len(train.stored):
        return {"train": train}
    test = opening.split("test")
    assert isinstance(test, ImageDataset)
    return {"train": train, "test": test}


def write(splits: Mapping[str, ImageDataset], out: Path, cut: Cut, seed: int | None) -> Index:
    """Write the splits of a data set to a new folder, which appears when it is complete.

    seed: of the order of the examples; None keeps that of the source
    """
    refuse_existing(out)
    make_folder(out.parent)
    tidy(out.parent)
    building = temporary(out.parent)
    with writing(out):
        building.mkdir()
        try:
            writers = {
                split: _SplitWriter(split, data, building, cut, seed)
                for split, data in splits.items()
            }
            suffixes: dict[str, int] = {}
            for split in watched(writers, "packing"):
                writers[split].write(suffixes)
            index = _index(splits, writers, tuple(suffixes))
            (building / INDEX).write_text(index.text(), encoding="utf-8")
            commit_folder(building, out)
        finally:
            remove(building)
    return index


def refuse_existing(out: Path) -> None:
    """Raise PthetaError if there is something in the way: shards are never added to a set."""
    if (out / INDEX).exists():
        raise PthetaError(f"{out} is already a set of shards: choose another --out, or remove it")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PthetaError(f"{out} exists and is not an empty folder: choose another --out")


class _SplitWriter:
    """Writes one split; then `entry` describes it."""

    def __init__(
        self, split: str, data: ImageDataset, folder: Path, cut: Cut, seed: int | None
    ) -> None:
        self.split, self.data, self.folder, self.cut = split, data, folder, cut
        rows = data.rows(slice(None))
        order = np.arange(len(rows))
        if seed is not None:
            order = np.random.default_rng([seed, SPLITS.index(split)]).permutation(len(rows))
        self.rows = rows[order]
        width = 0 if data.attributes is None else data.attributes.shape[1]
        kind = "<f8" if data.attributes is None else data.attributes.dtype.str
        self.table = np.zeros(len(rows), table_type(width, kind))
        self._fill(order)
        self.shards: list[Entry] = []
        self.drawn = self.kept = False

    def _fill(self, order: np.ndarray) -> None:
        """The columns that do not depend on the files."""
        data, table, rows = self.data, self.table, self.rows
        table["label"] = -1 if data.labels is None else data.labels[rows]
        table["number"] = data.number(rows)
        table["key"] = data.keys()[order]
        table["group"] = data.groups[rows] if data.groups is not None else self._groups()[order]
        table["repeat"] = False if data.repeats is None else data.repeats[rows]
        if data.attributes is not None:
            table["attributes"] = data.attributes[rows]

    def _groups(self) -> np.ndarray:
        return self.data.find_groups().groups

    def write(self, suffixes: dict[str, int]) -> None:
        """Write the shards, the captions and the table. suffixes: numbered as they occur"""
        captions = self.folder / CAPTIONS.format(self.split)
        with OriginalPictures(self.data, self.folder) as pictures, captions.open("wb") as texts:
            at, total = 0, len(self.rows)
            while at < total:
                at = self._shard(at, pictures, texts, suffixes)
        if self.data.captions is None:
            captions.unlink()
        np.save(self.folder / TABLE.format(self.split), self.table, allow_pickle=False)

    def _shard(
        self,
        first: int,
        pictures: OriginalPictures,
        texts: io.BufferedWriter,
        suffixes: dict[str, int],
    ) -> int:
        """Write one shard from the example `first` on; returns the first of the next."""
        name = shard_name(self.split, len(self.shards))
        at = first
        with _shard(self.folder / name) as shard:
            while at < len(self.rows):
                row = int(self.rows[at])
                picture = pictures[row]
                self.drawn |= picture.drawn
                self.kept |= not picture.drawn
                members = {picture.suffix: picture.content, **self._more(row)}
                if self.cut.full(shard.offset + _size(members), at - first):
                    break
                key = key_of(at, len(self.rows))
                record = self.table[at : at + 1]
                record["offset"] = shard.offset + BLOCK
                record["size"] = len(picture.content)
                record["crc"] = zlib.crc32(picture.content)
                record["suffix"] = suffixes.setdefault(picture.suffix, len(suffixes))
                for suffix, content in members.items():
                    _add(shard, f"{key}{suffix}", content)
                if self.data.captions is not None:
                    record["text"], text = texts.tell(), members[".txt"]
                    record["length"] = texts.write(text)
                at += 1
        self.shards.append(_entry(self.folder / name, at - first))
        return at

    def _more(self, row: int) -> dict[str, bytes]:
        """What lies in a shard next to the picture of a row."""
        data, more = self.data, dict[str, bytes]()
        if data.labels is not None:
            more[".cls"] = str(int(data.labels[row])).encode()
        if data.captions is not None:
            more[".txt"] = data.caption(row).encode()
        if data.attributes is not None:
            values = data.attributes[row].tolist()
            named = dict(zip(data.attributes_named(), values, strict=True))
            more[".json"] = json.dumps(named, allow_nan=True).encode()
        return more

    def entry(self) -> SplitEntry:
        data = self.data
        captions = self.folder / CAPTIONS.format(self.split)
        return SplitEntry(
            samples=len(self.rows),
            shards=self.shards,
            table=_entry(self.folder / TABLE.format(self.split)),
            labelled=data.labels is not None,
            captions=None if data.captions is None else _entry(captions),
            notes=[*data.notes, *self._lost()],
            advice=list(data.advice),
        )

    def _lost(self) -> Iterator[str]:
        """Lines on what shards do not hold."""
        if self.data.skipped:
            yield f"{len(self.data.skipped):,} pictures could not be read and were not packed"
        if self.data.masks is not None:
            yield "the masks of the data were not packed"


@contextmanager
def _shard(path: Path) -> Iterator[tarfile.TarFile]:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as shard:
        yield shard


def _size(members: Mapping[str, bytes]) -> int:
    """Bytes of files in a shard."""
    return sum(BLOCK + -(-len(content) // BLOCK) * BLOCK for content in members.values())


def _add(shard: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file without owner and time, so that the same data give the same bytes."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    shard.addfile(info, io.BytesIO(content))


def _entry(path: Path, samples: int = 0) -> Entry:
    return Entry(name=path.name, bytes=path.stat().st_size, sha256=digest(path), samples=samples)


def _index(
    splits: Mapping[str, ImageDataset],
    writers: Mapping[str, _SplitWriter],
    suffixes: tuple[str, ...],
) -> Index:
    train = splits["train"]
    index = Index.model_validate(
        {
            "format": FORMAT,
            "version": VERSION,
            "name": train.name,
            "shape": train.spec.shape,
            "resized": any(data.resized for data in splits.values()),
            "tops": _tops(splits, writers),
            "classes": list(train.classes),
            "attributes": list(train.attributes_named()),
            "attribute_values": {k: dict(v) for k, v in train.attribute_values.items()},
            "attribute_type": "<f8" if train.attributes is None else train.attributes.dtype.str,
            "resembles": train.resembles,
            "suffixes": list(suffixes),
            "window": WINDOW,
            "splits": {split: writer.entry() for split, writer in writers.items()},
        }
    )
    return index.model_copy(update={"digest": index.sum()})


def _tops(
    splits: Mapping[str, ImageDataset], writers: Mapping[str, _SplitWriter]
) -> dict[Kind, float]:
    """The largest values in the files; of pictures that were encoded here, 255 of 8 bits."""
    tops: list[Levels] = []
    for split, writer in writers.items():
        values = splits[split].values
        if writer.drawn or values is None:
            tops.append({"8-bit": USUAL["8-bit"]})
        if writer.kept and values is not None:
            tops.append(values.tops)
    return merged(tops)
