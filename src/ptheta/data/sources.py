"""From a name or a path to a data set: what kind of source it is, and which split."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Unpack

import torch

from ptheta import plugins
from ptheta.config import brief
from ptheta.data import EMBEDDED, POINTS
from ptheta.data.arrays import open_array_file
from ptheta.data.columns.source import SUFFIXES, has_tables, open_separated
from ptheta.data.dataset import Dataset
from ptheta.data.embedded import open_embedded
from ptheta.data.folder import open_archive_of_images, open_folder
from ptheta.data.formats import suffixes
from ptheta.data.hub import ALIASES, is_on_hub, open_hub
from ptheta.data.idx import is_idx, open_idx
from ptheta.data.image_data import ImageDataset, images_of
from ptheta.data.memory import Source, open_memory
from ptheta.data.names import called, is_name, shortened
from ptheta.data.parquet import has_parquet, is_saved, open_parquet, open_saved
from ptheta.data.points.source import open_toy
from ptheta.data.reader import ReadOnce, SourceReader, with_one_white, with_pairs
from ptheta.data.request import DataOptions, DataSettings, Request
from ptheta.data.selection import selected
from ptheta.data.shards.remote import RemoteStore, checked, is_address
from ptheta.data.shards.source import is_shards, open_shards, reader_of_shards
from ptheta.data.splits import Part, Sides, mark_repeats, side, sides
from ptheta.data.values import Levels
from ptheta.data.vector_data import VectorDataset
from ptheta.errors import PthetaError, nearest
from ptheta.files.out import listed
from ptheta.files.paths import exists, expand
from ptheta.specs import VectorSpec


@dataclass(frozen=True)
class PathKind:
    """A kind of files or folders that is read.

    reads: whether a path is one; open: what reads it
    files: the suffixes of such files, or what else they are called in a message
    """

    reads: Callable[[Path], bool]
    open: Callable[[Path], SourceReader]
    files: tuple[str, ...] = ()

    @classmethod
    def of_files(cls, *suffixes: str, open: Callable[[Path], SourceReader]) -> PathKind:
        """The files that have one of these suffixes, in whatever case."""
        return cls(lambda p: p.is_file() and p.suffix.lower() in suffixes, open, suffixes)


# the first that reads a path does; a new kind of source is an entry here
SOURCES: list[PathKind] = [
    PathKind.of_files(".npy", ".npz", open=open_array_file),
    PathKind.of_files(".parquet", open=open_parquet),
    PathKind.of_files(*SUFFIXES, open=open_separated),
    PathKind.of_files(".zip", open=open_archive_of_images),
    PathKind(is_idx, open_idx, ("IDX",)),
    PathKind(is_shards, open_shards),
    PathKind(is_saved, open_saved),
    PathKind(has_parquet, open_parquet),
    PathKind(has_tables, open_separated),
    PathKind(Path.is_dir, open_folder),
]
PACKED = ".gz"  # what IDX files may end in


def open_data(
    source: Source,
    split: str = "train",
    *,
    seed: int = 0,
    cache_dir: str | Path | None = None,
    known: Levels | None = None,
    **options: Unpack[DataOptions],
) -> Dataset:
    """Open a split of a data set.

    Args:
        source: one of

            - the name of a built-in data set (`ptheta.data.EMBEDDED`), which is never a path (but
              `./digits` is);
            - a path: a folder of images, shards, IDX files, parquet files or tables train.csv and
              test.csv, a folder saved by `datasets`, or an IDX, .npy, .npz, .parquet, .csv, .tsv
              or .zip file;
            - the address of a set of shards (`ptheta data pack`): https://, s3://, gs:// and others
              of fsspec;
            - a name on the hub (`mnist`, `org/name`), if no such path exists;
            - data in memory: an array or a tensor of images (N, H, W), (N, H, W, C) or
              (N, C, H, W), or of rows (N, D), a tuple (images, labels), a `Dataset`, or a
              dictionary of these by split.

            `Dataset.notes` reports an ambiguous name.
        split: "train", "val" or "test". Training images are in no other split. If the source has no
            held-out part, a tenth of it is held out, chosen by the pixels of the images; if it has
            only one of val and test, it is used for both (see `Dataset.notes`). With at most ten
            images none is held out. Built-in data sets have only train and test.
        seed: seed of the fixed binarisation, see `ImageDataset`.
        cache_dir: folder for decoded images; default: $PTHETA_CACHE or the user's cache folder.
        known: the white value of a run's training data, by kind of value.
        options: fields of `ptheta.data.request.DataSettings`:

            - levels=256, dynamic=False: see `ImageDataset`
            - size, channels: convert images to size x size pixels and 1 or 3 channels
            - max_broken=0.1: maximum share of unreadable files, which are skipped
            - image_column, label_column, caption_column: columns of a source with columns (parquet,
              the hub, metadata of pictures); default: columns with a usual name or type
            - columns, category_columns: columns of a table to learn (default: all but the label),
              and those to treat as categories although they hold numbers
            - white: the white value; default: inferred from the largest value of the source (see
              `ptheta.data.values`), such as 255 for 8-bit pictures
            - pairs, input_column, reverse, pair_strength, label_maps, label_colours: see
              docs/data.md
            - where, unseen, unseen_share: selection of examples by attributes, see docs/data.md

    Raises:
        PthetaError: if the source does not exist, holds no images (of that split), or cannot be
            read.
    """
    place = None if cache_dir is None else expand(cache_dir)
    return open_split(
        source, Request(split, DataSettings.asked(**options), place, known), seed=seed
    )


def open_images(
    source: Source,
    split: str = "train",
    *,
    seed: int = 0,
    cache_dir: str | Path | None = None,
    known: Levels | None = None,
    **options: Unpack[DataOptions],
) -> ImageDataset:
    """As `open_data`, for images only; raises PthetaError for other data."""
    data = open_data(source, split, seed=seed, cache_dir=cache_dir, known=known, **options)
    return images_of(data)


def open_split(source: Source, request: Request, *, seed: int = 0) -> Dataset:
    """The requested split of a data set: see `open_data`."""
    settings = request.settings
    data = Opening(source, request).split(request.split)
    return data.with_levels(settings.levels, settings.dynamic, seed)


class Opening:
    """Open a source so that each part is read, and a source without splits divided, only once.

    request: how it is read; its split is ignored
    Raises PthetaError if the source does not exist, or has no columns and some are requested.
    """

    def __init__(self, source: Source, request: Request) -> None:
        reader = reader_of(source)
        reader.check(request.settings, called(source))
        self.reader, self.request = replace(reader, read=ReadOnce(reader.read)), request
        self.sides: Sides | None = None

    def split(self, split: str) -> Dataset:
        """A split with all of its levels. Raises PthetaError where there is none."""
        request = replace(self.request, split=split)
        if self.sides is None:
            data, part = self.reader.read(request)
            check_kind(data, request.settings)
            if not part.divide:
                return self._noted(finished(self.reader, data, part, request), request)
            self.sides = sides(data, request.cache_dir)
        return self._noted(side(self.sides, split), request)

    def other(self) -> Dataset:
        """The test part of a source with splits, else all of it."""
        request = replace(self.request, split="test")
        data, part = self.reader.read(request)
        if not part.divide:
            return self.split("test")
        check_kind(data, request.settings)
        return self._noted(data, request)

    def _noted(self, data: Dataset, request: Request) -> Dataset:
        data = selected(data, request)
        data = replace(data, notes=(*self.reader.notes, *data.notes))
        known = self.request.learned.vectors
        return data if known is None else data.with_columns(known)


def check_kind(data: Dataset, settings: DataSettings) -> None:
    """Raise PthetaError for an option of tables with other data."""
    if isinstance(data, VectorDataset):
        return
    for option, names in settings.of_vectors.items():
        raise PthetaError(
            f"{option} {shortened(names)}: {data.name} holds {data.examples}, not a table: "
            "leave it out"
        )


def settings_for(source: Source, settings: DataSettings) -> DataSettings:
    """The settings of one source for use with another; column options are dropped if it has no
    columns."""
    if not settings.of_tables or reader_of(source).has_columns():
        return settings
    return settings.without_columns()


def finished(reader: SourceReader, data: Dataset, part: Part, request: Request) -> Dataset:
    """A part that the source itself defines, for a split."""
    data = replace(data, split=request.split, notes=(*data.notes, *filter(None, [part.note])))
    if part.name == "train" or data.groups is not None:
        return data
    training, _ = reader.read(replace(request.tolerant(), split="train"))
    return mark_repeats(data, training, request.cache_dir)


class ImageSet(NamedTuple):
    """images: uint8 (N, C, H, W); notes: on how they were read; resized: whether any was"""

    images: torch.Tensor
    notes: tuple[str, ...]
    resized: bool = False

    def __repr__(self) -> str:
        return f"ImageSet(images: uint8 {tuple(self.images.shape)}, {len(self.notes)} notes)"


def open_image_set(
    source: Source,
    settings: DataSettings | None = None,
    *,
    known: Levels | None = None,
    columns: VectorSpec | None = None,
) -> ImageSet:
    """All images of a source, regardless of folder names; or all rows of a table.

    settings: how they are read; their levels are ignored. known: see `open_data`
    columns: the names of the required columns, for a table
    Raises PthetaError as `open_data` does, and for fewer than two images.
    """
    reader, settings = reader_of(source), settings or DataSettings()
    reader.check(settings, called(source))
    whole, parts = reader.readable_whole, []
    for split in reader.splits[:1] if whole else reader.splits:
        data, part = reader.read(Request(split, settings, known=known, whole=whole))
        if part.name == split:  # another part may answer for it
            if columns is not None and isinstance(data, VectorDataset):
                data = data.with_columns(columns)
            parts.append(data)
    if sum(len(data) for data in parts) < 2:
        raise PthetaError(f"{called(source)} holds 1 image, but metrics need at least two")
    images = torch.cat([data.batch(slice(0, len(data))).x for data in parts])
    notes = (*reader.notes, *(note for data in parts for note in data.notes))
    resized = any(data.resized for data in parts)
    return ImageSet(images, tuple(dict.fromkeys(notes)), resized)


def reader_of(source: Source) -> SourceReader:
    """The reader of a name, a path or images in memory, with one white value for all parts.

    Raises:
        PthetaError: for an unknown source.
    """
    if isinstance(source, str | Path):
        return with_pairs(with_one_white(_open_place(source)))
    return with_pairs(with_one_white(open_memory(source)))


def _open_place(source: str | Path) -> SourceReader:
    if is_address(source):
        return reader_of_shards(RemoteStore(checked(str(source))))
    path, text = expand(source), str(source)
    if not is_name(source) and exists(path):
        reader = _open_path(path)
        note = f"{text} is the local file or folder of that name, not the data set on the hub"
        return replace(reader, notes=(note,)) if text in ALIASES else reader
    reader = _open_name(source)
    note = f"{text} is the built-in data set of that name, not ./{text}"
    return replace(reader, notes=(note,)) if exists(path) else reader


def kind_of(path: Path) -> PathKind | None:
    """The first kind of source that reads a path; None where none does."""
    plugins.load()
    return next((kind for kind in SOURCES if kind.reads(path)), None)


def _open_path(path: Path) -> SourceReader:
    kind = kind_of(path)
    if kind is not None:
        return kind.open(path)
    what = "is not a supported data format"
    if not path.is_file():
        what = "is neither a file nor a folder (a pipe, a socket or a device)"
    raise PthetaError(f"{path} {what}: give a folder of images, or a {listed(_files())} file")


def _open_name(source: str | Path) -> SourceReader:
    name = str(source)
    if is_name(source) and name in POINTS:
        return open_toy(name)
    if is_name(source) and name in EMBEDDED:
        return open_embedded(name)
    suffix = Path(name).suffix
    if is_on_hub(name) and suffix.lower() not in (*suffixes(), *_files(), PACKED):
        return open_hub(name)
    if isinstance(source, Path) or "/" in name or "\\" in name or suffix:
        raise PthetaError(f"no such file or folder: {name}; give a path that exists")
    names = [*EMBEDDED, *ALIASES]
    if (near := nearest(name, [*names, *_here()])) is not None:
        raise PthetaError(f"unknown data {brief(name)}: did you mean {near!r}?")
    raise PthetaError(
        f"unknown data {brief(name)}: no such file or folder exists, and the built-in data sets "
        f"are {', '.join(names)}"
    )


def _files() -> tuple[str, ...]:
    """The supported file suffixes."""
    return tuple(dict.fromkeys(name for kind in SOURCES for name in kind.files))


def _here() -> list[str]:
    """The names in the current folder, which one of them may be meant."""
    try:
        return sorted(os.listdir())
    except OSError:
        return []
