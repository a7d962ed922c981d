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
    """A split of a data set.

    source: an embedded name (`ptheta.data.EMBEDDED`), a path (a folder of images, of IDX or of
        parquet files, of tables train.csv and test.csv, one that `datasets` saved, or an IDX, .npy,
        .npz, .parquet, .csv, .tsv or .zip file), or a name on the hub (`mnist`, `org/name`). The
        name of an embedded set is never a path (`./digits` is); a path that exists wins over a name
        on the hub. `Dataset.notes` says so where both exist. Or data in memory: an array or a
        tensor (N, H, W), (N, H, W, C) or (N, C, H, W) as in a file, or of rows (N, D), (images,
        labels), a `Dataset`, or a dictionary of such parts by split
    split: "train", "val" or "test". Images of train are in no other split. Where the source has
        none held out, a tenth of it is, chosen by the pixels of its images; where it has one of val
        and test, that one answers to both (`Dataset.notes` says so). Of at most ten images none is
        held out. Embedded images have train and test only
    seed: of the fixed binarisation, see `Dataset`
    cache_dir: where decoded images are kept; default $PTHETA_CACHE or the user's cache folder
    known: what was white where a run was trained, by kind of value
    options: the fields of `ptheta.data.request.DataSettings`:

        - levels=256, dynamic=False: see `Dataset`
        - size, channels: what images are brought to: size x size pixels, 1 or 3 channels
        - max_broken=0.1: share of unreadable files above which to give up; below it they are
          skipped
        - image_column, label_column, caption_column: which columns to take of a source that has
          columns (parquet, the hub, metadata beside pictures). Default: those of a usual name or
          type
        - columns, category_columns: which columns of a table are learned (default: all but the
          label), and which of them are words though they hold numbers
        - white: the value that is white; default: what the largest value of the source says (see
          `ptheta.data.values`), such as 255 of 8-bit pictures
        - pairs, input_column, reverse, pair_strength, label_maps, label_colours: see docs/data.md
        - where, unseen, unseen_share: which examples are used, by their attributes: likewise

    Raises PthetaError where the source does not exist, holds no images (of that split), or cannot
    be read.
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
    """As `open_data`, for what is done with images alone: raises PthetaError for other data."""
    data = open_data(source, split, seed=seed, cache_dir=cache_dir, known=known, **options)
    return images_of(data)


def open_split(source: Source, request: Request, *, seed: int = 0) -> Dataset:
    """The split of a data set that is asked for: see `open_data`."""
    settings = request.settings
    data = Opening(source, request).split(request.split)
    return data.with_levels(settings.levels, settings.dynamic, seed)


class Opening:
    """One opening of a source: each part of it is read once, and one that has no splits is divided
    once, however many splits are asked for.

    request: how it is read; its split is let be
    Raises PthetaError where the source is not there, or has no columns and some are asked for.
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
        """The test part of a source that tells its parts apart, else all of it."""
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
    """Raises PthetaError where an option of tables is given for other data."""
    if isinstance(data, VectorDataset):
        return
    for option, names in settings.of_vectors.items():
        raise PthetaError(
            f"{option} {shortened(names)}: {data.name} holds {data.examples}, not a table: "
            "leave it out"
        )


def settings_for(source: Source, settings: DataSettings) -> DataSettings:
    """The settings that were made for one source, for another that may have no columns: then none
    are asked for."""
    if not settings.of_tables or reader_of(source).has_columns():
        return settings
    return settings.without_columns()


def finished(reader: SourceReader, data: Dataset, part: Part, request: Request) -> Dataset:
    """A part that the source itself tells from the others, as the answer to a split."""
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
    """All images of a source, whatever its folders are called and whichever lie beside them; or the
    rows of a table.

    settings: how they are read; their levels are let be. known: see `open_data`
    columns: of a table, those that its rows are to have, by name
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
    """What reads a name, a path or images in memory, so that one value is white in all of its
    parts. Raises PthetaError for nothing that is known."""
    if isinstance(source, str | Path):
        return with_pairs(with_one_white(_open_place(source)))
    return with_pairs(with_one_white(open_memory(source)))


def _open_place(source: str | Path) -> SourceReader:
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
    """What the files that are read are called."""
    return tuple(dict.fromkeys(name for kind in SOURCES for name in kind.files))


def _here() -> list[str]:
    """The names in the current folder, which one of them may be meant."""
    try:
        return sorted(os.listdir())
    except OSError:
        return []
