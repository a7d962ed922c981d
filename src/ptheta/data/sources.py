"""From a name or a path to a data set: what kind of source it is, and which split."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ptheta.data import EMBEDDED, arrays, embedded, folder, hub, idx, parquet, shapes
from ptheta.data.dataset import Dataset
from ptheta.data.decode import SUFFIXES, resize
from ptheta.data.request import Request
from ptheta.data.splits import SPLITS, Part, divide
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
        `org/name`). A path that exists wins over a name
    split: "train", "val" or "test". Images of train are in no other split. Where the source has
        none held out, a tenth of it is, always the same; where it has one of val and test, that one
        answers to both (`Dataset.notes` says so). Embedded sets have train and test only
    levels, dynamic, seed: see `Dataset`
    size, channels: what images are brought to: size x size pixels, 1 or 3 channels
    max_broken: share of unreadable files above which to give up; below it they are skipped
    cache_dir: where decoded images are kept; default $PTHETA_CACHE or the user's cache folder
    column: the image column of a parquet or hub data set that has several

    Raises PthetaError where the source does not exist, holds no images, or cannot be read.
    """
    place = None if cache_dir is None else Path(cache_dir).expanduser()
    request = Request(split, size, channels, max_broken, column, place)
    _, read = _find(source)
    return divide(*read(request), split).with_levels(levels, dynamic, seed)


class Whole(NamedTuple):
    """images: uint8 (N, C, H, W); notes: on how they were read"""

    images: torch.Tensor
    notes: tuple[str, ...]


def open_whole(source: str | Path, **options: Any) -> Whole:
    """All images of a source, whatever its splits; options as `open_data`'s.

    Raises PthetaError as `open_data` does, and for fewer than two images.
    """
    parts: dict[str, Dataset] = {}
    for split in ("train", "test"):
        data = open_data(source, split, **options)
        if not any(note.startswith("no test split") for note in data.notes):
            parts[split] = data
    if sum(len(data) for data in parts.values()) < 3 and len(parts["train"]) < 2:
        raise PthetaError(f"{source} holds 1 image, too few to measure: give at least two")
    images = torch.cat([data.batch(slice(0, len(data))).x for data in parts.values()])
    return Whole(images, tuple(note for data in parts.values() for note in data.notes))


def _find(source: str | Path) -> tuple[str, Reader]:
    """What kind of source it is, and how to read it."""
    path, name = Path(source).expanduser(), str(source)
    if path.is_dir():
        return _find_folder(path)
    if path.is_file():
        if path.suffix in (".npy", ".npz"):
            return f"{path.suffix} file", lambda request: arrays.read(path, request)
        if path.suffix == ".parquet":
            return "parquet file", lambda request: parquet.read(path, request)
        if "idx" in path.name:
            return "IDX file", lambda request: idx.read(path, request)
        raise PthetaError(
            f"{path} is not data that is known here: "
            "give a folder of images, or an IDX, .npy, .npz or .parquet file"
        )
    if name in EMBEDDED:
        return EMBEDDED_KIND, lambda request: _read_embedded(name, request)
    is_file_name = path.suffix.lower() in (*SUFFIXES, ".npy", ".npz", ".parquet", ".gz")
    if name in hub.ALIASES or (re.fullmatch(r"\w[\w.-]*/[\w.-]+", name) and not is_file_name):
        return "on the hub", lambda request: hub.read(name, request)
    if "/" in name or "\\" in name or path.suffix:
        raise PthetaError(f"no such file or folder: {source}; give a path that exists")
    raise unknown("data", name, [*EMBEDDED, *hub.ALIASES])


def _find_folder(path: Path) -> tuple[str, Reader]:
    if idx.image_files(path):
        return "folder of IDX files", lambda request: idx.read(path, request)
    # deep down only where there are no pictures, of which there may be very many
    near = any(next(path.glob(p), None) for p in ("*.parquet", "*/*.parquet"))
    if near or (not _holds(path, SUFFIXES) and _holds(path, (".parquet",))):
        return "folder of parquet files", lambda request: parquet.read(path, request)
    return "folder of images", lambda request: folder.read(path, request)


def _holds(path: Path, suffixes: tuple[str, ...]) -> bool:
    return any(
        name.lower().endswith(suffixes) and not name.startswith(".")
        for _, _, names in os.walk(path)
        for name in names
    )


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
    images = resize(data.images, (name, request.split), shapes.VERSION, request)
    if data.masks is not None and images.shape[2:] != data.images.shape[2:]:
        data = replace(data, masks=None)  # of the size that was drawn
    return replace(data, images=images), Part(request.split)


def describe(source: str | Path) -> dict[str, Any]:
    """What is known of a source, JSON-ready: kind, size, splits, classes with counts, skipped
    files (all of them listed), notes on how it is read, and suggestions.
    """
    kind, read = _find(source)
    splits = {}
    for split in SPLITS:
        if split == "val" and kind == EMBEDDED_KIND:
            continue
        data, part = read(Request(split, max_broken=1.0))
        if split != "val" or part.name == "val":  # not where test answers for it
            splits[split] = divide(data, part, split)
    train = splits["train"]
    spec = train.spec
    some = train.images[train.rows(slice(None, None, -(-len(train) // 1000)))]
    about: dict[str, Any] = {
        "source": str(source),
        "kind": kind,
        "images": {split: len(data) for split, data in splits.items()},
        "size": f"{spec.channels}x{spec.height}x{spec.width} (channels, height, width)",
        "pixel values": f"{some.min()} to {some.max()}, mean {some.mean():.1f}",
    }
    if train.labels is not None:
        counts = np.bincount(
            train.labels[train.rows(slice(None))], minlength=len(train.classes)
        ).tolist()
        about["classes"] = dict(zip(train.classes, counts, strict=True))
    if train.captions is not None:
        about["captions"] = f"such as {train.captions[int(train.rows([0])[0])]!r}"
    if train.attributes is not None:
        about["attributes"] = list(train.attribute_names)
    skipped = list(dict.fromkeys(line for data in splits.values() for line in data.skipped))
    about["skipped files"] = len(skipped)
    if skipped:
        about["skipped"] = skipped
    notes = dict.fromkeys(note for data in splits.values() for note in data.notes)
    if notes:
        about["notes"] = list(notes)
    if advice := _advice(some, about, train):
        about["suggestions"] = advice
    return about


def _advice(some: np.ndarray, about: dict[str, Any], train: Dataset) -> list[str]:
    """What to mend or to set before training on this. some: up to 1000 images."""
    found = []
    n, values = len(train), np.unique(some)
    if n < 500:
        found.append(f"{n} training images are few: a model may memorise them; give more")
    if len(values) == 1:
        found.append(f"every pixel looked at is {values[0]}: check the files")
    elif len(values) == 2:
        found.append("two pixel values only: add --levels 2 for a binary model")
    if train.spec.channels == 3 and (some == some[:, :1]).all():
        found.append("colour images without colour: add --channels 1")
    counts = about.get("classes", {})
    if counts and min(counts.values()) * 10 < max(counts.values()):
        least = min(counts, key=lambda name: counts[name])
        found.append(f"classes are unbalanced: {least!r} has {counts[least]} training images")
    if about["skipped files"]:
        total = about["skipped files"] + sum(about["images"].values())
        if about["skipped files"] > 0.1 * total:
            found.append("many files cannot be read: mend or remove them, or add --max-broken 1")
        else:
            found.append("mend or remove the files that cannot be read")
    return found
