"""From a name or a path to a data set: what kind of source it is, and which split."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ptheta.data import EMBEDDED, arrays, embedded, folder, hub, idx, parquet, shapes
from ptheta.data.dataset import Dataset
from ptheta.data.decode import SUFFIXES, resize
from ptheta.data.names import is_name
from ptheta.data.request import Request
from ptheta.data.splits import SPLITS, Part, divide, mark_repeats, with_repeats
from ptheta.errors import PthetaError, unknown

EMBEDDED_KIND = "embedded"

Reader = Callable[[Request], tuple[Dataset, Part]]


def open_data(
    source: str | Path,
    split: str = "train",
    *,
    levels: int = 256,
    dynamic: bool = False,
    seed: int = 0,
    size: int | None = None,
    channels: int | None = None,
    max_broken: float = 0.1,
    cache_dir: str | Path | None = None,
    column: str | None = None,
) -> Dataset:
    """A split of a data set.

    source: an embedded name (`ptheta.data.EMBEDDED`), a path (a folder of images, of IDX or of
        parquet files, or an IDX, .npy, .npz or .parquet file), or a name on the hub (`mnist`,
        `org/name`). The name of an embedded set is never a path (`./digits` is); a path that exists
        wins over a name on the hub. `Dataset.notes` says so where both exist
    split: "train", "val" or "test". Images of train are in no other split. Where the source has
        none held out, a tenth of it is, chosen by the pixels of its images; where it has one of val
        and test, that one answers to both (`Dataset.notes` says so). Of at most ten images none is
        held out. Embedded sets have train and test only
    levels, dynamic, seed: see `Dataset`
    size, channels: what images are brought to: size x size pixels, 1 or 3 channels
    max_broken: share of unreadable files above which to give up; below it they are skipped
    cache_dir: where decoded images are kept; default $PTHETA_CACHE or the user's cache folder
    column: the image column of a parquet or hub data set that has several

    Raises PthetaError where the source does not exist, holds no images (of that split), or cannot
    be read.
    """
    place = None if cache_dir is None else Path(cache_dir).expanduser()
    request = Request(split, size, channels, max_broken, column, place)
    found = find(source)
    data, part = found.read(request)
    if part.divide:
        data = divide(data, split, place)
    else:
        data = finished(found, data, part, request)
    notes = (*found.notes, *data.notes)
    return replace(data, notes=notes).with_levels(levels, dynamic, seed)


def finished(found: Found, data: Dataset, part: Part, request: Request) -> Dataset:
    """A part that the source itself tells from the others, as the answer to a split."""
    data = replace(data, split=request.split, notes=(*data.notes, *filter(None, [part.note])))
    if part.name == "train" or data.groups is not None:
        return data
    training, _ = found.read(replace(request, split="train", max_broken=1.0))
    return mark_repeats(data, training, request.cache_dir)


class Whole(NamedTuple):
    """images: uint8 (N, C, H, W); notes: on how they were read"""

    images: torch.Tensor
    notes: tuple[str, ...]


def open_whole(source: str | Path, *, cache_dir: Path | None = None, **options: Any) -> Whole:
    """All images of a source, whatever its splits; options as `open_data`'s.

    Raises PthetaError as `open_data` does, and for fewer than two images.
    """
    found = find(source)
    parts = []
    for split in found.splits:
        data, part = found.read(Request(split, cache_dir=cache_dir, **options))
        if part.name == split:  # another part may answer for it
            parts.append(data)
    if sum(len(data) for data in parts) < 2:
        raise PthetaError(f"{source} holds 1 image, too few to measure: give at least two")
    images = torch.cat([data.batch(slice(0, len(data))).x for data in parts])
    notes = (*found.notes, *(note for data in parts for note in data.notes))
    return Whole(images, tuple(dict.fromkeys(notes)))


@dataclass(frozen=True)
class Found:
    """A source: what kind it is, how to read a part of it, the splits that it can be asked for, and
    what is to be said of how it was found.
    """

    kind: str
    read: Reader
    splits: tuple[str, ...] = SPLITS
    notes: tuple[str, ...] = ()


def find(source: str | Path) -> Found:
    """What a name or a path stands for. Raises PthetaError where it is nothing that is known."""
    path, text = Path(source).expanduser(), str(source)
    if is_name(source) or not path.exists():
        found = _find_name(text, isinstance(source, Path))
        if is_name(source) and path.exists():
            note = f"{text} is the data set of that name, not the folder or file ./{text}"
            found = replace(found, notes=(note,))
        return found
    found = _find_folder(path) if path.is_dir() else _find_file(path)
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
    is_file_name = suffix.lower() in (*SUFFIXES, ".npy", ".npz", ".parquet", ".gz")
    on_hub = name in hub.ALIASES or re.fullmatch(r"\w[\w.-]*/[\w.-]+", name)
    if on_hub and not is_file_name:
        return Found("on the hub", lambda request: hub.read(name, request))
    if is_path or "/" in name or "\\" in name or suffix:
        raise PthetaError(f"no such file or folder: {name}; give a path that exists")
    raise unknown("data", name, [*EMBEDDED, *hub.ALIASES])


def _find_file(path: Path) -> Found:
    if path.suffix in (".npy", ".npz"):
        return Found(f"{path.suffix} file", lambda request: arrays.read(path, request))
    if path.suffix == ".parquet":
        return Found("parquet file", lambda request: parquet.read(path, request))
    if "idx" in path.name:
        return Found("IDX file", lambda request: idx.read(path, request))
    raise PthetaError(
        f"{path} is not data that is known here: "
        "give a folder of images, or an IDX, .npy, .npz or .parquet file"
    )


def _find_folder(path: Path) -> Found:
    if idx.image_files(path):
        return Found("folder of IDX files", lambda request: idx.read(path, request))
    # deep down only where there are no pictures, of which there may be very many
    near = any(next(path.glob(p), None) for p in ("*.parquet", "*/*.parquet"))
    if near or (not folder.holds(path, SUFFIXES) and folder.holds(path, (".parquet",))):
        return Found("folder of parquet files", lambda request: parquet.read(path, request))
    return Found("folder of images", lambda request: folder.read(path, request))


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
