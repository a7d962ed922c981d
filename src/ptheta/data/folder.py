"""A folder of pictures, or an archive of one; its subfolders are the labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePath
from typing import Any

import numpy as np

from ptheta.data.cache import Writer, cached
from ptheta.data.dataset import Dataset
from ptheta.data.decode import PEEK, Source, decode
from ptheta.data.formats import suffixes
from ptheta.data.labels import Labels, natural, number
from ptheta.data.layout import Layout, Root, layout, whole_layout
from ptheta.data.metadata import Texts, Told, ancestors_tables, captions_of, text_of
from ptheta.data.names import shown
from ptheta.data.own import DRAWN, drawn
from ptheta.data.picture import Raw
from ptheta.data.request import Request
from ptheta.data.splits import Part, choose
from ptheta.data.table import no_labels
from ptheta.data.tree import TEXT, File, Tree, count
from ptheta.errors import PthetaError

FEW = 2000  # files up to which it is quicker to look again than to keep the answer
MOST_KINDS = 12  # of what is left out, named in a note
STRAYS = 10  # of so many pictures one may lie beside the folders of classes


def read(folder: Tree, request: Request) -> tuple[Dataset, Part]:
    """The images of the part of a folder that answers to a split."""
    plan = whole_layout(folder) if request.whole else layout(folder)
    whole = _Whole(folder, plan, request)
    part = choose(request.split, whole.plan.parts, folder.place)
    mine, training = whole.part(part.name), whole.part("train")
    if not mine.files:
        raise PthetaError(_nothing(mine))
    beside = tuple(f"{path.below(folder)}/: beside the splits" for path in whole.plan.beside)

    def items() -> Iterator[tuple[str, Raw]]:
        return ((shown(name), mine.base.raw(name)) for name, *_ in mine.files)

    def sample() -> list[Raw]:
        some = training if training.files else mine
        return [some.base.raw(name) for name, *_ in some.files[:: -(-len(some.files) // PEEK)]]

    places: Any = mine.base.place if len(mine.roots) == 1 else mine.identity
    places = (places, "whole") if request.whole else places
    source = Source(mine.base.place, places, (mine.files, training.files), items, sample)
    decoded = decode(source, request)
    kept = [mine.files[i][0] for i in decoded.kept]
    labels, classes = whole.labels(kept, mine)
    captions, told = mine.captions(kept)
    left_out = (*mine.left_out, *beside)
    notes = [*decoded.notes, whole.plan.note, mine.note, *told, *mine.told_notes()]
    notes += no_labels(mine.told.label, labels)
    if left_out:
        notes.append(f"left out: {_in_short(left_out)}")
    data = Dataset(
        name=folder.name,
        split=request.split,
        images=decoded.images,
        labels=labels,
        classes=classes,
        captions=captions,
        skipped=decoded.skipped,
        left_out=left_out,
        notes=tuple(filter(None, notes)),
        advice=decoded.advice,
        resized=decoded.resized,
        values=decoded.values,
    )
    return data, part


class _Whole:
    """A folder with its splits."""

    def __init__(self, folder: Tree, plan: Layout, request: Request) -> None:
        self.folder, self.plan, self.request = folder, plan, request
        self._parts: dict[str, _Files] = {}

    def part(self, name: str) -> _Files:
        """The pictures of a split, looked for once."""
        if name not in self._parts:
            self._parts[name] = _Files(self.folder, self.plan.parts[name], self.request)
        return self._parts[name]

    def labels(self, kept: list[str], mine: _Files) -> Labels:
        """Those of the table where it has some, else the topmost subfolders."""
        if self.request.whole:
            return None, ()
        if mine.told.label is None:
            return _labels(kept, mine, self.part("train"))
        every = [self.part(name) for name in self.plan.parts]
        values = [some.values([name for name, *_ in some.files]) for some in every]
        return number(mine.values(kept), values)


class _Files:
    """The pictures of a part: `files` relative to `base`, without what ptheta drew and what lies
    beside the folders of classes.
    """

    def __init__(self, folder: Tree, roots: Sequence[Root], request: Request) -> None:
        self.folder, self.roots = folder, roots
        self.base = roots[0].path if len(roots) == 1 else folder
        self.identity = [root.path.place for root in roots]
        self.files: list[File] = []
        self.tops: dict[str, str | None] = {}  # the label of each file
        self.texts: set[str] = set()
        self.told = Told()
        self._above = self.base.below(folder)
        lines: list[str] = []
        for table in ancestors_tables(self.base, folder):
            self.told.add(folder, table, ".", request)
        for root in roots:
            lines += self._look(root, request)
        self.told.choose(request)
        self.note = "" if request.whole else self._leave_strays(lines)
        self.left_out = tuple(dict.fromkeys(lines))

    def _look(self, root: Root, request: Request) -> list[str]:
        """Adds what lies below a root; a line for each kind of what is left out."""
        found = root.path.listing()
        kept, n = _without_drawn(root.path, found.pictures, request)
        before = root.path.below(self.base)
        for name, *state in kept:
            first, *inside = PurePath(name).parts
            longer = os.path.normpath(os.path.join(before, name))
            self.files.append((longer, state[0], state[1]))
            self.tops[longer] = root.label or (shown(first) if inside else None)
        for table in found.tables:
            self.told.add(root.path, table, os.path.join(self._above, before), request)
        captions = {text_of(name) for name, *_ in kept} & found.texts if found.texts else set()
        self.texts |= {os.path.normpath(os.path.join(before, name)) for name in captions}
        found.others[TEXT] -= len(captions)
        found.others += type(found.others)()  # drops what is zero
        drew = [f"{count(n, 'picture')} drawn by ptheta"] if n else []
        return [*found.left_out(), *drew]

    def _leave_strays(self, lines: list[str]) -> str:
        """Leaves out the few pictures that lie beside folders of classes; a line where they are
        not few, so that there are no labels.
        """
        strays = {name for name, top in self.tops.items() if top is None}
        classes = len(set(self.tops.values()) - {None})
        if not strays or not classes or self.told.label is not None:
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
        some = f"{shown(min(strays))}{', ...' if len(strays) > 1 else ''}"
        lines.append(f"{count(len(strays), 'picture')} beside the folders of classes ({some})")
        return ""

    def _row(self, name: str) -> dict[str, Any]:
        return self.told.rows.get(os.path.normpath(os.path.join(self._above, name)), {})

    def values(self, names: list[str]) -> list[Any]:
        """The labels of pictures in the table."""
        assert self.told.label is not None
        found = [self._row(name).get(self.told.label) for name in names]
        return [None if value == "" else value for value in found]  # an empty cell of a CSV table

    def captions(self, names: list[str]) -> tuple[Sequence[str] | None, tuple[str, ...]]:
        """Those of pictures, and a line on where they are from."""
        if self.told.caption is not None:
            return captions_of([self._row(name) for name in names], self.told.caption), ()
        if not self.texts:
            return None, ()
        files = tuple(t if (t := text_of(name)) in self.texts else "" for name in names)
        n = sum(map(bool, files))
        return Texts(self.base, files), (
            f"captions are the {TEXT} files beside the pictures ({n} of {len(names)} have one)",
        )

    def told_notes(self) -> tuple[str, ...]:
        there = {os.path.normpath(os.path.join(self._above, name)) for name, *_ in self.files}
        mine = [root.path.below(self.folder) for root in self.roots]
        return self.told.notes(there, mine)


def _in_short(lines: Sequence[str]) -> str:
    """The first of many kinds of what is left out."""
    more = len(lines) - MOST_KINDS
    return "; ".join(lines if more <= 0 else [*lines[:MOST_KINDS], f"and {more} more kinds"])


def _bytes(root: Tree, name: str, most: int | None) -> bytes:
    return root.read(name, most) or b""


def _without_drawn(root: Tree, files: list[File], request: Request) -> tuple[list[File], int]:
    """The files that ptheta did not draw, and how many it did. Each is looked at once."""
    like = [file for file in files if file[0].lower().endswith(DRAWN)]

    def found() -> list[str]:
        return [name for name, *_ in like if drawn(partial(_bytes, root, name))]

    def build(writer: Writer) -> dict[str, Any]:
        return {"drawn": found()}

    if len(like) <= FEW:
        own = set(found())
    else:
        own = set(cached(request.cache_dir, ("drawn", root.place), like, build).about["drawn"])
    return [file for file in files if file[0] not in own], len(own)


def _nothing(mine: _Files) -> str:
    """The message where a part has no picture."""
    if mine.left_out:
        return (
            f"{mine.base.place} holds no images that are data: left out are "
            f"{'; '.join(mine.left_out)}; "
            "give a folder of pictures, or one of these folders itself"
        )
    return (
        f"{mine.base.place} holds no images: give a folder with "
        f"{', '.join(suffixes()[:4])} files (subfolders are labels)"
    )


def _labels(kept: list[str], mine: _Files, training: _Files) -> Labels:
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
            f"{mine.base.place}{os.sep}{shown(strange[0])}: no such class among the training "
            f"images ({', '.join(classes)}); rename or remove the folder"
        )
    return np.array([number[str(mine.tops[name])] for name in kept], dtype=np.int64), tuple(classes)
