"""IDX files, the format of MNIST (http://yann.lecun.com/exdb/mnist/), gzipped or not."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Sequence
from functools import partial
from io import BufferedReader
from pathlib import Path

import numpy as np

from ptheta.compute.room import check
from ptheta.data.arrays import bytes_of
from ptheta.data.dataset import Dataset
from ptheta.data.decode import resize
from ptheta.data.image_data import ImageDataset
from ptheta.data.labels import Labels, number
from ptheta.data.members import memory_error
from ptheta.data.reader import SourceReader
from ptheta.data.request import Request
from ptheta.data.splits import Part, choose, named
from ptheta.errors import PthetaError

GZIP = b"\x1f\x8b"  # how a packed file begins
MOST_AXES = 8
CHUNK = 2**24  # bytes read at a time
Stream = gzip.GzipFile | BufferedReader
IMAGES = re.compile(r"(.*)images[-.]idx3-ubyte(\.gz)?$")


def parse(path: Path) -> np.ndarray:
    """Read an IDX file of unsigned bytes, no further than its declared size.

    Raises:
        PthetaError: if it is damaged or its declared size exceeds the memory.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == GZIP
        with gzip.open(path) if packed else path.open("rb") as opened:
            return _parsed(opened, path, None if packed else path.stat().st_size)
    except MemoryError:
        raise memory_error(path) from None
    except (OSError, EOFError, zlib.error) as error:
        raise PthetaError(f"cannot read {path}: {error}; download the file again") from None


def _parsed(file: Stream, path: Path, there: int | None) -> np.ndarray:
    """there: bytes in the file, None where that is not known before it is unpacked"""
    # magic: two zero bytes, the type (8: unsigned byte), the number of axes
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != 8 or not magic[3]:
        raise PthetaError(
            f"{path} is not an IDX file of unsigned bytes (its first bytes are "
            f"{magic.hex(' ') or 'missing'}, not 00 00 08): download the file again"
        )
    if magic[3] > MOST_AXES:
        raise PthetaError(f"{path} has {magic[3]} axes: images have 3 (N, H, W), labels 1")
    sizes = file.read(4 * magic[3])
    shape = [int.from_bytes(sizes[at : at + 4]) for at in range(0, 4 * magic[3], 4)]
    size, header = math.prod(shape), 4 + 4 * magic[3]
    bytes_there = there - header if there is not None else size
    if len(sizes) == 4 * magic[3] and size <= bytes_there:
        check(size, str(path))
        data = _filled(file, size)
        bytes_there = len(data) + len(file.read(1))
        if bytes_there == size:
            return np.frombuffer(data, np.uint8).reshape(shape)
    if bytes_there > size:
        raise PthetaError(
            f"{path} is too long: more than the {size} bytes that its header says; "
            "download the file again"
        )
    raise PthetaError(
        f"{path} is cut short: {max(0, bytes_there)} bytes where its header says {size}; "
        "download the file again"
    )


def _filled(file: Stream, size: int) -> bytearray:
    """So many bytes of a file, or as many as there are."""
    data = bytearray()
    while len(data) < size and (chunk := file.read(min(CHUNK, size - len(data)))):
        data += chunk
    return data


def image_files(folder: Path) -> dict[str, Path]:
    """The IDX image file of each split in a folder."""
    files: dict[str, Path] = {}
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise PthetaError(
            f"cannot read {folder}: {error.strerror}; give a folder that you can read"
        ) from None
    for path in paths:
        if match := IMAGES.fullmatch(path.name):
            split = "test" if match[1].startswith("t10k") else named(match[1])
            if split is not None:
                files.setdefault(split, path)
    return files


def is_idx(path: Path) -> bool:
    """Whether a path is an IDX file, by its name, or a folder of some."""
    return bool(image_files(path)) if path.is_dir() else path.is_file() and "idx" in path.name


def open_idx(path: Path) -> SourceReader:
    kind = "folder of IDX files" if path.is_dir() else "IDX file"
    return SourceReader(kind, partial(read_idx, path))


def read_idx(path: Path, request: Request) -> tuple[Dataset, Part]:
    """The part of a folder of IDX files, or of one image file, that answers to a split."""
    files = image_files(path) if path.is_dir() else {"train": path}
    part = choose(request.split, files, path)
    file = files[part.name]
    images = parse(file)
    if images.ndim != 3 or not images.size:
        raise PthetaError(
            f"{file} holds an array of shape {images.shape}, not images (N, H, W): "
            "give the file with 'images' in its name"
        )
    stat = file.stat()
    identity, stamp = str(file.resolve()), (stat.st_size, stat.st_mtime_ns)
    labels = _labels(file, len(images), list(files.values()))
    name = path.resolve().name if path.is_dir() else file.name.partition("-")[0]
    pixels, values = bytes_of(images, str(file), identity, stamp, request)
    pixels = resize(pixels, identity, (stamp, values), request)
    numbers, classes = labels
    data = ImageDataset(name, request.split, pixels, labels=numbers, classes=classes, values=values)
    return data, part


def _labels(file: Path, n: int, files: Sequence[Path]) -> Labels:
    """Those of the n images in a file, numbered as in all files of images."""
    label_files = {path: _labels_of(path) for path in files}
    labels = label_files[file]
    if labels is None:
        return None, ()
    if labels.shape != (n,):
        raise PthetaError(f"{file}: {labels.size} labels for {n} images: download both files again")
    return number(labels, [v for v in label_files.values() if v is not None])


def _labels_of(file: Path) -> np.ndarray | None:
    """The labels (N,) in the file that is named like an image file, or None."""
    partner = file.with_name(re.sub(r"images([-.])idx3", r"labels\1idx1", file.name))
    for candidate in (partner, partner.with_suffix(""), partner.with_name(partner.name + ".gz")):
        if candidate != file and candidate.is_file():
            return parse(candidate)
    return None
