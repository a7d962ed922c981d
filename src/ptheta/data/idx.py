"""IDX files, the format of MNIST (http://yann.lecun.com/exdb/mnist/), gzipped or not."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

import numpy as np

from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError

IMAGES = re.compile(r"(.*)-images[-.]idx3-ubyte(\.gz)?$")
PREFIXES = {"train": ("train",), "test": ("t10k", "test")}


def parse(path: Path) -> np.ndarray:
    """The array in an IDX file of unsigned bytes. Raises PthetaError where it is damaged."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise PthetaError(f"cannot read {path}: {error}; fetch the file again") from None
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != 8 or not data[3]:
        raise PthetaError(f"{path} is not an IDX file of unsigned bytes: its first bytes differ")
    header = 4 + 4 * data[3]
    shape = (
        tuple(np.frombuffer(data, ">i4", count=data[3], offset=4)) if len(data) >= header else ()
    )
    size = int(np.prod(shape)) if shape else -1
    if len(data) - header != size:
        raise PthetaError(
            f"{path} is cut short: {len(data) - header} bytes where its header says {size}; "
            "fetch the file again"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def image_files(folder: Path) -> dict[str, Path]:
    """The IDX image file of each split in a folder."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        match = IMAGES.fullmatch(path.name)
        for split, prefixes in PREFIXES.items():
            if match and match[1].startswith(prefixes):
                found.setdefault(split, path)
    return found


def read(path: Path, split: str) -> tuple[Dataset, bool]:
    """A split of a folder of IDX files, or one image file (then to be divided)."""
    if path.is_dir():
        files = image_files(path)
        if "train" not in files:
            raise PthetaError(f"{path} has no train-images-idx3-ubyte file: give the image file")
        file, whole = files.get(split, files["train"]), split not in files
    else:
        file, whole = path, True
    images = parse(file)
    if images.ndim != 3:
        raise PthetaError(f"{file} holds an array of shape {images.shape}, not images (N, H, W)")
    labels = None
    beside = file.with_name(re.sub(r"images([-.])idx3", r"labels\1idx1", file.name))
    for candidate in (beside, beside.with_suffix(""), beside.with_name(beside.name + ".gz")):
        if candidate != file and candidate.is_file():
            labels = parse(candidate).astype(np.int64)
            if labels.shape != (len(images),):
                raise PthetaError(
                    f"{candidate} has {labels.shape} labels for {len(images)} images: "
                    "fetch both files again"
                )
            break
    classes = () if labels is None else tuple(str(i) for i in range(int(labels.max()) + 1))
    name = path.resolve().name if path.is_dir() else file.name.split("-")[0]
    return Dataset(name, split, images[:, None], labels, classes), whole
