"""The bytes of pictures as their source holds them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

import numpy as np
from PIL import Image

from ptheta.data.formats import FORMATS, MOST_PACKED, Packed, named_so, opened
from ptheta.data.image_data import ImageDataset
from ptheta.data.picture import Half, Raw, load
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec

PNG = ".png"
MODES = {1: "L", 3: "RGB"}  # of PNG, by the number of channels


class Picture(NamedTuple):
    """The content of a picture file. suffix: of its name; drawn: whether it was encoded here"""

    content: bytes
    suffix: str
    drawn: bool


class _Spooled(NamedTuple):
    """A picture in the spool."""

    offset: int
    size: int


class OriginalPictures:
    """The stored pictures of a data set, in any order.

    Content that the source hands out one after the other, such as cells of a table, is written to a
    temporary file in `place`; files are read where they are.
    """

    def __init__(self, data: ImageDataset, place: Path) -> None:
        self.data = data
        self.spool: IO[bytes] = TemporaryFile(dir=place)  # noqa: SIM115
        self.names: list[str] = []
        self.raws: list[Raw | _Spooled] = []
        if data.originals is not None:
            self._collect(data.originals())

    def __enter__(self) -> OriginalPictures:
        return self

    def __exit__(self, *_: object) -> None:
        self.spool.close()

    def _collect(self, originals: Iterator[tuple[str, Raw]]) -> None:
        at = 0
        for name, raw in originals:
            kept: Raw | _Spooled = raw
            if not isinstance(raw, Path | bytes | Packed):
                raw = _drawn(raw, self.data)
                name = PNG
            if isinstance(raw, bytes):
                self.spool.write(raw)
                kept = _Spooled(at, len(raw))
                at += len(raw)
            self.names.append(name)
            self.raws.append(kept)
        self.spool.flush()

    def __getitem__(self, row: int) -> Picture:
        """The picture of a stored row. Raises PthetaError if it can no longer be read."""
        if not self.raws:
            return Picture(png(self.data.images[np.array([row])][0]), PNG, True)
        name, raw = self.names[row], self.raws[row]
        try:
            content = self._content(raw)
            return Picture(content, suffix_of(name, content), name == PNG)
        except OSError as error:
            reason = error.strerror or str(error)
            raise PthetaError(
                f"cannot read {name}: {reason}; it changed since the data were opened: try again"
            ) from None

    def _content(self, raw: Raw | _Spooled) -> bytes:
        if isinstance(raw, _Spooled):
            return os.pread(self.spool.fileno(), raw.size, raw.offset)
        if isinstance(raw, Path):
            if raw.stat().st_size > MOST_PACKED:
                raise OSError(f"more than {MOST_PACKED:,} bytes")
            return raw.read_bytes()
        assert isinstance(raw, Packed)
        return raw.read()


def suffix_of(name: str, content: bytes) -> str:
    """The suffix of a picture's name, or that of its format."""
    if named_so(name):
        return os.path.splitext(name)[1].lower()
    with opened(content) as image:
        return FORMATS[image.format or "PNG"][0]


def png(image: np.ndarray) -> bytes:
    """uint8 (C, H, W) as PNG, without loss. Raises PthetaError for another number of channels."""
    mode = MODES.get(len(image))
    if mode is None:
        raise PthetaError(
            f"images of {ImageSpec(*image.shape)} have {len(image)} channels, and PNG files have 1 "
            "or 3: give those, or pack each part on its own"
        )
    values = image[0] if mode == "L" else np.ascontiguousarray(image.transpose(1, 2, 0))
    return _encoded(Image.fromarray(values))


def _drawn(raw: Image.Image | np.ndarray | Half, data: ImageDataset) -> bytes:
    """A picture that is numbers in its source, at its own size."""
    return _encoded(load(raw, None, data.whites).image)


def _encoded(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
