"""Baselines of compression: sizes in standard formats, as an extensible table."""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ptheta.config import Entry
from ptheta.specs import ImageSpec

LARGEST = 16_383  # maximum side of a WebP in pixels
PALETTE = 16  # numbers of grey levels that a PNG stores in 4 bits or fewer
Size = Callable[[np.ndarray, ImageSpec], int | None]


@dataclass(frozen=True, kw_only=True)
class Floor(Entry):
    """A baseline. size: (images uint8 (N, C, H, W), spec) -> bytes; None if unsupported"""

    size: Size


def _png(image: np.ndarray, spec: ImageSpec) -> int:
    """The smaller of a PNG of 8 bits and, for few grey levels, one with a reduced bit depth."""
    sizes = [_saved(_picture(image), "png", optimize=True)]
    if spec.channels == 1 and spec.levels <= PALETTE:
        of_level = np.rint(image[0] * ((spec.levels - 1) / 255)).astype(np.uint8)
        palette = Image.fromarray(of_level, "P")
        shades = np.linspace(0, 255, spec.levels).round().astype(np.uint8)
        palette.putpalette(shades.repeat(3).tobytes())
        bits = next(b for b in (1, 2, 4) if 1 << b >= spec.levels)
        sizes.append(_saved(palette, "png", optimize=True, bits=bits))
    return min(sizes)


def _webp(image: np.ndarray, spec: ImageSpec) -> int:
    return _saved(_picture(image), "webp", lossless=True, quality=100, method=6)


def _picture(image: np.ndarray) -> Image.Image:
    """The Pillow image of uint8 (C, H, W)."""
    pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(pixels))


def _saved(picture: Image.Image, kind: str, **how: Any) -> int:
    file = io.BytesIO()
    picture.save(file, kind, **how)
    return file.tell()


One = Callable[[np.ndarray, ImageSpec], int]


def _each(one: One) -> Size:
    def size(x: np.ndarray, spec: ImageSpec) -> int | None:
        return sum(one(image, spec) for image in x) if spec.channels in (1, 3) else None

    return size


def _sheet(one: One) -> Size:
    """All images side by side in one picture."""

    def size(x: np.ndarray, spec: ImageSpec) -> int | None:
        columns = round(len(x) ** 0.5) or 1
        rows = -(-len(x) // columns)
        if spec.channels not in (1, 3) or max(columns * spec.width, rows * spec.height) > LARGEST:
            return None
        whole = np.zeros((rows * columns, *spec.shape), np.uint8)
        whole[: len(x)] = x
        sheet = whole.reshape(rows, columns, *spec.shape).transpose(2, 0, 3, 1, 4)
        return one(sheet.reshape(spec.channels, rows * spec.height, -1), spec)

    return size


FLOORS: dict[str, Floor] = {
    "PNG, each": Floor(size=_each(_png), about="a PNG for each image, optimised"),
    "PNG, one sheet": Floor(size=_sheet(_png), about="all images in one PNG"),
    "WebP, each": Floor(size=_each(_webp), about="a lossless WebP for each image"),
    "WebP, one sheet": Floor(size=_sheet(_webp), about="all images in one lossless WebP"),
    "zlib": Floor(size=lambda x, _: len(zlib.compress(x.tobytes(), 9)), about="zlib of all bytes"),
    "lzma": Floor(
        size=lambda x, _: len(lzma.compress(x.tobytes(), preset=9 | lzma.PRESET_EXTREME)),
        about="xz of all bytes",
    ),
}
