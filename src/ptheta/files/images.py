"""Image grids and image files."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.files.atomic import SOFTWARE, write_atomic
from ptheta.files.captions import captioned, headed, titled

LARGEST = 2**26  # default width in pixels of a grid of images
GREY, NEARLY_WHITE = 176, 225  # background of images that are white at their edges


def between(x: Tensor) -> int:
    """The background between images (..., C, H, W): white, or grey if the images are white at their
    edges, so that their borders are visible."""
    edges = torch.cat([x[..., [0, -1], :].flatten(), x[..., [0, -1]].flatten()])
    return GREY if bool((edges >= NEARLY_WHITE).double().mean() > 0.5) else 255


def grid(
    x: Tensor, columns: int | None = None, gap: int = 1, background: int | None = None
) -> np.ndarray:
    """Arrange images uint8 (N, C, H, W) in a grid: one image, uint8 (rows, columns) or (rows,
    columns, 3).

    columns: images per row (default: as square as possible); gap: pixels between two images
    background: value of gaps and empty cells; default: see `between`
    """
    background = between(x) if background is None else background
    images = x.cpu().numpy()
    n, c, h, w = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    canvas = np.full(
        (rows * (h + gap) - gap, columns * (w + gap) - gap, c), background, dtype=np.uint8
    )
    for i, image in enumerate(images):
        top, left = (i // columns) * (h + gap), (i % columns) * (w + gap)
        canvas[top : top + h, left : left + w] = image.transpose(1, 2, 0)
    return canvas[..., 0] if c == 1 else canvas[..., :3]


def read_rgb(file: Path) -> np.ndarray:
    """Read an image file in colour: uint8 (H, W, 3)."""
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


def shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    """Downscale an image, uint8 (H, W) or (H, W, 3), to at most `side` in width and height."""
    h, w = picture.shape[:2]
    share = side / max(h, w)
    if share >= 1:
        return picture
    size = max(1, round(share * w)), max(1, round(share * h))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def drawn_at(
    n: int,
    shape: tuple[int, ...],
    suffix: str,
    wide: int,
    columns: int | None = None,
    scale: int | None = None,
) -> int:
    """The integer scale at which to draw a grid of n images (C, H, W): such that an image is about
    `wide` pixels wide, less if the file would be too large for its format.

    suffix: of the file, one of `PICTURES`; scale: the scale requested by the user, or None
    Raises PthetaError if the grid is too large even at scale 1, or at the requested scale.
    """
    _, h, w = shape
    columns = columns or math.ceil(math.sqrt(n))
    height, width = math.ceil(n / columns) * (h + 1) - 1, columns * (w + 1) - 1
    most = PICTURES[suffix].largest
    largest = min(most // max(height, width), math.isqrt(LARGEST // (height * width)))
    if largest < 1:
        raise PthetaError(
            f"{n:,} images make a grid of {width:,}x{height:,} pixels, more than programs open: "
            "ask for fewer, or write them as .npy or into a folder (a name without a suffix)"
        )
    if scale is None:
        return min(largest, max(1, wide // w))
    if scale > largest:
        raise PthetaError(
            f"--scale {scale}: {n:,} images make a grid of {scale * width:,}x{scale * height:,} "
            f"pixels, more than programs open: give {largest} or less"
        )
    return scale


@dataclass(frozen=True)
class PictureFormat:
    """An image format. name: in Pillow; largest: maximum side in pixels; options: for saving,
    nearly lossless"""

    name: str
    largest: int
    options: Mapping[str, object]

    def encode(self, image: Image.Image, *, mark: bool) -> bytes:
        """Encode an image. mark: whether to record in Exif data that ptheta wrote it"""
        buffer, exif = io.BytesIO(), Image.Exif()
        if mark:
            exif[ExifTags.Base.Software] = SOFTWARE
        image.save(buffer, format=self.name, exif=exif, **self.options)
        return buffer.getvalue()


class PngFormat(PictureFormat):
    """PNG, with the mark of ptheta in a text chunk."""

    def encode(self, image: Image.Image, *, mark: bool) -> bytes:
        buffer, texts = io.BytesIO(), PngInfo()
        if mark:
            texts.add_text("Software", SOFTWARE)
        image.save(buffer, format=self.name, pnginfo=texts, **self.options)
        return buffer.getvalue()


PNG = PngFormat("PNG", 2**31 - 1, {"optimize": True})
JPEG = PictureFormat("JPEG", 65_500, {"quality": 95, "subsampling": 0})
WEBP = PictureFormat("WEBP", 16_383, {"lossless": True})
PICTURES = {".png": PNG, ".jpg": JPEG, ".jpeg": JPEG, ".webp": WEBP}  # by suffix


def to_picture(
    picture: np.ndarray,
    suffix: str,
    scale: int = 1,
    *,
    mark: bool = True,
    captions: Sequence[str] = (),
    headings: Sequence[str] = (),
    title: str = "",
) -> bytes:
    """Encode an image in the format of `suffix` (of `PICTURES`), each pixel drawn as scale x scale;
    JPEG is nearly lossless.

    mark: whether to mark the file as written by ptheta, so that it is not read as data
    captions: a text to the left of each row of images
    headings: a text above each column
    title: a text above all
    """
    return PICTURES[suffix].encode(lettered(picture, scale, captions, headings, title), mark=mark)


def to_png(
    picture: np.ndarray,
    scale: int = 1,
    *,
    mark: bool = True,
    captions: Sequence[str] = (),
    headings: Sequence[str] = (),
    title: str = "",
) -> bytes:
    """PNG bytes of an image; see `to_picture`."""
    return PNG.encode(lettered(picture, scale, captions, headings, title), mark=mark)


def lettered(
    picture: np.ndarray,
    scale: int,
    captions: Sequence[str] = (),
    headings: Sequence[str] = (),
    title: str = "",
) -> Image.Image:
    """An image with each pixel drawn as scale x scale, and its texts: see `to_picture`."""
    image = Image.fromarray(picture)
    if scale > 1:
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    columns = image.width
    if captions:
        image = captioned(image, captions)
    if headings:
        image = headed(image, headings, image.width - columns)
    return titled(image, title) if title else image


def write_png(
    path: Path,
    picture: np.ndarray,
    scale: int = 1,
    *,
    mark: bool = True,
    captions: Sequence[str] = (),
    headings: Sequence[str] = (),
    title: str = "",
) -> None:
    """Write an image as PNG, atomically. mark, captions, headings, title: see `to_picture`"""
    data = to_png(picture, scale, mark=mark, captions=captions, headings=headings, title=title)
    write_atomic(path, lambda temp: temp.write_bytes(data))
