"""A folder of pictures; its subfolders are the labels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ptheta.data.dataset import Dataset
from ptheta.data.decode import PEEK, SUFFIXES, Source, decode
from ptheta.data.labels import natural
from ptheta.data.request import Request
from ptheta.data.splits import WORDS, Part, choose
from ptheta.errors import PthetaError

File = tuple[str, int, int]  # path relative to its root, bytes, time of change in ns


def pictures(root: Path) -> list[File]:
    """Every picture below root, sorted by path. Hidden files and other files are left out."""
    found: list[File] = []
    seen: set[tuple[int, int]] = set()  # a link may lead back up
    stack = [str(root)]
    while stack:
        try:
            here = os.stat(place := stack.pop())
            if (here.st_dev, here.st_ino) in seen and here.st_ino:
                continue
            seen.add((here.st_dev, here.st_ino))
            entries = list(os.scandir(place))
        except OSError as error:
            raise PthetaError(
                f"cannot read {error.filename}: {error.strerror}; give a folder that you can read"
            ) from None
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                stack.append(entry.path)
            elif entry.name.lower().endswith(SUFFIXES):
                name = os.path.relpath(entry.path, root)
                try:
                    stat = entry.stat()
                    found.append((name, stat.st_size, stat.st_mtime_ns))
                except OSError:  # a link that leads nowhere: decoding reports it
                    found.append((name, -1, 0))
    return sorted(found)


def roots(folder: Path) -> dict[str, Path]:
    """The subfolder of each split; the folder itself as train where it is one collection.

    A subfolder `train` among others that name no split is a class: the one of trains.
    """
    try:
        below = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError as error:
        raise PthetaError(
            f"cannot read {folder}: {error.strerror}; give a folder that you can read"
        ) from None
    found: dict[str, Path] = {}
    for path in below:
        for split, words in WORDS.items():
            if path.name.lower() in words:
                found.setdefault(split, path)
    is_split = "train" in found and (len(found) > 1 or len(below) == 1)
    return found if is_split else {"train": folder}


def read(folder: Path, request: Request) -> tuple[Dataset, Part]:
    """The images of the part of a folder that answers to a split."""
    parts = roots(folder)
    part = choose(request.split, parts, folder)
    root = parts[part.name]
    files = pictures(root)
    training = files if part.name == "train" else pictures(parts["train"])
    if not files:
        raise PthetaError(
            f"{root} holds no images: give a folder with {', '.join(SUFFIXES[:4])} files "
            "(subfolders are labels)"
        )

    def items() -> Iterator[tuple[str, Path]]:
        return ((name, root / name) for name, *_ in files)

    def sample() -> list[Path]:
        some = training or files
        return [parts["train"] / name for name, *_ in some[:: -(-len(some) // PEEK)]]

    source = Source(str(root), str(root.resolve()), (files, training), items, sample)
    decoded = decode(source, request)
    labels, classes = _labels([files[i][0] for i in decoded.kept], files, training, root)
    data = Dataset(
        name=folder.resolve().name,
        split=request.split,
        images=decoded.images,
        labels=labels,
        classes=classes,
        skipped=decoded.skipped,
        notes=decoded.notes,
    )
    return data, part


def _labels(
    kept: list[str], files: list[File], training: list[File], root: Path
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The topmost subfolder of each picture; none where some pictures lie in no subfolder.

    The classes are those of the training part. Raises PthetaError for any other.
    """

    def top(name: str) -> str | None:
        first, inside, _ = name.partition(os.sep)
        return first if inside else None

    if any(top(name) is None for name, *_ in [*files, *training]):
        return None, ()
    classes = sorted({str(top(name)) for name, *_ in training}, key=natural)
    number = {name: i for i, name in enumerate(classes)}
    strange = [name for name in kept if top(name) not in number]
    if strange:
        raise PthetaError(
            f"{root / strange[0]}: no such class among the training images "
            f"({', '.join(classes)}); rename or remove the folder"
        )
    return np.array([number[str(top(name))] for name in kept], dtype=np.int64), tuple(classes)
