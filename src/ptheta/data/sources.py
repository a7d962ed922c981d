"""From a name or a path to a data set: what kind of source it is, and which split."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.data import EMBEDDED, arrays, embedded, folder, hub, idx, parquet, shapes
from ptheta.data.dataset import Dataset
from ptheta.data.decode import SUFFIXES, refit
from ptheta.errors import PthetaError, unknown

SPLITS = ("train", "test")
HELD_OUT = 10  # every tenth image is the test split of a source that has none
SPLIT_SEED = 0  # fixed, so that training and evaluation agree on which

Read = tuple[Dataset, bool]  # a split, and whether it is all there is, still to be divided


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
) -> Dataset:
    """A split of a data set.

    source: an embedded name (`ptheta.data.EMBEDDED`), a path (a folder of images or of IDX files,
        an IDX, .npy, .npz or .parquet file), or a name on the hub (`mnist`, `org/name`)
    split: "train" or "test"; where the source has no test images, a tenth of it, always the same
    levels, dynamic, seed: see `Dataset`
    size, channels: what images are brought to: size x size pixels, 1 or 3 channels
    max_broken: share of unreadable files above which to give up; below it they are skipped

    Raises PthetaError where the source does not exist, holds no images, or cannot be read.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    if channels not in (None, 1, 3):
        raise PthetaError(f"channels = {channels}: choose 1 (grey) or 3 (colour)")
    _, read = _find(source)
    data, whole = read(split, size, channels, max_broken)
    if whole:
        data = _divide(data, split)
    if size is not None or channels is not None:
        _, c, h, w = data.images.shape
        if (size or h, size or w, channels or c) != (h, w, c):
            data = dataclasses.replace(data, images=refit(data.images, size, channels))
    return data.with_levels(levels, dynamic, seed)


def _find(source: str | Path) -> tuple[str, Callable[..., Read]]:
    """What kind of source it is, and how to read a split of it with (split, size, ...)."""
    path, name = Path(source).expanduser(), str(source)
    if path.is_dir():
        if idx.image_files(path):
            return "folder of IDX files", lambda split, *_: idx.read(path, split)
        if any(path.rglob("*.parquet")):
            return "folder of parquet files", lambda *a: parquet.read(path, *a)
        return "folder of images", lambda *a: folder.read(path, *a)
    if path.is_file():
        if path.suffix in (".npy", ".npz"):
            return f"{path.suffix} file", lambda split, *_: arrays.read(path, split)
        if path.suffix == ".parquet":
            return "parquet file", lambda *a: parquet.read(path, *a)
        if "idx" in path.name:
            return "IDX file", lambda split, *_: idx.read(path, split)
        raise PthetaError(
            f"{path} is not data that is known here: "
            "give a folder of images, or an IDX, .npy, .npz or .parquet file"
        )
    if name in ("digits", "fashion"):
        return "embedded", lambda split, *_: (embedded.read(name, split), False)
    if name in EMBEDDED:
        side = int(name.partition("-")[2] or 32)
        return "embedded, drawn", lambda split, *_: (shapes.read(side, split), False)
    is_file_name = path.suffix.lower() in (*SUFFIXES, ".npy", ".npz", ".parquet", ".gz")
    if name in hub.ALIASES or (re.fullmatch(r"\w[\w.-]*/[\w.-]+", name) and not is_file_name):
        return "on the hub", lambda *a: hub.read(name, *a)
    if "/" in name or "\\" in name or path.suffix:
        raise PthetaError(f"no such file or folder: {source}")
    raise unknown("data", name, [*EMBEDDED, *hub.ALIASES])


def _divide(data: Dataset, split: str) -> Dataset:
    """The training part or the test part of a source without splits."""
    n = len(data)
    if n < 2:  # nothing to divide; training says that one image is too few
        return data
    order = np.random.default_rng(SPLIT_SEED).permutation(n)
    test = max(1, n // HELD_OUT)
    part = order[test:] if split == "train" else order[:test]
    return dataclasses.replace(data.subset(np.sort(part)), split=split)


def describe(source: str | Path) -> dict[str, Any]:
    """What is known of a source: kind, size, splits, classes with counts, skipped files."""
    kind, _ = _find(source)
    splits = {split: open_data(source, split) for split in SPLITS}
    train = splits["train"]
    spec = train.spec
    some = train.images[train.rows(slice(0, 1000))]
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
    skipped = list(dict.fromkeys([*train.skipped, *splits["test"].skipped]))
    about["skipped files"] = len(skipped)
    if skipped:
        about["skipped"] = skipped
    return about
