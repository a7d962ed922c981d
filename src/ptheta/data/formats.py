"""The supported picture formats: raster formats with decoders that run no other program.

All pictures are opened here. Pillow alone would also try PostScript, which it passes to
Ghostscript, regardless of the file name.
"""

from __future__ import annotations

import io
import os
import stat
from functools import cache
from pathlib import Path
from typing import Protocol, runtime_checkable

from PIL import Image

FORMATS: dict[str, tuple[str, ...]] = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".pgm", ".ppm", ".pbm", ".pnm", ".pfm"),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    "AVIF": (".avif", ".avifs"),
    "QOI": (".qoi",),
    "DIB": (".dib",),
    "PCX": (".pcx",),
    "SGI": (".sgi", ".rgb", ".rgba", ".bw"),
    "SUN": (".ras",),
    "TGA": (".tga", ".icb", ".vda", ".vst"),
}
# first bytes are ambiguous: these formats are recognised by suffix only
VAGUE = ("DIB", "PCX", "SGI", "TGA")
MOST_PACKED = 2**30  # bytes of one picture in an archive


@runtime_checkable
class Packed(Protocol):
    """A picture in an archive, unpacked when it is read."""

    def read(self) -> bytes: ...


@cache
def readable() -> tuple[str, ...]:
    """The formats that this Pillow can decode, the vaguest last."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def suffixes() -> tuple[str, ...]:
    """The suffixes of those, in lower case."""
    return tuple(suffix for name in readable() for suffix in FORMATS[name])


def opened(raw: Path | bytes | Packed) -> Image.Image:
    """Open a picture and read its header, not its pixels.

    Raises:
        OSError, ValueError or Image.DecompressionBombError: if it is not a file, not of a supported
            format, or has more pixels than Pillow's limit.
    """
    if isinstance(raw, Path):
        if not stat.S_ISREG(os.stat(raw).st_mode):
            raise OSError("not a regular file")  # a pipe would be waited for
        image = Image.open(raw, formats=readable())
    else:
        data = raw if isinstance(raw, bytes) else raw.read()
        image = Image.open(io.BytesIO(data), formats=readable())
    width, height = image.size
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        image.close()
        raise ValueError(f"{width}x{height} pixels, more than Pillow's limit of {limit}")
    return image


def named_so(name: str) -> bool:
    """Whether a file name has the suffix of a picture."""
    return name.lower().endswith(suffixes())


def looks_so(head: bytes) -> bool:
    """Whether the first 16 bytes of a file are those of a picture: for files without a suffix."""
    if head[:2] == b"BM" and head[6:10] != bytes(4):  # two letters that a text may begin with
        return False
    if head[:1] == b"P" and not head[2:3].isspace():
        return False
    tests = (Image.OPEN[name][1] for name in readable() if name not in VAGUE)
    return any(accept is not None and accept(head) is True for accept in tests)
