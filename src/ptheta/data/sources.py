"""From a name or a path to a data set: what kind of source it is, and which split."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ptheta.config import brief
from ptheta.data import (
    EMBEDDED,
    archive,
    arrays,
    embedded,
    folder,
    hub,
    idx,
    memory,
    parquet,
    saved,
    shapes,
)
from ptheta.data.dataset import Dataset
from ptheta.data.decode import resize
from ptheta.data.formats import suffixes
from ptheta.data.memory import Source, checked
from ptheta.data.metadata import has_tables
from ptheta.data.names import MEMORY, called, is_name
from ptheta.data.request import Columns, Request
from ptheta.data.splits import SPLITS, Part, divide, mark_repeats, with_repeats
from ptheta.data.tree import Folder, Tree, holds
from ptheta.data.values import Levels, White, merged
from ptheta.errors import PthetaError, nearest
from ptheta.files.paths import exists, expand

EMBEDDED_KIND = "embedded"
FILES = (".npy", ".npz", ".parquet", ".zip")
GIVE = "give a folder of images, or an IDX, .npy, .npz, .parquet or .zip file"

Reader = Callable[[Request], tuple[Dataset, Part]]


def open_data(
    source: Source,
    split: str = "train",
    *,
    levels: int = 256,
    dynamic: bool = False,
    seed: int = 0,
    size: int | None = None,
    channels: int | None = None,
    max_broken: float = 0.1,
    cache_dir: str | Path | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    caption_column: str | None = None,
    white: float | None = None,
    known: Levels | None = None,
) -> Dataset:
    """A split of a data set.

    source: an embedded name (`ptheta.data.EMBEDDED`), a path (a folder of images, of IDX or of
        parquet files, one that `datasets` saved, or an IDX, .npy, .npz, .parquet or .zip file), or
        a name on the hub (`mnist`, `org/name`). The name of an embedded set is never a path
        (`./digits` is); a path that exists wins over a name on the hub. `Dataset.notes` says so
        where both exist. Or images in memory: an array or a tensor (N, H, W), (N, H, W, C) or
        (N, C, H, W) as in a file, (images, labels), a `Dataset`, or a dictionary of such parts by
        split
    split: "train", "val" or "test". Images of train are in no other split. Where the source has
        none held out, a tenth of it is, chosen by the pixels of its images; where it has one of val
        and test, that one answers to both (`Dataset.notes` says so). Of at most ten images none is
        held out. Embedded sets have train and test only
    levels, dynamic, seed: see `Dataset`
    size, channels: what images are brought to: size x size pixels, 1 or 3 channels
    max_broken: share of unreadable files above which to give up; below it they are skipped
    cache_dir: where decoded images are kept; default $PTHETA_CACHE or the user's cache folder
    image_column, label_column, caption_column: which columns to take of a source that has columns
        (parquet, the hub, metadata beside pictures). Default: those of a usual name or type
    white: the value that is white; default: what the largest value of the source says (see
        `ptheta.data.values`), such as 255 of 8-bit pictures. known: what a run was trained with

    Raises PthetaError where the source does not exist, holds no images (of that split), or cannot
    be read.
    """
    place = None if cache_dir is None else expand(cache_dir)
    columns = (image_column, label_column, caption_column)
    asked = White(white, known)
    request = Request(split, size, channels, max_broken, *columns, place, asked)
    found = find(source)
    found.check_columns(request, source)
    data, part = found.read(request)
    if part.divide:
        data = divide(data, split, place)
    else:
        data = finished(found, data, part, request)
    notes = (*found.notes, *data.notes)
    return replace(data, notes=notes).with_levels(levels, dynamic, seed)


def columns_there(source: Source, columns: Columns) -> Columns:
    """The columns asked of one source, for another that may have none: then none are asked for."""
    asked = any(name is not None for name in columns.values())
    return columns if asked and find(source).has_columns() else Columns()


def finished(found: Found, data: Dataset, part: Part, request: Request) -> Dataset:
    """A part that the source itself tells from the others, as the answer to a split."""
    data = replace(data, split=request.split, notes=(*data.notes, *filter(None, [part.note])))
    if part.name == "train" or data.groups is not None:
        return data
    training, _ = found.read(replace(request, split="train", max_broken=1.0))
    return mark_repeats(data, training, request.cache_dir)


class Whole(NamedTuple):
    """images: uint8 (N, C, H, W); notes: on how they were read; resized: whether any was"""

    images: torch.Tensor
    notes: tuple[str, ...]
    resized: bool = False

    def __repr__(self) -> str:
        return f"Whole(images: uint8 {tuple(self.images.shape)}, {len(self.notes)} notes)"


def open_whole(source: Source, *, cache_dir: Path | None = None, **options: Any) -> Whole:
    """All images of a source, whatever its folders are called and whichever lie beside them;
    options as `open_data`'s.

    Raises PthetaError as `open_data` does, and for fewer than two images.
    """
    found = find(source)
    found.check_columns(Request(**options), source)
    parts = []
    for split in found.splits[:1] if found.whole else found.splits:
        asked = Request(split, cache_dir=cache_dir, whole=found.whole, **options)
        data, part = found.read(asked)
        if part.name == split:  # another part may answer for it
            parts.append(data)
    if sum(len(data) for data in parts) < 2:
        raise PthetaError(f"{called(source)} holds 1 image, too few to measure: give at least two")
    images = torch.cat([data.batch(slice(0, len(data))).x for data in parts])
    notes = (*found.notes, *(note for data in parts for note in data.notes))
    resized = any(data.resized for data in parts)
    return Whole(images, tuple(dict.fromkeys(notes)), resized)


def _settled(found: Found) -> Found:
    """The source, read so that one value is white in all of its parts."""

    def parts(request: Request) -> Iterator[Levels]:
        for split in found.splits:
            try:
                data, part = found.read(replace(request, split=split, max_broken=1.0))
            except PthetaError:  # said when that part is asked for
                continue
            if part.name == split and data.values is not None:
                yield data.values.tops

    def read(request: Request) -> tuple[Dataset, Part]:
        data, part = found.read(request)
        if data.values is None:
            return data, part
        tops, asked = data.values.tops, request.white
        if not data.values.certain(k for k, top in tops.items() if asked.fixed(k, top)):
            tops = merged([tops, *parts(request)])
        asked.check(tops, data.name)
        whites = asked.of(tops)
        if any(whites[kind] != white for kind, white in data.values.whites.items()):
            data, part = found.read(replace(request, whites=whites))
        notes, advice = (*data.notes, *asked.notes(tops)), (*data.advice, *asked.advice(tops))
        return replace(data, notes=notes, advice=advice), part

    return replace(found, read=read)


def _never() -> bool:
    return False


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Found:
    """A source: what kind it is, how to read a part of it, the splits that it can be asked for,
    what is to be said of how it was found, whether it has columns to choose from, and whether it
    can be read as a whole (`Request.whole`).
    """

    kind: str
    read: Reader
    splits: tuple[str, ...] = SPLITS
    notes: tuple[str, ...] = ()
    has_columns: Callable[[], bool] = _never
    whole: bool = False

    def check_columns(self, request: Request, source: Source) -> None:
        """Raises PthetaError where columns are asked for and there are none."""
        if request.columns and not self.has_columns():
            kind, name = next(iter(request.columns.items()))
            raise PthetaError(
                f"--{kind}-column {name}: {called(source)} ({self.kind}) has no columns; "
                "leave it out"
            )


def find(source: Source) -> Found:
    """What a name, a path or images stand for. Raises PthetaError for nothing that is known."""
    if not isinstance(source, str | Path):
        return _settled(Found(MEMORY, partial(memory.read, checked(source))))
    path, text = expand(source), str(source)
    if is_name(source) or not exists(path):
        found = _settled(_find_name(text, isinstance(source, Path)))
        if is_name(source) and exists(path):
            note = f"{text} is the data set of that name, not the folder or file ./{text}"
            found = replace(found, notes=(note,))
        return found
    found = _settled(_find_folder(path) if path.is_dir() else _find_file(path))
    if text in hub.ALIASES:
        note = f"{text} is the file or folder of that name, not the data set of the hub"
        found = replace(found, notes=(note,))
    return found


def _find_name(name: str, is_path: bool) -> Found:
    if name in EMBEDDED and not is_path:
        return Found(
            EMBEDDED_KIND, lambda request: _read_embedded(name, request), ("train", "test")
        )
    suffix = Path(name).suffix
    is_file_name = suffix.lower() in (*suffixes(), *FILES, ".gz")
    on_hub = name in hub.ALIASES or re.fullmatch(r"\w[\w.-]*/[\w.-]+", name)
    if on_hub and not is_file_name:
        return Found("on the hub", lambda request: hub.read(name, request), has_columns=_always)
    if is_path or "/" in name or "\\" in name or suffix:
        raise PthetaError(f"no such file or folder: {name}; give a path that exists")
    known = [*EMBEDDED, *hub.ALIASES]
    if (near := nearest(name, [*known, *_here()])) is not None:
        raise PthetaError(f"unknown data {brief(name)}: did you mean {near!r}?")
    raise PthetaError(
        f"unknown data {brief(name)}: no such file or folder is here, and the names of data sets "
        f"are {', '.join(known)}"
    )


def _here() -> list[str]:
    """The names in the current folder, which one of them may be meant."""
    try:
        return sorted(os.listdir())
    except OSError:
        return []


def _find_file(path: Path) -> Found:
    suffix = path.suffix.lower()
    if not path.is_file():
        raise PthetaError(
            f"{path} is neither a file nor a folder (a pipe, a socket or a device): {GIVE}"
        )
    if suffix in (".npy", ".npz"):
        return Found(f"{suffix} file", lambda request: arrays.read(path, request), whole=True)
    if suffix == ".parquet":
        read = partial(parquet.read, path)
        return Found("parquet file", read, has_columns=_always, whole=True)
    if suffix == ".zip":
        root = archive.open_archive(path)
        return _found_images("zip of images", root)
    if "idx" in path.name:
        return Found("IDX file", lambda request: idx.read(path, request))
    raise PthetaError(f"{path} is not data that is known here: {GIVE}")


def _find_folder(path: Path) -> Found:
    if idx.image_files(path):
        return Found("folder of IDX files", lambda request: idx.read(path, request))
    if saved.is_saved(path):
        read = partial(saved.read, path)
        return Found("folder saved by datasets", read, has_columns=_always, whole=True)
    # deep down only where there are no pictures, of which there may be very many
    root = Folder(path)
    near = any(next(path.glob(p), None) for p in ("*.parquet", "*/*.parquet"))
    if near or (not root.holds_pictures() and holds(path, _is_parquet)):
        read = partial(parquet.read, path)
        return Found("folder of parquet files", read, has_columns=_always, whole=True)
    return _found_images("folder of images", root)


def _found_images(kind: str, root: Tree) -> Found:
    read, columns = partial(folder.read, root), partial(has_tables, root)
    return Found(kind, read, has_columns=columns, whole=True)


def _is_parquet(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(".parquet") and not entry.name.startswith(".")


def _read_embedded(name: str, request: Request) -> tuple[Dataset, Part]:
    if request.split == "val":
        raise PthetaError(
            f"{name} has the splits train and test, not val: "
            "hold images of train out with Dataset.hold_out"
        )
    if name in embedded.CLASSES:
        data = embedded.read(name, request.split)
    else:
        side = int(name.partition("-")[2] or 32)
        data = shapes.read(side, request.split, place=request.cache_dir)
    of_train, of_test = embedded.groups(name, embedded.SIZES[name])
    if request.split == "train":
        data = replace(data, groups=of_train)
    else:
        data = with_repeats(data, np.isin(of_test, of_train), of_test)
    images = resize(data.images, (name, request.split), shapes.VERSION, request)
    if data.masks is not None and images.shape[2:] != data.images.shape[2:]:
        data = replace(data, masks=None)  # of the size that was drawn
    return replace(data, images=images), Part(request.split)
