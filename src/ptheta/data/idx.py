"""IDX files, the format of MNIST (http://yann.lecun.com/exdb/mnist/), gzipped or not."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path

import numpy as np

from ptheta.data.dataset import Dataset
from ptheta.data.decode import resize
from ptheta.data.labels import number
from ptheta.data.request import Request
from ptheta.data.splits import Part, choose, named
from ptheta.errors import PthetaError

IMAGES = re.compile(r"(.*)images[-.]idx3-ubyte(\.gz)?$")


def parse(path: Path) -> np.ndarray:
    """The array in an IDX file of unsigned bytes. Raises PthetaError where it is damaged."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise PthetaError(f"cannot read {path}: {error}; fetch the file again") from None
    # magic: two zero bytes, the type (8: unsigned byte), the number of axes
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != 8 or not data[3]:
        raise PthetaError(
            f"{path} is not an IDX file of unsigned bytes (its first bytes are "
            f"{data[:4].hex(' ') or 'missing'}, not 00 00 08): fetch the file again"
        )
    header = 4 + 4 * data[3]
    shape = [int.from_bytes(data[at : at + 4]) for at in range(4, header, 4)]
    size = math.prod(shape)
    if len(data) < header or len(data) - header != size:
        fault = "is cut short" if len(data) < header + size else "is too long"
        raise PthetaError(
            f"{path} {fault}: {max(0, len(data) - header)} bytes where its header says {size}; "
            "fetch the file again"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def image_files(folder: Path) -> dict[str, Path]:
    """The IDX image file of each split in a folder."""
    found: dict[str, Path] = {}
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
                found.setdefault(split, path)
    return found


def read(path: Path, request: Request) -> tuple[Dataset, Part]:
    """The part of a folder of IDX files, or of one image file, that answers to a split."""
    files = image_files(path) if path.is_dir() else {"train": path}
    part = choose(request.split, files, path)
    file = files[part.name]
    images = parse(file)
    if images.ndim != 3 or not images.size:
        raise PthetaError(
            f"{file} holds an array of shape {images.shape}, not images (N, H, W): "
            "give the file with images in its name"
        )
    every = {f: _labels_beside(f) for f in files.values()}
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    if (own := every[file]) is not None:
        if own.shape != (len(images),):
            raise PthetaError(
                f"{file}: {own.size} labels for {len(images)} images: fetch both files again"
            )
        labels, classes = number(own, [v for v in every.values() if v is not None])
    stat = file.stat()
    identity, stamp = str(file.resolve()), (stat.st_size, stat.st_mtime_ns)
    name = path.resolve().name if path.is_dir() else file.name.partition("-")[0]
    pixels = resize(images[:, None], identity, stamp, request)
    return Dataset(name, request.split, pixels, labels, classes), part


def _labels_beside(file: Path) -> np.ndarray | None:
    """The labels (N,) in the file that is named like an image file, or None."""
    beside = file.with_name(re.sub(r"images([-.])idx3", r"labels\1idx1", file.name))
    for candidate in (beside, beside.with_suffix(""), beside.with_name(beside.name + ".gz")):
        if candidate != file and candidate.is_file():
            return parse(candidate)
    return None
