"""One picture, as it is stored -> 8 bits a channel, grey or colour, of one size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from ptheta.data.formats import Packed, opened
from ptheta.data.values import USUAL, Kind, Levels, kind_of, table, to_bytes

# a picture not decoded yet, one from a library, or numbers (C, H, W)
Raw = Path | bytes | Packed | Image.Image | np.ndarray


@dataclass(frozen=True)
class Shape:
    """What every picture becomes."""

    channels: int
    height: int
    width: int


class Loaded(NamedTuple):
    """A picture upright, as mode L or RGB, 8 bits a channel, composited on white.

    kind, top: of its values as they are stored, and the largest of them
    """

    image: Image.Image
    kind: Kind
    top: float


def load(raw: Raw, near: int | None = None, whites: Levels = USUAL) -> Loaded:
    """A picture, read.

    near: a side in pixels that it will be shrunk to; a large JPEG is then decoded at a fraction of
        its size, never below twice this side
    whites: the value of each kind that becomes 255; what is above does so, too
    Raises OSError, ValueError or Image.DecompressionBombError where it cannot be read.
    """
    if isinstance(raw, np.ndarray):
        return _from_numbers(raw[0] if len(raw) == 1 else np.moveaxis(raw, 0, -1), whites)
    if isinstance(raw, Image.Image):
        return _plain(raw, whites)
    with opened(raw) as image:
        if near is not None:
            image.draft(None, (2 * near, 2 * near))
        return _plain(image, whites)


def _plain(image: Image.Image, whites: Levels) -> Loaded:
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _from_numbers(np.asarray(image), whites)
    if image.mode == "1":
        return Loaded(image.convert("L"), "8-bit", USUAL["8-bit"])
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        return _scaled(white.convert("RGB"), whites)
    return _scaled(image.convert("L" if image.mode == "L" else "RGB"), whites)


def _scaled(image: Image.Image, whites: Levels) -> Loaded:
    """A picture of 8 bits, whose values go up to another one than 255."""
    top = float(np.max(image.getextrema()))
    if (white := whites.get("8-bit", USUAL["8-bit"])) != USUAL["8-bit"]:
        image = image.point(table(white) * len(image.getbands()))
    return Loaded(image, "8-bit", top)


def _from_numbers(values: np.ndarray, whites: Levels) -> Loaded:
    """Numbers of any type, (H, W) or (H, W, 3)."""
    kind = kind_of(values.dtype)
    if kind is None:  # truth values
        return Loaded(Image.fromarray(values.astype(np.uint8) * np.uint8(255)), "8-bit", 255)
    low, top = float(values.min(initial=0)), float(values.max(initial=0))
    if not (low >= 0 and math.isfinite(top)):  # also where NaN
        raise ValueError(f"grey values from {low:g} to {top:g}: want none below 0")
    white = whites.get(kind, USUAL[kind])
    return Loaded(Image.fromarray(to_bytes(values, white)), kind, top)


def fit(image: Image.Image, shape: Shape) -> np.ndarray:
    """Resized (antialiased) to cover the shape, centre-cropped: uint8 (C, H, W)."""
    size = (shape.width, shape.height)
    if image.size != size:
        image = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    if shape.channels == 1:
        return np.asarray(image.convert("L"))[None]
    return np.ascontiguousarray(np.asarray(image.convert("RGB")).transpose(2, 0, 1))


def is_grey(image: Image.Image) -> bool:
    if image.mode == "L":
        return True
    values = np.asarray(image).astype(np.int16)
    near = 2 if values.max() > 2 else 0  # JPEG rounds each channel
    return bool(np.abs(values - values[..., :1]).max() <= near)
