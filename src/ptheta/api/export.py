"""Writing image batches: one image grid, an array, or a folder of images.

Images are generated in batches, so that the output may be larger than memory. Arrays and image
grids are written atomically. A folder is filled batch by batch, and a record in it stores the
request and the progress: the same request resumes an interrupted one and gives identical files.
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
from ptheta.errors import CannotWrite, PthetaError, readable_size
from ptheta.files.atomic import SAMPLES, leftover, locked, make_folder, write_atomic, write_files
from ptheta.files.captions import rows_in_turn
from ptheta.files.images import PICTURES, drawn_at, grid, to_picture, to_png
from ptheta.files.out import check_file, check_folder
from ptheta.files.paths import expand
from ptheta.tasks.sample import BATCH, Part

ARRAYS = (".npy", ".npz")
SUFFIXES = (*PICTURES, *ARRAYS)
TABLE = "metadata.jsonl"  # metadata file in a folder of images
WIDTH = 64  # width in pixels from which images are not enlarged
HEADED = 128  # the same with a heading


@dataclass(frozen=True)
class Images:
    """n images of a shape (C, H, W) to be written.

    asked: what they depend on, by name: equal values mean identical images
    parts: generates the images from a number on, `batch` at a time
    captions: text for each row of a grid; with `in_turn` the images belong to the rows in turn
        (0, 1, ..., 0, 1, ...), else row by row
    headings: text for each column of a grid; title: text above the grid
    names: file names in a folder; empty for numbers
    metadata: maps an image index to its row in the metadata table
    chosen: how samples were selected; empty if all were kept
    shows: what samples show of p(x | z); empty if nothing is sampled given a code
    """

    n: int
    shape: tuple[int, ...]
    asked: Identity
    parts: Callable[[int], Iterator[Part]]
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
        """Images in a row of a grid; None for as many as there are rows."""
        if self.headings:
            return len(self.headings)
        return -(-self.n // len(self.captions)) if self.captions else None

    @property
    def width(self) -> int:
        """Approximate width in pixels of an image in a grid."""
        return HEADED if self.headings else WIDTH

    def first(self, n: int) -> Images:
        """The first n images, without captions; all if there are no more."""
        if self.n <= n:
            return self

        def parts(start: int) -> Iterator[Part]:
            for part in self.parts(start):
                yield Part(part.start, part.x[: n - part.start])
                if part.stop >= n:
                    return

        about = {**self.asked, "images": n}
        first = Images(n, self.shape, about, parts, self.batch)
        return replace(first, headings=self.headings, title=self.title)

    @classmethod
    def of(cls, x: Tensor, headings: Sequence[str] = ()) -> Images:
        """From an image batch."""
        pixels = hashlib.sha256(x.numpy().tobytes()).hexdigest()
        asked: dict[str, str | int] = {"images": len(x), "pixels": pixels[:16]}

        def parts(start: int) -> Iterator[Part]:
            for first in range(start, len(x), BATCH):
                yield Part(first, x[first : first + BATCH])

        return cls(len(x), tuple(x.shape[1:]), asked, parts, headings=tuple(headings))


def check_out(out: str | Path) -> Path:
    """Validates `out` before the images are generated. Creates nothing.

    Raises PthetaError for a suffix not in `SUFFIXES`, a location that cannot be written, and a
    folder with files that are not an earlier output of ptheta.
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
    """Raises PthetaError if n images of this shape are too many for an image that programs can
    open, or an array that fits on the disk. columns, scale: of an image grid."""
    suffix = path.suffix.lower()
    if suffix in PICTURES:
        drawn_at(n, shape, suffix, WIDTH, columns, scale)
    if suffix in ARRAYS:
        wanted, free = n * math.prod(shape), _free(path)
        if wanted > free:
            raise CannotWrite(
                f"--out {path}: {n:,} images take {readable_size(wanted)}, and "
                f"{readable_size(free)} are free there: ask for fewer, or choose another disk"
            )


def export(
    images: Images, path: Path, columns: int | None = None, scale: int | None = None
) -> Path:
    """Writes images to `path` (from `check_out`) in the format of its name, and returns it.

    x.png, .jpg, .jpeg, .webp: one image grid, of `columns` if given, enlarged `scale` times; x.npy,
    x.npz: the array, in an archive as `images`; a folder: 00000.png, 00001.png, ..., or the names
    of the images, and a metadata table
    Raises PthetaError for too many images (`check_size`), or a folder with other files or with
    images of another request; InUse if another process writes to the folder; CannotWrite.
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
    """All images in one grid, uint8 (H, W) or (H, W, 3), one row per caption."""
    x = torch.cat([part.x for part in images.parts(0)])
    if images.in_turn:
        x, columns = rows_in_turn(x, len(images.captions))
    return grid(x, columns)


def _write_array(images: Images, path: Path, archive: bool) -> None:
    """Writes a NumPy array batch by batch."""
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
    for part in images.parts(0):
        file.write(part.x.contiguous().numpy().data)


def _write_folder(images: Images, folder: Path) -> None:
    """Writes a file for each image; keeps those written by an earlier call with the same
    request."""
    with locked(folder, "writing images"):
        check_mixed(folder)
        record = Record.read(folder / SAMPLES)
        if record is not None:
            record.check_same(images.asked, folder)
        names = images.names or _Names(images.n)
        done = 0 if record is None else record.done
        between = done > images.n or (done < images.n and done % images.batch)
        if between or not all((folder / names[i]).is_file() for i in range(done)):
            done = 0  # some files were removed: draw all again, identically
        # written first, so that an unfinished folder is recognised
        Record(images.asked, done).write(folder / SAMPLES)
        if images.metadata is not None:
            _write_table(images.n, names, images.metadata, folder / TABLE)
        for part in images.parts(done):
            files = (
                (names[part.start + i], to_png(grid(part.x[i : i + 1]), mark=False))
                for i in range(len(part.x))
            )
            write_files(folder, files)
            Record(images.asked, part.stop).write(folder / SAMPLES)


def _write_table(n: int, names: Sequence[str] | _Names, metadata: Metadata, path: Path) -> None:
    """Writes a metadata line for each image, in the format that `ptheta.data` reads."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            for i in range(n):
                line = {FILE_NAME: names[i], **metadata(i)}
                file.write(f"{json.dumps(line, ensure_ascii=False)}\n")

    write_atomic(path, write)


class _Names:
    """File names of n images, which sort numerically."""

    def __init__(self, n: int) -> None:
        self.digits = max(5, len(str(n - 1)))

    def __getitem__(self, i: int) -> str:
        return f"{i:0{self.digits}d}.png"


def check_mixed(folder: Path) -> None:
    """Raises PthetaError for a folder with files that ptheta did not write."""
    if not folder.is_dir() or (folder / SAMPLES).is_file():
        return
    if not all(map(leftover, folder.iterdir())):
        raise PthetaError(
            f"--out {folder}: the folder contains other files, and samples are not mixed with "
            "them: choose a new folder"
        )


def _free(path: Path) -> int:
    """Free bytes on the disk of `path`."""
    there = next(folder for folder in path.absolute().parents if folder.is_dir())
    return shutil.disk_usage(there).free
