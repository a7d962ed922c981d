"""A folder of pictures; its subfolders are the labels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.data.cache import Writer, cached
from ptheta.data.dataset import Dataset
from ptheta.data.decode import PEEK, SUFFIXES, Source, decode
from ptheta.data.labels import natural
from ptheta.data.layout import Root, is_junk, layout
from ptheta.data.own import JUNK_FILES, drawn, written
from ptheta.data.request import Request
from ptheta.data.splits import Part, choose
from ptheta.errors import PthetaError

FEW = 2000  # files up to which it is quicker to look again than to keep the answer
MOST_NAMED = 10  # folders left out that are named one by one

File = tuple[str, int, int]  # path relative to its root, bytes, time of change in ns


@dataclass
class Listing:
    """Pictures sorted by path, and what else there is: files by their suffix, and folders with what
    they are.
    """

    pictures: list[File] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    folders: dict[str, str] = field(default_factory=dict)

    def left_out(self) -> tuple[str, ...]:
        """A line for each kind of what is no picture."""
        named = [f"{name}/: {what}" for name, what in sorted(self.folders.items())]
        if len(named) > MOST_NAMED:
            named = [*named[:MOST_NAMED], f"{len(named) - MOST_NAMED} more such folders"]
        files = [
            f"{n} file{'s' * (n > 1)} {f'of suffix {suffix}' if suffix else 'without a suffix'}"
            for suffix, n in sorted(self.others.items())
        ]
        return (*files, *named)


def listing(root: Path) -> Listing:
    """What lies below root. Hidden files, and what is in folders that are left out, is nothing."""
    found = Listing()
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
            name = os.path.relpath(entry.path, root)
            if entry.is_dir():
                if what := _is_no_data(entry):
                    found.folders[name] = what
                elif not entry.name.startswith("."):
                    stack.append(entry.path)
            elif entry.name.startswith(".") or entry.name.lower() in JUNK_FILES:
                continue
            elif entry.name.lower().endswith(SUFFIXES):
                try:
                    stat = entry.stat()
                    found.pictures.append((name, stat.st_size, stat.st_mtime_ns))
                except OSError:  # a link that leads nowhere: decoding reports it
                    found.pictures.append((name, -1, 0))
            else:
                found.others[Path(entry.name).suffix.lower()] += 1
    found.pictures.sort()
    return found


def _is_no_data(entry: os.DirEntry[str]) -> str | None:
    """Why a folder is left out; None where it is not, or is hidden."""
    if entry.name.startswith("."):
        return None
    if is_junk(entry.name):
        return "of the operating system"
    what = written(Path(entry.path))
    return f"{what}, written by ptheta" if what else None


def holds(root: Path, suffixes: tuple[str, ...] = SUFFIXES) -> bool:
    """Whether there is a file of such a suffix below root that may be data."""
    for place, below, names in os.walk(root):
        below[:] = [n for n in below if not is_junk(n) and written(Path(place, n)) is None]
        if any(n.lower().endswith(suffixes) and not n.startswith(".") for n in names):
            return True
    return False


def read(folder: Path, request: Request) -> tuple[Dataset, Part]:
    """The images of the part of a folder that answers to a split."""
    plan = layout(folder, holds)
    part = choose(request.split, plan.parts, folder)
    mine = _Files(folder, plan.parts[part.name], request)
    training = mine if part.name == "train" else _Files(folder, plan.parts["train"], request)
    if not mine.files:
        raise PthetaError(_nothing(mine))
    beside = tuple(f"{path.relative_to(folder)}/: beside the splits" for path in plan.beside)

    def items() -> Iterator[tuple[str, Path]]:
        return ((name, mine.base / name) for name, *_ in mine.files)

    def sample() -> list[Path]:
        some = training if training.files else mine
        return [some.base / name for name, *_ in some.files[:: -(-len(some.files) // PEEK)]]

    places = str(mine.base.resolve()) if len(mine.roots) == 1 else mine.identity
    source = Source(str(mine.base), places, (mine.files, training.files), items, sample)
    decoded = decode(source, request)
    labels, classes = _labels([mine.files[i][0] for i in decoded.kept], mine, training)
    data = Dataset(
        name=folder.resolve().name,
        split=request.split,
        images=decoded.images,
        labels=labels,
        classes=classes,
        skipped=decoded.skipped,
        left_out=(*mine.left_out, *beside),
        notes=(*decoded.notes, *filter(None, [plan.note])),
    )
    return data, part


class _Files:
    """The pictures of a part: `files` relative to `base`, without what ptheta drew."""

    def __init__(self, folder: Path, roots: Sequence[Root], request: Request) -> None:
        self.roots = roots
        self.base = roots[0].path if len(roots) == 1 else folder
        self.identity = [str(root.path.resolve()) for root in roots]
        self.files: list[File] = []
        self.tops: dict[str, str | None] = {}  # the label of each file
        lines: list[str] = []
        for root in roots:
            found = listing(root.path)
            kept, n = _without_drawn(root.path, found.pictures, request)
            before = os.path.relpath(root.path, self.base)
            for name, *state in kept:
                first, inside, _ = name.partition(os.sep)
                longer = os.path.normpath(os.path.join(before, name))
                self.files.append((longer, state[0], state[1]))
                self.tops[longer] = root.label or (first if inside else None)
            lines += found.left_out()
            if n:
                lines.append(f"{n} picture{'s' * (n > 1)} drawn by ptheta")
        self.left_out = tuple(dict.fromkeys(lines))


def _without_drawn(root: Path, files: list[File], request: Request) -> tuple[list[File], int]:
    """The files that ptheta did not draw, and how many it did. Each is looked at once."""
    pngs = [file for file in files if file[0].lower().endswith(".png")]

    def build(writer: Writer) -> dict[str, Any]:
        return {"drawn": [name for name, *_ in pngs if drawn(root / name)]}

    if len(pngs) <= FEW:
        own = {name for name, *_ in pngs if drawn(root / name)}
    else:
        identity = ("drawn", str(root.resolve()))
        own = set(cached(request.cache_dir, identity, pngs, build).about["drawn"])
    return [file for file in files if file[0] not in own], len(own)


def _nothing(mine: _Files) -> str:
    """The message where a part has no picture."""
    if mine.left_out:
        return (
            f"{mine.base} holds no images that are data: left out are {'; '.join(mine.left_out)}; "
            "give a folder of pictures, or one of these folders itself"
        )
    return (
        f"{mine.base} holds no images: give a folder with {', '.join(SUFFIXES[:4])} files "
        "(subfolders are labels)"
    )


def _labels(
    kept: list[str], mine: _Files, training: _Files
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The topmost subfolder of each picture; none where some pictures lie in no subfolder.

    The classes are those of the training part. Raises PthetaError for any other.
    """
    if None in mine.tops.values() or None in training.tops.values():
        return None, ()
    classes = sorted({str(top) for top in training.tops.values()}, key=natural)
    number = {name: i for i, name in enumerate(classes)}
    strange = [name for name in kept if mine.tops[name] not in number]
    if strange:
        raise PthetaError(
            f"{mine.base / strange[0]}: no such class among the training images "
            f"({', '.join(classes)}); rename or remove the folder"
        )
    return np.array([number[str(mine.tops[name])] for name in kept], dtype=np.int64), tuple(classes)
