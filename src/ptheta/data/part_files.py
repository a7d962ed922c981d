"""The pictures of a part of a folder, and what else lies there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath

from ptheta.data.cache import Writer, cached
from ptheta.data.formats import suffixes
from ptheta.data.layout import Root
from ptheta.data.metadata import Metadata, Texts, ancestors_tables, captions_of, text_of
from ptheta.data.names import shown
from ptheta.data.own import DRAWN, drawn
from ptheta.data.pairs.folders import partners
from ptheta.data.pairs.table import FOLDERS
from ptheta.data.request import Request
from ptheta.data.table import no_captions
from ptheta.data.tree import TEXT, File, Listing, Tree, below, count
from ptheta.errors import PthetaError

FEW = 2000  # files up to which it is quicker to look again than to keep the answer
NO_LABEL = (None, "")  # in a cell; a CSV table has no other way to say so
STRAYS = 10  # one of so many pictures may lie outside the class folders


class Files:
    """The pictures of a part: `files` relative to `base`, without those written by ptheta or
    outside the class folders. For two folders of pairs these are the targets, with as many
    `inputs`.
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
        """Add the files below a root; one line per kind of skipped file."""
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
        """One line per class or domain with an empty folder."""
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
        """Skip the few pictures outside the class folders; a line if they are many, in which case
        there are no labels.
        """
        strays = {name for name, top in self.tops.items() if top is None}
        classes = len(set(self.tops.values()) - {None})
        if not strays or not classes or self.metadata.label is not None:
            return ""
        few = len(strays) * STRAYS <= len(self.tops) or (len(strays) == 1 and classes > 1)
        if not few:
            return (
                f"no labels: {count(len(strays), 'picture')} of {len(self.tops)} are not in a "
                "subfolder"
            )
        self.files = [file for file in self.files if file[0] not in strays]
        for name in strays:
            del self.tops[name]
        which = f"{shown(min(strays))}{', ...' if len(strays) > 1 else ''}"
        lines.append(f"{count(len(strays), 'picture')} outside the class folders ({which})")
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

    def captions(self, names: list[str]) -> tuple[Sequence[object] | None, tuple[str, ...]]:
        """Those of pictures, and lines on where they are from and which are missing."""
        if self.metadata.caption is not None:
            found = captions_of([self._row(name) for name in names], self.metadata.caption)
            return found, no_captions(found, names)
        if not self.texts:
            return None, ()
        files = tuple(t if (t := text_of(name)) in self.texts else "" for name in names)
        n = sum(map(bool, files))
        note = f"captions are the {TEXT} files next to the pictures ({n} of {len(names)} have one)"
        return Texts(self.base, files), (note, *no_captions(files, names))

    def table_notes(self) -> tuple[str, ...]:
        there = {os.path.normpath(os.path.join(self._above, name)) for name, *_ in self.files}
        folders = [below(root.path, self.folder) for root in self.roots]
        return self.metadata.notes(there, folders)


def _is_empty(folder: Tree) -> bool:
    """Whether a folder is empty; unreadable ones are reported elsewhere."""
    try:
        return folder.listing() == Listing()
    except PthetaError:
        return False


def _bytes(root: Tree, name: str, most: int | None) -> bytes:
    return root.read(name, most) or b""


def _without_drawn(root: Tree, files: list[File], request: Request) -> tuple[list[File], int]:
    """The files not written by ptheta, and the number of those that were. Reads each once."""
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


def nothing(files: Files) -> str:
    """The message where a part has no picture."""
    if files.left_out:
        return (
            f"{files.base.place} holds no images to use; skipped: "
            f"{'; '.join(files.left_out)}; "
            "give a folder of pictures, or one of these folders itself"
        )
    return (
        f"{files.base.place} holds no images: give a folder with "
        f"{', '.join(suffixes()[:4])} files (subfolders are labels)"
    )
