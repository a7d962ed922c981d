"""A folder of pictures, or an archive of one; its subfolders are the labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath

import numpy as np

from ptheta.data.archive import open_archive
from ptheta.data.cache import Writer, cached
from ptheta.data.dataset import Dataset
from ptheta.data.decode import PEEK, RawPairs, RawPictures, Readings, decode_any
from ptheta.data.formats import suffixes
from ptheta.data.image_data import ImageDataset
from ptheta.data.labels import Labels, natural, number
from ptheta.data.layout import Root, layout, whole_layout
from ptheta.data.metadata import (
    Metadata,
    Texts,
    ancestors_tables,
    captions_of,
    has_tables,
    text_of,
)
from ptheta.data.names import shortened, shown
from ptheta.data.own import DRAWN, drawn
from ptheta.data.pairs.folders import partners
from ptheta.data.pairs.halves import half
from ptheta.data.pairs.table import FOLDERS, SIDE_BY_SIDE
from ptheta.data.picture import Raw
from ptheta.data.reader import SourceReader
from ptheta.data.request import Request
from ptheta.data.splits import Part, choose
from ptheta.data.table import no_labels
from ptheta.data.tree import TEXT, File, Folder, Listing, Tree, below, count
from ptheta.errors import PthetaError

FEW = 2000  # files up to which it is quicker to look again than to keep the answer
MOST_KINDS = 12  # of what is left out, named in a note
NO_LABEL = (None, "")  # in a cell; a CSV table has no other way to say so
STRAYS = 10  # of so many pictures one may lie beside the folders of classes


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
        raise PthetaError(_nothing(files))
    decoded = decode_any(*_readings(files, parts["train"], request), request)
    names = [files.files[i][0] for i in decoded.positions]
    labels, classes = parts.labels(names, files)
    captions, captions_note = files.captions(names)
    beside = (f"{below(path, folder)}/: beside the splits" for path in parts.layout.beside)
    left_out = (*files.left_out, *beside)
    notes = [*decoded.notes, parts.layout.note, files.note, captions_note, *files.table_notes()]
    notes += no_labels(files.metadata.label, labels)
    if left_out:
        notes.append(f"left out: {_in_short(left_out)}")
    data = ImageDataset(
        name=folder.name,
        split=request.split,
        images=decoded.images,
        labels=labels,
        classes=classes,
        captions=captions,
        skipped=decoded.skipped,
        left_out=left_out,
        notes=tuple(filter(None, notes)),
        advice=(*decoded.advice, *_lonely(labels, classes)),
        resized=decoded.resized,
        values=decoded.values,
        palette=decoded.palette,
        inputs=decoded.inputs,
    )
    return data, part


def _readings(files: _Files, training: _Files, request: Request) -> Readings:
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
    files: _Files,
    named: Sequence[File],
    training: _Files,
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
        self._parts: dict[str, _Files] = {}

    def __getitem__(self, split: str) -> _Files:
        if split not in self._parts:
            self._parts[split] = _Files(self.folder, self.layout.parts[split], self.request)
        return self._parts[split]

    def labels(self, names: list[str], files: _Files) -> Labels:
        """Those of the table where it has some, else the topmost subfolders."""
        if self.request.whole or (files.inputs and files.metadata.label is None):
            return None, ()
        if files.metadata.label is None:
            return _labels(names, files, self["train"])
        parts = [self[split] for split in self.layout.parts]
        labels = [part.labels([name for name, *_ in part.files]) for part in parts]
        return number(files.labels(names), labels)


class _Files:
    """The pictures of a part: `files` relative to `base`, without what ptheta drew and what lies
    beside the folders of classes. Of two folders of pairs these are the targets, and `inputs` are
    as many.
    """

    def __init__(self, folder: Tree, roots: Sequence[Root], request: Request) -> None:
        self.folder, self.roots = folder, roots
        self.base = roots[0].path if len(roots) == 1 else folder
        self.identity = [root.path.place for root in roots]
        self.files: list[File] = []
        self.inputs: list[File] = []
        self.tops: dict[str, str | None] = {}  # the label of each file
        self.inner: dict[str, str] = {}  # its path below the folder of that label
        self.texts: set[str] = set()
        self.metadata = Metadata()
        self._above = below(self.base, folder)
        lines: list[str] = []
        for table in ancestors_tables(self.base, folder):
            self.metadata.add(folder, table, ".", request)
        for root in roots:
            lines += self._look(root, request)
            lines += self._empty(root)
        self.metadata.choose(request)
        self.note = "" if request.whole else self._leave_strays(lines)
        if request.settings.pairs == FOLDERS and self.files:
            self._pair(lines)
        self.left_out = tuple(dict.fromkeys(lines))

    def _look(self, root: Root, request: Request) -> list[str]:
        """Adds what lies below a root; a line for each kind of what is left out."""
        listing = root.path.listing()
        pictures, n = _without_drawn(root.path, listing.pictures, request)
        before = below(root.path, self.base)
        for name, *state in pictures:
            first, *inside = PurePath(name).parts
            longer = os.path.normpath(os.path.join(before, name))
            self.files.append((longer, state[0], state[1]))
            self.tops[longer] = root.label or (shown(first) if inside else None)
            self.inner[longer] = name if root.label else os.path.join("", *inside)
        for table in listing.tables:
            self.metadata.add(root.path, table, os.path.join(self._above, before), request)
        captions = listing.texts and listing.texts & {text_of(name) for name, *_ in pictures}
        self.texts |= {os.path.normpath(os.path.join(before, name)) for name in captions}
        listing.others[TEXT] -= len(captions)
        by_ptheta = [f"{count(n, 'picture')} drawn by ptheta"] if n else []
        return [*listing.left_out(), *by_ptheta]

    def _empty(self, root: Root) -> list[str]:
        """A line for each class or domain in whose folder there is nothing."""
        if root.label is not None:
            full = root.label in self.tops.values()
            return [] if full else [f"{below(root.path, self.folder)}/: no pictures"]
        tops = set(self.tops.values())
        return [
            f"{below(path, self.folder)}/: empty"
            for path in root.path.folders()
            if shown(path.name) not in tops and _is_empty(path)
        ]

    def _leave_strays(self, lines: list[str]) -> str:
        """Leaves out the few pictures that lie beside folders of classes; a line where they are
        not few, so that there are no labels.
        """
        strays = {name for name, top in self.tops.items() if top is None}
        classes = len(set(self.tops.values()) - {None})
        if not strays or not classes or self.metadata.label is not None:
            return ""
        few = len(strays) * STRAYS <= len(self.tops) or (len(strays) == 1 and classes > 1)
        if not few:
            return (
                f"no labels: {count(len(strays), 'picture')} of {len(self.tops)} lie in no "
                "subfolder"
            )
        self.files = [file for file in self.files if file[0] not in strays]
        for name in strays:
            del self.tops[name]
        which = f"{shown(min(strays))}{', ...' if len(strays) > 1 else ''}"
        lines.append(f"{count(len(strays), 'picture')} beside the folders of classes ({which})")
        return ""

    def _pair(self, lines: list[str]) -> None:
        """Keeps the pictures that have a partner in the other of two folders."""
        found = partners(self.files, self.tops, self.inner, self.base.place)
        self.inputs, self.files = found.inputs, found.targets
        lines += filter(None, [found.alone])

    def _row(self, name: str) -> dict[str, object]:
        return self.metadata.rows.get(os.path.normpath(os.path.join(self._above, name)), {})

    def labels(self, names: list[str]) -> list[object]:
        """Those of pictures in the table; None where there is none."""
        assert self.metadata.label is not None
        cells = [self._row(name).get(self.metadata.label) for name in names]
        return [None if cell in NO_LABEL else cell for cell in cells]

    def captions(self, names: list[str]) -> tuple[Sequence[str] | None, str]:
        """Those of pictures, and a line on where they are from, or none."""
        if self.metadata.caption is not None:
            return captions_of([self._row(name) for name in names], self.metadata.caption), ""
        if not self.texts:
            return None, ""
        files = tuple(t if (t := text_of(name)) in self.texts else "" for name in names)
        n = sum(map(bool, files))
        note = f"captions are the {TEXT} files beside the pictures ({n} of {len(names)} have one)"
        return Texts(self.base, files), note

    def table_notes(self) -> tuple[str, ...]:
        there = {os.path.normpath(os.path.join(self._above, name)) for name, *_ in self.files}
        folders = [below(root.path, self.folder) for root in self.roots]
        return self.metadata.notes(there, folders)


def _is_empty(folder: Tree) -> bool:
    """Whether there is nothing in a folder; one that cannot be read is told of elsewhere."""
    try:
        return folder.listing() == Listing()
    except PthetaError:
        return False


def _lonely(labels: np.ndarray | None, classes: tuple[str, ...]) -> tuple[str, ...]:
    """A line where a class or a domain has a single picture."""
    if labels is None:
        return ()
    counts = np.bincount(labels, minlength=len(classes))
    one = [name for name, n in zip(classes, counts, strict=True) if n == 1]
    if not one or counts.max() == 1:
        return ()
    which = shortened(", ".join(one))
    return (f"1 picture in the folder of {which}: a model would know it by heart; give more",)


def _in_short(lines: Sequence[str]) -> str:
    """The first of many kinds of what is left out."""
    more = len(lines) - MOST_KINDS
    return "; ".join(lines if more <= 0 else [*lines[:MOST_KINDS], f"and {more} more kinds"])


def _bytes(root: Tree, name: str, most: int | None) -> bytes:
    return root.read(name, most) or b""


def _without_drawn(root: Tree, files: list[File], request: Request) -> tuple[list[File], int]:
    """The files that ptheta did not draw, and how many it did. Each is looked at once."""
    like = [file for file in files if file[0].lower().endswith(DRAWN)]

    def look(writer: Writer | None = None) -> _Drawn:
        return _Drawn(
            [i for i, (name, *_) in enumerate(like) if drawn(partial(_bytes, root, name))]
        )

    if len(like) <= FEW:
        seen = look()
    else:
        identity = ("drawn", root.place)
        seen = cached(request.cache_dir, identity, like, look, _Drawn).about
    by_ptheta = {like[i][0] for i in seen.positions}
    return [file for file in files if file[0] not in by_ptheta], len(by_ptheta)


@dataclass(frozen=True)
class _Drawn:
    """The positions of pictures that ptheta drew."""

    positions: list[int]


def _nothing(files: _Files) -> str:
    """The message where a part has no picture."""
    if files.left_out:
        return (
            f"{files.base.place} holds no images that are data: left out are "
            f"{'; '.join(files.left_out)}; "
            "give a folder of pictures, or one of these folders itself"
        )
    return (
        f"{files.base.place} holds no images: give a folder with "
        f"{', '.join(suffixes()[:4])} files (subfolders are labels)"
    )


def _labels(names: list[str], files: _Files, training: _Files) -> Labels:
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
