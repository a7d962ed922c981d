"""Folders and files below one place: what there is, for a folder on disk and an archive alike."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Protocol

from ptheta.data.formats import looks_so, named_so
from ptheta.data.names import shown
from ptheta.data.own import JUNK_FILES, JUNK_FOLDERS, written
from ptheta.data.picture import Raw
from ptheta.errors import PthetaError

MOST_NAMED = 10  # folders left out that are named one by one
HEAD = 16  # bytes by which a picture without a suffix is known
TABLES = ("metadata.jsonl", "metadata.csv")  # metadata files of pictures
TEXT = ".txt"  # a caption, where a picture has the same stem

File = tuple[str, int, int]  # path relative to its root, bytes, time of change in ns or checksum


@dataclass
class Listing:
    """The pictures of a folder, sorted by path, and its other content.

    texts, tables: paths of captions and of metadata tables
    others: other files by suffix; odd: special files, or links to content that is already read, by
        type
    folders: skipped folders, with their type
    """

    pictures: list[File] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    tables: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)
    folders: dict[str, str] = field(default_factory=dict)

    def left_out(self) -> tuple[str, ...]:
        """One line per kind of content that is not a picture."""
        named = [f"{shown(name)}/: {what}" for name, what in sorted(self.folders.items())]
        if len(named) > MOST_NAMED:
            named = [*named[:MOST_NAMED], f"{len(named) - MOST_NAMED} more such folders"]
        files = [
            f"{count(n, 'file')} {f'of suffix {shown(suffix)}' if suffix else 'without a suffix'}"
            for suffix, n in sorted(self.others.items())
            if n
        ]
        odd = [count(n, what) for what, n in sorted(self.odd.items())]
        return (*files, *odd, *named)

    def add(self, name: str, state: tuple[int, int], head: Callable[[], bytes]) -> None:
        """A file, possibly hidden. head: its first bytes, read if the name is not conclusive"""
        last = os.path.basename(name)
        suffix = os.path.splitext(last)[1].lower()
        if last.startswith(".") or last.lower() in JUNK_FILES:
            return
        if named_so(last) or (not suffix and looks_so(head())):
            self.pictures.append((name, *state))
        elif last in TABLES:
            self.tables.append(name)
        else:
            self.others[suffix] += 1
            if suffix == TEXT:
                self.texts.add(name)


class Tree(Protocol):
    """A folder on disk or in an archive."""

    @property
    def name(self) -> str: ...

    @property
    def place(self) -> str:
        """Its path, for messages and as its identity."""

    @property
    def inside(self) -> PurePath:
        """Its path as it was given, or in the archive."""

    def folders(self) -> list[Tree]:
        """The subfolders that may hold data, by name."""

    def has_pictures(self) -> bool:
        """Whether there is a picture in the folder itself."""

    def holds_pictures(self) -> bool:
        """Whether there is a picture in it or below it."""

    def listing(self) -> Listing:
        """Its content at all levels, without hidden files and skipped folders."""

    def raw(self, name: str) -> Raw:
        """A picture, by its path."""

    def read(self, name: str, most: int | None = None) -> bytes | None:
        """The (first) bytes of a file; None where there is none of that path, or it is damaged."""


@dataclass(frozen=True, order=True)
class Folder:
    """A folder on disk."""

    path: Path

    @property
    def name(self) -> str:
        return shown(self.path.resolve().name)

    @property
    def place(self) -> str:
        return str(self.path.resolve())

    @property
    def inside(self) -> PurePath:
        return self.path

    def folders(self) -> list[Tree]:
        try:
            folders = sorted(path for path in self.path.iterdir() if path.is_dir())
        except OSError as error:
            raise _unreadable(self.path, error) from None
        return [Folder(p) for p in folders if not is_junk(p.name) and written(p) is None]

    def has_pictures(self) -> bool:
        try:
            return any(_is_picture(entry) for entry in os.scandir(self.path))
        except OSError as error:
            raise _unreadable(self.path, error) from None

    def holds_pictures(self) -> bool:
        return holds(self.path, _is_picture)

    def raw(self, name: str) -> Raw:
        return self.path / name

    def read(self, name: str, most: int | None = None) -> bytes | None:
        return _read(self.path / name, most)

    def listing(self) -> Listing:
        listing = Listing()
        seen: set[tuple[int, int]] = set()
        # links last: their targets are read at their own place if below this folder
        stack, links = [str(self.path)], list[str]()
        while stack or links:
            place = stack.pop() if stack else links.pop()
            name = os.path.relpath(place, self.path)
            try:
                here = os.stat(place)
                if (here.st_dev, here.st_ino) in seen and here.st_ino:
                    listing.odd["link to a folder that was already read"] += 1
                    continue
                seen.add((here.st_dev, here.st_ino))
                entries = sorted(os.scandir(place), key=lambda entry: entry.name, reverse=True)
            except OSError as error:
                if place == str(self.path):
                    raise _unreadable(self.path, error) from None
                listing.folders[name] = f"cannot be read ({error.strerror})"
                continue
            for entry in entries:
                path = os.path.normpath(os.path.join(name, entry.name))
                if self._is_below(entry, path, listing):
                    (links if entry.is_symlink() else stack).append(entry.path)
        listing.pictures.sort()
        return listing

    def _is_below(self, entry: os.DirEntry[str], name: str, listing: Listing) -> bool:
        """Whether an entry is a folder to enter; other entries are added to the listing."""
        try:
            state = entry.stat()
            kind, stamp = state.st_mode, (state.st_size, state.st_mtime_ns)
        except OSError:  # a link that leads nowhere or to itself: decoding reports it
            kind, stamp = 0, (-1, 0)
        if stat.S_ISDIR(kind):
            if what := _is_no_data(entry):
                listing.folders[name] = what
                return False
            return not entry.name.startswith(".")
        if kind and not stat.S_ISREG(kind):
            listing.odd["non-file (pipe, socket or device)"] += 1
            return False
        listing.add(name, stamp, lambda: _read(Path(entry.path), HEAD) or b"")
        return False


def holds(root: Path, test: Callable[[os.DirEntry[str]], bool]) -> bool:
    """Whether there is such a file below root that may be data."""
    stack = [str(root)]
    while stack:
        folders, files = _entries(stack.pop())
        if any(map(test, files)):
            return True
        stack += [
            folder.path
            for folder in folders
            if not is_junk(folder.name) and written(Path(folder.path)) is None
        ]
    return False


def _entries(place: str) -> tuple[list[os.DirEntry[str]], list[os.DirEntry[str]]]:
    """The folders in a folder, and what else lies there; nothing where it cannot be read."""
    try:
        entries = list(os.scandir(place))
    except OSError:
        return [], []
    folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    return folders, [entry for entry in entries if not entry.is_dir(follow_symlinks=False)]


def below(folder: Tree, above: Tree) -> str:
    """The path of a folder relative to one above it."""
    return os.path.relpath(folder.inside, above.inside)


def is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def is_junk(name: str) -> bool:
    """Whether a folder is hidden or created by the operating system."""
    return name.startswith(".") or name in JUNK_FOLDERS


def count(n: int, what: str) -> str:
    """`3 files`, `1 link to a folder`: the first word of `what` in the plural but for one."""
    first, space, rest = what.partition(" ")
    return f"{n} {first}{'s' * (n != 1)}{space}{rest}"


def _is_picture(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or not is_file(entry):
        return False
    if named_so(entry.name):
        return True
    return not PurePath(entry.name).suffix and looks_so(_read(Path(entry.path), HEAD) or b"")


def _is_no_data(entry: os.DirEntry[str]) -> str | None:
    """Why a folder is left out; None where it is not, or is hidden."""
    if entry.name.startswith("."):
        return None
    if is_junk(entry.name):
        return "of the operating system"
    what = written(Path(entry.path))
    return f"{what}, written by ptheta" if what else None


def _read(file: Path, most: int | None) -> bytes | None:
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):
            return None  # a pipe would be waited for
        with file.open("rb") as opened:
            return opened.read(-1 if most is None else most)
    except OSError:
        return None


def _unreadable(folder: Path, error: OSError) -> PthetaError:
    return PthetaError(f"cannot read {folder}: {error.strerror}; give a folder that you can read")
