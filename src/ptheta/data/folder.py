"""A folder of pictures, or an archive of one; its subfolders are the labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ptheta.data.archive import open_archive
from ptheta.data.dataset import Dataset
from ptheta.data.decode import PEEK, RawPairs, RawPictures, Readings, decode_any
from ptheta.data.image_data import ImageDataset
from ptheta.data.labels import Labels, natural, number
from ptheta.data.layout import layout, whole_layout
from ptheta.data.metadata import (
    has_tables,
)
from ptheta.data.names import shown, some_of
from ptheta.data.pairs.halves import half
from ptheta.data.pairs.table import FOLDERS, SIDE_BY_SIDE
from ptheta.data.part_files import Files, nothing
from ptheta.data.picture import Raw
from ptheta.data.reader import SourceReader
from ptheta.data.request import Request
from ptheta.data.splits import Part, choose
from ptheta.data.table import no_labels
from ptheta.data.tree import File, Folder, Tree, below
from ptheta.errors import PthetaError

MOST_KINDS = 12  # kinds of skipped files named in a note


def open_folder(path: Path) -> SourceReader:
    return _reader("folder of images", Folder(path))


def open_archive_of_images(path: Path) -> SourceReader:
    return _reader("zip of images", open_archive(path))


def _reader(kind: str, root: Tree) -> SourceReader:
    read, columns = partial(read_folder, root), partial(has_tables, root)
    return SourceReader(
        kind, read, has_columns=columns, readable_whole=True, pairs=(SIDE_BY_SIDE, FOLDERS)
    )


def read_folder(folder: Tree, request: Request) -> tuple[Dataset, Part]:
    """The images of the part of a folder that answers to a split."""
    parts = _Parts(folder, request)
    part = choose(request.split, parts.layout.parts, folder.place)
    files = parts[part.name]
    if not files.files:
        raise PthetaError(nothing(files))
    decoded = decode_any(*_readings(files, parts["train"], request), request)
    names = [files.files[i][0] for i in decoded.positions]
    labels, classes = parts.labels(names, files)
    captions, of_captions = files.captions(names)
    outside = (f"{below(path, folder)}/: next to the splits" for path in parts.layout.outside)
    left_out = (*files.left_out, *outside)
    notes = [*decoded.notes, parts.layout.note, files.note, *of_captions, *files.table_notes()]
    notes += no_labels(files.metadata.label, labels)
    if left_out:
        notes.append(f"left out: {_in_short(left_out)}")
    data = ImageDataset(
        name=folder.name,
        split=request.split,
        images=decoded.images,
        labels=labels,
        classes=classes,
        files=names,
        captions=captions,
        skipped=decoded.skipped,
        left_out=left_out,
        notes=tuple(filter(None, notes)),
        advice=(*decoded.advice, *_lonely(labels, classes)),
        resized=decoded.resized,
        values=decoded.values,
        palette=decoded.palette,
        inputs=decoded.inputs,
        originals=decoded.originals,
    )
    return data, part


def _readings(files: Files, training: Files, request: Request) -> Readings:
    """The pictures of a part by themselves, and what pairs they may be read as."""

    def whole() -> RawPictures:
        return _pictures(files, files.files, training, training.files, request)

    def halves() -> RawPairs:
        return RawPairs(half(whole(), right=False), half(whole(), right=True))

    def folders() -> RawPairs:
        inputs = _pictures(files, files.inputs, training, training.inputs, request)
        return RawPairs(replace(inputs, identity=(inputs.identity, "inputs")), whole())

    return whole, {SIDE_BY_SIDE: halves, FOLDERS: folders}


def _pictures(
    files: Files,
    named: Sequence[File],
    training: Files,
    of_training: Sequence[File],
    request: Request,
) -> RawPictures:
    """Pictures of a part, to be decoded in the shape that those of training ask for."""

    def items() -> Iterator[tuple[str, Raw]]:
        return ((shown(name), files.base.raw(name)) for name, *_ in named)

    def sample() -> list[Raw]:
        shapes, of = (training, of_training) if of_training else (files, named)
        step = -(-len(of) // PEEK)
        return [shapes.base.raw(name) for name, *_ in of[::step]]

    place = files.base.place
    identity: object = place if len(files.roots) == 1 else files.identity
    identity = (identity, "whole") if request.whole else identity
    return RawPictures(place, identity, (named, of_training), items, sample)


class _Parts:
    """The parts of a folder, by split; each is looked through once."""

    def __init__(self, folder: Tree, request: Request) -> None:
        self.folder, self.request = folder, request
        paired = request.settings.pairs == FOLDERS
        self.layout = whole_layout(folder) if request.whole else layout(folder, paired)
        self._parts: dict[str, Files] = {}

    def __getitem__(self, split: str) -> Files:
        if split not in self._parts:
            self._parts[split] = Files(self.folder, self.layout.parts[split], self.request)
        return self._parts[split]

    def labels(self, names: list[str], files: Files) -> Labels:
        """Those of the table where it has some, else the topmost subfolders."""
        if self.request.whole or (files.inputs and files.metadata.label is None):
            return None, ()
        if files.metadata.label is None:
            return _labels(names, files, self["train"])
        parts = [self[split] for split in self.layout.parts]
        labels = [part.labels([name for name, *_ in part.files]) for part in parts]
        return number(files.labels(names), labels)


def _lonely(labels: np.ndarray | None, classes: tuple[str, ...]) -> tuple[str, ...]:
    """A line where a class or a domain has a single picture."""
    if labels is None:
        return ()
    counts = np.bincount(labels, minlength=len(classes))
    one = [name for name, n in zip(classes, counts, strict=True) if n == 1]
    if not one or counts.max() == 1:
        return ()
    which = some_of(one)
    return (f"1 picture in the folder of {which}: a model would memorise it; add more",)


def _in_short(lines: Sequence[str]) -> str:
    """The first kinds of skipped files, if there are many."""
    more = len(lines) - MOST_KINDS
    return "; ".join(lines if more <= 0 else [*lines[:MOST_KINDS], f"and {more} more kinds"])


def _labels(names: list[str], files: Files, training: Files) -> Labels:
    """The topmost subfolder of each picture; none where some pictures lie in no subfolder.

    The classes are those of the training part. Raises PthetaError for any other.
    """
    if None in files.tops.values() or None in training.tops.values():
        return None, ()
    classes = sorted({str(top) for top in training.tops.values()}, key=natural)
    numbers = {name: i for i, name in enumerate(classes)}
    strange = [name for name in names if files.tops[name] not in numbers]
    if strange:
        raise PthetaError(
            f"{files.base.place}{os.sep}{shown(strange[0])}: no such class among the training "
            f"images ({', '.join(classes)}); rename or remove the folder"
        )
    labels = np.array([numbers[str(files.tops[name])] for name in names], dtype=np.int64)
    return labels, tuple(classes)
