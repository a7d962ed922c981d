"""A folder of pictures; its subfolders are the labels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ptheta.data.dataset import Dataset
from ptheta.data.decode import SUFFIXES, decode
from ptheta.errors import PthetaError

# what the subfolders of each split may be called; a missing test split is held out
SPLITS = {"train": ("train", "training"), "test": ("test", "testing", "val", "valid", "validation")}


def pictures(root: Path) -> list[tuple[str, int, int]]:
    """(path relative to root, bytes, time of change) of every picture below it, sorted."""
    found = []
    stack = [str(root)]
    while stack:
        try:
            entries = list(os.scandir(stack.pop()))
        except OSError as error:
            raise PthetaError(f"cannot read {error.filename}: {error.strerror}") from None
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                stack.append(entry.path)
            elif entry.name.lower().endswith(SUFFIXES):
                stat = entry.stat()
                found.append((os.path.relpath(entry.path, root), stat.st_size, stat.st_mtime_ns))
    return sorted(found)


def roots(folder: Path) -> dict[str, Path]:
    """The subfolder of each split; empty where the folder is one collection."""
    found: dict[str, Path] = {}
    for split, names in SPLITS.items():
        for name in names:
            if (folder / name).is_dir():
                found.setdefault(split, folder / name)
    return found if "train" in found else {}


def read(
    folder: Path, split: str, size: int | None, channels: int | None, max_broken: float
) -> tuple[Dataset, bool]:
    """The images of a split, and whether they are the whole collection, still to be divided."""
    parts = roots(folder)
    root = parts.get(split, parts.get("train", folder))
    files = pictures(root)
    if not files:
        raise PthetaError(
            f"{root} holds no images: give a folder with {', '.join(SUFFIXES[:4])} files "
            "(subfolders are labels)"
        )

    def items() -> Iterator[tuple[str, Path]]:
        return ((name, root / name) for name, *_ in files)

    key = (str(root.resolve()), tuple(files))
    stored = decode(str(root), key, items, size, channels, max_broken)
    kept = [files[i][0] for i in stored.about["rows"]]
    tops = [Path(name).parts[0] if len(Path(name).parts) > 1 else None for name in kept]
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    if None not in tops:
        # the labels of a test split are those of the training split
        reference = pictures(parts["train"]) if parts else files
        classes = tuple(sorted({Path(name).parts[0] for name, *_ in reference}))
        strange = sorted({str(top) for top in tops} - set(classes))
        if strange:
            raise PthetaError(f"{root / strange[0]}: no such class among {', '.join(classes)}")
        labels = np.array([classes.index(str(top)) for top in tops], dtype=np.int64)
    data = Dataset(
        name=folder.resolve().name,
        split=split,
        images=stored.arrays["images"],
        labels=labels,
        classes=classes,
        skipped=tuple(stored.about["skipped"]),
    )
    return data, split not in parts
