"""One picture, as it is stored -> 8 bits a channel, grey or colour, of one size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from ptheta.data.formats import Packed, opened
from ptheta.data.values import USUAL, Kind, Levels, kind_of, table, to_bytes

# a picture not decoded yet, one from a library, or numbers (C, H, W)
Whole = Path | bytes | Packed | Image.Image | np.ndarray


class Half(NamedTuple):
    """The left or the right half of a picture that holds a pair."""

    whole: Whole
    right: bool

    def cut(self, image: Image.Image) -> Image.Image:
        """Split into halves; raises ValueError if they differ in size."""
        width, height = image.size
        if width % 2:
            raise ValueError(
                f"{width} pixels wide, so its halves differ in size: crop it to an even width"
            )
        left = width // 2 * self.right
        return image.crop((left, 0, left + width // 2, height))


Raw = Whole | Half
Originals = Callable[[], Iterator[tuple[str, Raw]]]  # (name, picture) of each, in order


@dataclass(frozen=True)
class Shape:
    """The target format of pictures."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Loaded:
    """A picture upright, as mode L or RGB, 8 bits a channel, composited on white.

    kind: of its values as they are stored; largest: finds the largest of them
    """

    image: Image.Image
    kind: Kind
    largest: Callable[[], float]

    @property
    def top(self) -> float:
        """The largest value; where it is not needed, it is not looked for."""
        return self.largest()


def load(raw: Raw, near: int | None = None, whites: Levels = USUAL) -> Loaded:
    """Read a picture.

    near: a side in pixels that it will be shrunk to; a large JPEG is then decoded at a fraction of
        its size, never below twice this side
    whites: the value per kind that is mapped to 255, as are larger ones
    Raises OSError, ValueError or Image.DecompressionBombError if it cannot be read.
    """
    if isinstance(raw, Half):  # never at a fraction of its size, where the seam would be blurred
        loaded = load(raw.whole, None, whites)
        return replace(loaded, image=raw.cut(loaded.image))
    if isinstance(raw, np.ndarray):
        return _from_numbers(raw[0] if len(raw) == 1 else np.moveaxis(raw, 0, -1), whites)
    if isinstance(raw, Image.Image):
        return _plain(raw, whites)
    with opened(raw) as image:
        if near is not None:
            image.draft(None, (2 * near, 2 * near))
        image.load()
        if image.info:  # where a format says how a picture is turned
            ImageOps.exif_transpose(image, in_place=True)
        return _read(image, whites)


def _plain(image: Image.Image, whites: Levels) -> Loaded:
    """Of a picture that belongs to others."""
    image.load()
    return _read(ImageOps.exif_transpose(image), whites)


def _read(image: Image.Image, whites: Levels) -> Loaded:
    usual = _composited if "transparency" in image.info else _coloured
    return MODES.get(image.mode, usual)(image, whites)


def _truth_values(image: Image.Image, whites: Levels) -> Loaded:
    return Loaded(image.convert("L"), "8-bit", partial(float, USUAL["8-bit"]))


def _numbers(image: Image.Image, whites: Levels) -> Loaded:
    return _from_numbers(np.asarray(image), whites)


def _composited(image: Image.Image, whites: Levels) -> Loaded:
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return _scaled(white.convert("RGB"), whites)


def _coloured(image: Image.Image, whites: Levels) -> Loaded:
    return _scaled(_in_mode(image, PLAIN_MODES.get(image.mode, "RGB")), whites)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Converted, without a copy where it is of this mode already."""
    return image if image.mode == mode else image.convert(mode)


# how pictures of a mode of Pillow are read, where not as colours of 8 bits
MODES: dict[str, Callable[[Image.Image, Levels], Loaded]] = {
    "1": _truth_values,
    **dict.fromkeys(("I", "F", "I;16", "I;16L", "I;16B", "I;16N"), _numbers),
    **dict.fromkeys(("RGBA", "LA", "PA", "La", "RGBa"), _composited),
}
PLAIN_MODES = {"L": "L"}  # the modes without colour; transparent ones are composited


def _scaled(image: Image.Image, whites: Levels) -> Loaded:
    """Rescale an 8-bit picture whose white is not 255."""
    largest = partial(_largest, image)
    if (white := whites.get("8-bit", USUAL["8-bit"])) != USUAL["8-bit"]:
        image = image.point(table(white) * len(image.getbands()))
    return Loaded(image, "8-bit", largest)


def _largest(image: Image.Image) -> float:
    return float(np.max(image.getextrema()))


def _from_numbers(values: np.ndarray, whites: Levels) -> Loaded:
    """Numbers of any type, (H, W) or (H, W, 3)."""
    kind = kind_of(values.dtype)
    if kind is None:  # truth values
        image = Image.fromarray(values.astype(np.uint8) * np.uint8(255))
        return Loaded(image, "8-bit", partial(float, USUAL["8-bit"]))
    low, top = float(values.min(initial=0)), float(values.max(initial=0))
    if not (low >= 0 and math.isfinite(top)):  # also where NaN
        raise ValueError(f"grey values from {low:g} to {top:g}: want none below 0")
    white = whites.get(kind, USUAL[kind])
    return Loaded(Image.fromarray(to_bytes(values, white)), kind, partial(float, top))


def resize_and_crop(image: Image.Image, shape: Shape) -> np.ndarray:
    """Resized (antialiased) to cover the shape, centre-cropped: uint8 (C, H, W)."""
    size = (shape.width, shape.height)
    if image.size != size:
        image = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    return pixels(image, shape.channels)


def pixels(image: Image.Image, channels: int) -> np.ndarray:
    """At its own size, in grey (1 channel) or colour (3): uint8 (C, H, W)."""
    if channels == 1:
        return np.asarray(_in_mode(image, "L"))[None]
    return np.ascontiguousarray(np.asarray(_in_mode(image, "RGB")).transpose(2, 0, 1))


def is_grey(image: Image.Image) -> bool:
    """Whether a picture, L or RGB, has no colour."""
    if len(image.getbands()) == 1:
        return True
    values = np.asarray(image).astype(np.int16)
    near = 2 if values.max() > 2 else 0  # JPEG rounds each channel
    return bool(np.abs(values - values[..., :1]).max() <= near)
