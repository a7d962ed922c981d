"""Read the arrays of a .npz file one by one, none larger than its declared size."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from ptheta.compute.room import check
from ptheta.errors import PthetaError

CHUNK = 2**24  # bytes read at a time
SUFFIX = ".npy"
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# What zipfile and NumPy raise for a damaged file, a packing that they do not know, or a header of
# nonsense. Not MemoryError: that is no fault of the file.
DAMAGE = (
    *(OSError, ValueError, EOFError, KeyError, RuntimeError, OverflowError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)


class Members:
    """The arrays of an archive by their names."""

    def __init__(self, path: Path) -> None:
        """Open the archive; raises an error of `DAMAGE` if it is not one."""
        self.path, self.archive = path, zipfile.ZipFile(path)
        self.infos = {i.filename.removesuffix(SUFFIX): i for i in self.archive.infolist()}

    def __enter__(self) -> Members:
        return self

    def __exit__(self, *_: object) -> None:
        self.archive.close()

    def read(self, name: str) -> np.ndarray:
        """Read an array; raises an error of `DAMAGE` if it is not one, and PthetaError if it holds
        objects or does not fit into memory.
        """
        info = self.infos[name]
        if info.flag_bits & 1:
            raise ValueError(f"{name} is encrypted")
        with self.archive.open(info) as file:
            shape, columns, dtype = _header(file, name)
            size = math.prod(shape) * dtype.itemsize
            if dtype.hasobject:
                raise ValueError(f"{name} holds Python objects, which could run programs")
            stored = info.file_size - file.tell()
            if size > stored:
                raise ValueError(f"{name} is truncated: {stored:,} bytes instead of {size:,}")
            if size < stored:
                raise ValueError(f"{name} is too long: {stored:,} bytes instead of {size:,}")
            check(size, f"{self.path}: {name}")
            data = _filled(file, size)
        return data.view(dtype).reshape(shape, order="F" if columns else "C")


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, whether the first axis changes fastest, type)"""
    try:
        version = np.lib.format.read_magic(file)
    except ValueError:
        raise ValueError(f"{name} is not an array") from None
    if version not in HEADERS:
        raise ValueError(f"{name} is of version {version} of the format, which is not supported")
    shape, columns, dtype = HEADERS[version](file)
    if any(n < 0 for n in shape):
        raise ValueError(f"{name} has the shape {shape}")
    return shape, columns, dtype


def _filled(file: IO[bytes], size: int) -> np.ndarray:
    """So many bytes of a file: uint8 (size,)."""
    data = np.empty(size, np.uint8)
    at = 0
    while at < size:
        chunk = file.read(min(CHUNK, size - at))
        if not chunk:
            raise EOFError(f"only {at:,} of {size:,} bytes are present")
        data[at : at + len(chunk)] = np.frombuffer(chunk, np.uint8)
        at += len(chunk)
    return data


def memory_error(path: Path) -> PthetaError:
    """The error where memory ran out all the same."""
    return PthetaError(f"{path} does not fit into memory: give fewer or smaller images")
