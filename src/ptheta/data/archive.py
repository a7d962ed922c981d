"""A .zip of pictures, read as a folder is and never unpacked to disk."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

from ptheta.data.formats import MOST_PACKED
from ptheta.data.members import DAMAGE
from ptheta.data.names import shown
from ptheta.data.own import JUNK_FOLDERS
from ptheta.data.picture import Raw
from ptheta.data.tree import HEAD, Listing, Tree, is_junk
from ptheta.errors import PthetaError

SMALL = 2**30  # bytes up to which it does not matter how tightly they are packed
MOST_RATIO = 200  # bytes in all for one byte of the archive, above that size


@dataclass(frozen=True, eq=False)
class Archive:
    """An open archive. members: by path"""

    path: Path
    opened: zipfile.ZipFile
    members: dict[PurePosixPath, zipfile.ZipInfo]

    def __reduce__(self) -> tuple[object, ...]:
        """For another process, which opens it anew."""
        return _opened, (self.path,)


@dataclass(frozen=True)
class Member:
    """A file in an archive. It yields at most as many bytes as its declared size."""

    archive: Archive
    info: zipfile.ZipInfo

    def read(self) -> bytes:
        """Read the file; raises OSError if it is damaged or larger than a picture may be."""
        return self.head(None)

    def head(self, most: int | None) -> bytes:
        if most is None and self.info.file_size > MOST_PACKED:
            raise OSError(f"{self.info.file_size:,} bytes, more than {MOST_PACKED:,}")
        try:
            with self.archive.opened.open(self.info) as file:
                return file.read(-1 if most is None else most)
        except DAMAGE as error:
            raise OSError(str(error) or type(error).__name__) from None


@dataclass(frozen=True)
class Zipped:
    """A folder in an archive."""

    archive: Archive
    inside: PurePosixPath = field(default_factory=PurePosixPath)

    @property
    def name(self) -> str:
        return shown(self.inside.name or self.archive.path.resolve().stem)

    @property
    def place(self) -> str:
        return str(self.archive.path.resolve() / self.inside)

    def folders(self) -> list[Tree]:
        depth = len(self.inside.parts)
        names = {path.parts[depth] for path, _ in self._files() if len(path.parts) > depth + 1}
        return [Zipped(self.archive, self.inside / n) for n in sorted(names) if not is_junk(n)]

    def has_pictures(self) -> bool:
        return any(len(PurePosixPath(name).parts) == 1 for name, *_ in self.listing().pictures)

    def holds_pictures(self) -> bool:
        return bool(self.listing().pictures)

    def raw(self, name: str) -> Raw:
        return Member(self.archive, self.archive.members[self.inside / name])

    def read(self, name: str, most: int | None = None) -> bytes | None:
        info = self.archive.members.get(self.inside / name)
        return None if info is None else self._head(info, most)

    def listing(self) -> Listing:
        listing = Listing()
        for path, info in self._files():
            name = path.relative_to(self.inside)
            if any(part.startswith(".") for part in name.parts[:-1]):
                continue
            if junk := next((n for n in name.parts[:-1] if n in JUNK_FOLDERS), None):
                listing.folders[junk] = "of the operating system"
            elif stat.S_ISLNK(info.external_attr >> 16):
                listing.odd["link"] += 1
            else:
                state = (info.file_size, info.CRC)
                listing.add(str(name), state, partial(self._first, info))
        listing.pictures.sort()
        return listing

    def _files(self) -> Iterator[tuple[PurePosixPath, zipfile.ZipInfo]]:
        depth = len(self.inside.parts)
        for path, info in self.archive.members.items():
            if path.parts[:depth] == self.inside.parts:
                yield path, info

    def _first(self, info: zipfile.ZipInfo) -> bytes:
        return self._head(info, HEAD) or b""

    def _head(self, info: zipfile.ZipInfo, most: int | None) -> bytes | None:
        try:
            return Member(self.archive, info).head(most)
        except OSError:  # damaged: decoding reports it
            return None


def open_archive(path: Path) -> Zipped:
    """The folder that an archive holds.

    Raises PthetaError where it is damaged, encrypted, names files outside itself, or holds many
    times more than an archive of pictures can.
    """
    return _unwrapped(Zipped(_opened(path)))


def _opened(path: Path) -> Archive:
    try:
        opened = zipfile.ZipFile(path)
    except DAMAGE as error:
        raise _refused(path, str(error) or type(error).__name__) from None
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    total = 0
    for info in opened.infolist():
        name = PurePosixPath(info.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or PureWindowsPath(name).drive:
            raise _refused(path, f"the name {shown(info.filename)!r} leads outside the archive")
        if info.is_dir() or not name.parts:
            continue
        if info.flag_bits & 1:
            raise PthetaError(f"{path} is encrypted: give an archive without a password")
        members[name] = info
        total += info.file_size
    most = max(SMALL, MOST_RATIO * path.stat().st_size)
    if total > most:
        raise _refused(path, f"its declared size is {total:,} bytes, more than {most:,}")
    return Archive(path, opened, members)


def _unwrapped(root: Zipped) -> Zipped:
    """The only folder of an archive in which there is nothing else, as most are packed."""
    inside = {path.parts[0] for path in root.archive.members if not is_junk(path.parts[0])}
    name = inside.pop() if len(inside) == 1 else ""
    if not name or PurePosixPath(name) in root.archive.members:
        return root
    return Zipped(root.archive, PurePosixPath(name))


def _refused(path: Path, why: str) -> PthetaError:
    return PthetaError(f"cannot read {path}: {why}; create the archive again, or give a folder")
