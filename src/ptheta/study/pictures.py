"""The images of a study as files that differ in nothing but their pixels.

All images of a study have the same width, height and mode, carry no metadata, and are PNG files of
the same number of bytes, so that neither the address nor the size of a file says what it shows.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image, ImageOps

Pixels = np.ndarray  # uint8 (H, W, 3)
PADDING = b"ptPd"  # a chunk of our own: ancillary, private, safe to copy
END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
TILES = 4  # an easy fake is a real image cut into so many rows and columns, shuffled
MASKS = 4  # patterns that are shown after a timed image
GRAIN = 12  # rows and columns of an image of noise


def fitted(picture: Image.Image, width: int, height: int) -> Pixels:
    """A picture in colour, shrunk to cover width x height and cropped around its centre."""
    flat = _flat(picture)
    if flat.size != (width, height):
        flat = ImageOps.fit(flat, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(flat)


def _flat(picture: Image.Image) -> Image.Image:
    """In colour, what is transparent on white."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        over = picture.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        return Image.alpha_composite(white, over).convert("RGB")
    if picture.mode.startswith("I;16") or picture.mode == "I":
        return Image.fromarray((np.asarray(picture) / 257).clip(0, 255).astype(np.uint8)).convert(
            "RGB"
        )
    return picture.convert("RGB")


def png(pixels: Pixels) -> bytes:
    """A PNG without metadata."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def padded(files: Sequence[bytes]) -> list[bytes]:
    """PNG files, all brought to the same number of bytes by a chunk that no reader shows."""
    least = 12  # bytes of an empty chunk
    size = max(map(len, files)) + least
    return [_padded(file, size - len(file) - least) for file in files]


def _padded(file: bytes, n: int) -> bytes:
    assert file.endswith(END)
    body = PADDING + bytes(n)
    chunk = struct.pack(">I", n) + body + struct.pack(">I", zlib.crc32(body))
    return file[: -len(END)] + chunk + END


def shuffled(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """An easy fake: the tiles of an image in another order."""
    h, w = pixels.shape[:2]
    rows = np.linspace(0, h, min(TILES, h) + 1).astype(int)
    columns = np.linspace(0, w, min(TILES, w) + 1).astype(int)
    boxes = [
        (top, bottom, left, right)
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
    ]
    made = pixels.copy()
    for (top, bottom, left, right), other in zip(
        boxes, random.permutation(len(boxes)), strict=True
    ):
        a, _, c, _ = boxes[other]
        a, c = min(a, h - (bottom - top)), min(c, w - (right - left))
        made[top:bottom, left:right] = pixels[a : a + bottom - top, c : c + right - left]
    return made


def noise(width: int, height: int, random: np.random.Generator) -> Pixels:
    """Coarse noise in colour, which nobody who looks takes for an image."""
    grain = random.integers(0, 256, (min(GRAIN, height), min(GRAIN, width), 3), dtype=np.uint8)
    large = Image.fromarray(grain).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(large)


def mask(pictures: Sequence[Pixels], random: np.random.Generator) -> Pixels:
    """A pattern with the mean spectrum of the pictures and random phases: it covers what was seen
    and shows none of it."""
    stack = np.stack(pictures).astype(np.float64)
    mean = stack.mean((0, 1, 2))
    power = np.abs(np.fft.fft2(stack - mean, axes=(1, 2))).mean(0)
    phases = np.exp(2j * np.pi * random.random(power.shape[:2]))[..., None]
    pattern = np.fft.ifft2(power * phases, axes=(0, 1)).real
    spread = pattern.std() or 1.0
    covered: Pixels = np.clip(mean + pattern * (64 / spread), 0, 255).astype(np.uint8)
    return covered
