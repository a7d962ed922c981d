"""Image batches out of the house: a picture of all, an array, or a folder of pictures.

Images come in parts, so that what is written may be larger than the memory. An array and a picture
appear whole or not at all. A folder fills part after part, and a record in it says what was asked
for and how far it has come: the same request goes on where an earlier one was stopped, and gives
the files that it would have given in one go.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from ptheta.api.metadata import Metadata
from ptheta.api.record import Identity, Record
from ptheta.config import brief
from ptheta.data.metadata import FILE_NAME
from ptheta.errors import CannotWrite, PthetaError
from ptheta.files.atomic import SAMPLES, leftover, locked, make_folder, write_atomic, write_files
from ptheta.files.captions import rows_in_turn
from ptheta.files.images import PICTURES, drawn_at, grid, to_picture, to_png
from ptheta.files.out import check_file, check_folder
from ptheta.files.paths import expand
from ptheta.tasks.sample import BATCH, Part, Place

ARRAYS = (".npy", ".npz")
SUFFIXES = (*PICTURES, *ARRAYS)
TABLE = "metadata.jsonl"  # beside the images of a folder
WIDTH = 64  # pixels from which an image is wide enough to be seen as it is
HEADED = 128  # and where a text stands above it


@dataclass(frozen=True)
class Images:
    """n images of a shape (C, H, W) that are to be written.

    asked: what they depend on, by name: two that agree in it are the same images
    parts: gives those that come after a place, `batch` at a time
    captions: of a picture, a text for each row; with `in_turn` the images are of so many rows in
        turn (0, 1, ..., 0, 1, ...), else row by row
    headings: of a picture, a text for each column; title: a text above all
    names: of their files in a folder; none for numbers
    told: of the image of a number, what a table in the folder says of it, by column
    chosen: how samples were chosen, in words; empty where all were taken
    shows: what samples show of p(x | z), in words; empty where nothing is drawn given a code
    """

    n: int
    shape: tuple[int, ...]
    asked: Identity
    parts: Callable[[Place], Iterator[Part]]
    batch: int = BATCH
    captions: tuple[str, ...] = ()
    in_turn: bool = False
    headings: tuple[str, ...] = ()
    title: str = ""
    names: tuple[str, ...] = ()
    metadata: Metadata | None = None
    chosen: str = ""
    shows: str = ""

    @property
    def columns(self) -> int | None:
        """Images in a row of a picture; None for as many as there are rows."""
        if self.headings:
            return len(self.headings)
        return -(-self.n // len(self.captions)) if self.captions else None

    @property
    def width(self) -> int:
        """Pixels that one of them has in a picture, or nearly."""
        return HEADED if self.headings else WIDTH

    def first(self, n: int) -> Images:
        """The first n alone, without captions; all where there are no more."""
        if self.n <= n:
            return self

        def parts(place: Place) -> Iterator[Part]:
            for part in self.parts(place):
                after = min(n, part.after.done)
                yield Part(part.start, part.x[: after - part.start], Place(after))
                if after == n:
                    return

        about = {**self.asked, "images": n}
        first = Images(n, self.shape, about, parts, self.batch)
        return replace(first, headings=self.headings, title=self.title)

    @classmethod
    def of(cls, x: Tensor, headings: Sequence[str] = ()) -> Images:
        """Those of an image batch."""
        pixels = hashlib.sha256(x.numpy().tobytes()).hexdigest()
        asked: dict[str, str | int] = {"images": len(x), "pixels": pixels[:16]}

        def parts(place: Place) -> Iterator[Part]:
            for start in range(place.done, len(x), BATCH):
                some = x[start : start + BATCH]
                yield Part(start, some, Place(start + len(some)))

        return cls(len(x), tuple(x.shape[1:]), asked, parts, headings=tuple(headings))


def check_out(out: str | Path) -> Path:
    """`out` as a place for images, asked before the work that gives them. Creates nothing.

    Raises PthetaError for a suffix that is none of `SUFFIXES`, a place that cannot be written, and
    a folder that holds other files than images which ptheta began to write there.
    """
    suffix = Path(out).suffix
    if suffix.lower() in SUFFIXES:
        return check_file(out)
    if suffix and not os.path.isdir(expand(out)):
        raise PthetaError(
            f"--out {brief(out)}: want a {', a '.join(SUFFIXES)} or a folder, not {brief(suffix)}"
        )
    folder = check_folder(out)
    check_mixed(folder)
    return folder


def check_size(
    path: Path,
    n: int,
    shape: tuple[int, ...],
    columns: int | None = None,
    scale: int | None = None,
) -> None:
    """Raises PthetaError where n images of this shape are too many for what `path` is: a picture
    that programs can open, or an array that the disk has room for. columns, scale: of a picture"""
    suffix = path.suffix.lower()
    if suffix in PICTURES:
        drawn_at(n, shape, suffix, WIDTH, columns, scale)
    if suffix in ARRAYS:
        wanted, free = n * math.prod(shape), _free(path)
        if wanted > free:
            raise CannotWrite(
                f"--out {path}: {n:,} images take {wanted / 2**30:,.1f} GiB, and "
                f"{free / 2**30:,.1f} GiB are free there: ask for fewer, or choose another disk"
            )


def export(
    images: Images, path: Path, columns: int | None = None, scale: int | None = None
) -> Path:
    """Writes images as what the name of `path` (of `check_out`) says, and returns it.

    x.png, .jpg, .jpeg, .webp: one picture, of `columns` where given, `scale` pixels across and down
    for one of an image; x.npy, x.npz: the array, in an archive as `images`; a folder: 00000.png,
    00001.png, ..., or files of the names that the images have, and a table of what is told of them
    Raises PthetaError for too many images (`check_size`), a folder with other files or with images
    that were asked for otherwise; InUse where another process writes into the folder; CannotWrite.
    """
    columns = images.columns if columns is None else columns
    check_size(path, images.n, images.shape, columns, scale)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        _write_folder(images, path)
        return path
    make_folder(path.parent)
    if suffix in PICTURES:
        drawn = drawn_at(images.n, images.shape, suffix, images.width, columns, scale)
        data = to_picture(
            composed(images, columns),
            *(suffix, drawn),
            captions=images.captions,
            headings=images.headings,
            title=images.title,
        )
        write_atomic(path, lambda temporary: temporary.write_bytes(data))
    else:
        write_atomic(path, lambda temporary: _write_array(images, temporary, suffix == ".npz"))
    return path


def composed(images: Images, columns: int | None) -> np.ndarray:
    """All of them in one picture, uint8 (H, W) or (H, W, 3), those of a caption in a row."""
    x = torch.cat([part.x for part in images.parts(Place())])
    if images.in_turn:
        x, columns = rows_in_turn(x, len(images.captions))
    return grid(x, columns)


def _write_array(images: Images, path: Path, archive: bool) -> None:
    """An array in the format of NumPy, part after part."""
    with path.open("wb") as file:
        if not archive:
            _write_npy(images, file)
            return
        with (
            zipfile.ZipFile(file, "w") as whole,
            whole.open("images.npy", "w", force_zip64=True) as member,
        ):
            _write_npy(images, member)


def _write_npy(images: Images, file: IO[bytes]) -> None:
    head = {"descr": "|u1", "fortran_order": False, "shape": (images.n, *images.shape)}
    np.lib.format.write_array_header_1_0(file, head)
    for part in images.parts(Place()):
        file.write(part.x.contiguous().numpy().data)


def _write_folder(images: Images, folder: Path) -> None:
    """A picture for each image. What an earlier call with the same request has written stays."""
    with locked(folder, "writing images"):
        check_mixed(folder)
        record = Record.read(folder / SAMPLES)
        if record is not None:
            record.check_same(images.asked, folder)
        names = images.names or _Names(images.n)
        place = Place() if record is None else record.place
        between = place.done > images.n or (place.done < images.n and place.done % images.batch)
        if between or not all((folder / names[i]).is_file() for i in range(place.done)):
            place = Place()  # somebody took some away: all are drawn again, and are the same
        # first, so that a folder that was never finished is known as well
        Record(images.asked, place).write(folder / SAMPLES)
        if images.metadata is not None:
            _write_table(images.n, names, images.metadata, folder / TABLE)
        for part in images.parts(place):
            files = (
                (names[part.start + i], to_png(grid(part.x[i : i + 1]), mark=False))
                for i in range(len(part.x))
            )
            write_files(folder, files)
            after = part.after if part.after.done < images.n else Place(images.n)
            Record(images.asked, after).write(folder / SAMPLES)


def _write_table(n: int, names: Sequence[str] | _Names, metadata: Metadata, path: Path) -> None:
    """A line for each image of a folder, as `ptheta.data` reads them."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            for i in range(n):
                line = {FILE_NAME: names[i], **metadata(i)}
                file.write(f"{json.dumps(line, ensure_ascii=False)}\n")

    write_atomic(path, write)


class _Names:
    """The names of n pictures, which sort as their numbers do."""

    def __init__(self, n: int) -> None:
        self.digits = max(5, len(str(n - 1)))

    def __getitem__(self, i: int) -> str:
        return f"{i:0{self.digits}d}.png"


def check_mixed(folder: Path) -> None:
    """Raises PthetaError for a folder with files in it that are not images of ptheta."""
    if not folder.is_dir() or (folder / SAMPLES).is_file():
        return
    if not all(map(leftover, folder.iterdir())):
        raise PthetaError(
            f"--out {folder}: the folder has files in it, which samples must not be mixed with; "
            "choose a new one"
        )


def _free(path: Path) -> int:
    """Bytes that are free where `path` is to lie."""
    there = next(folder for folder in path.absolute().parents if folder.is_dir())
    return shutil.disk_usage(there).free
