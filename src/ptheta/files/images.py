"""Image batches as picture files and grids."""

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

LARGEST = 2**26  # pixels of a picture of many images
GREY, NEARLY_WHITE = 176, 225  # between images that are white at their edges


def between(x: Tensor) -> int:
    """What stands between images (..., C, H, W): white, but grey where they are white at their
    edges, so that it is seen where one ends."""
    edges = torch.cat([x[..., [0, -1], :].flatten(), x[..., [0, -1]].flatten()])
    return GREY if bool((edges >= NEARLY_WHITE).double().mean() > 0.5) else 255


def grid(
    x: Tensor, columns: int | None = None, gap: int = 1, background: int | None = None
) -> np.ndarray:
    """uint8 (N, C, H, W) -> one picture, uint8 (rows, columns) or (rows, columns, 3).

    columns: images side by side (default: as square as can be); gap: pixels between two images
    background: of the gaps and of what no image fills; by default that of `between`
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
    """A picture in colour: uint8 (H, W, 3)."""
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


def shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture, uint8 (H, W) or (H, W, 3), no larger than `side` across and down."""
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
    """The side in pixels that `grid` and `to_picture` should give a pixel of n images (C, H, W):
    as many as make an image `wide` pixels wide, fewer where the picture would be too large.

    suffix: of the picture, one of `PICTURES`; scale: the side that the user wants, None for any
    Raises PthetaError where even one is too many, and where `scale` is.
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
    """name: as Pillow has it; largest: side in pixels; options: of saving, nearly without loss"""

    name: str
    largest: int
    options: Mapping[str, object]

    def encode(self, image: Image.Image, *, mark: bool) -> bytes:
        """mark: whether Exif data say that ptheta drew it"""
        buffer, exif = io.BytesIO(), Image.Exif()
        if mark:
            exif[ExifTags.Base.Software] = SOFTWARE
        image.save(buffer, format=self.name, exif=exif, **self.options)
        return buffer.getvalue()


class PngFormat(PictureFormat):
    """A PNG says who drew it in a text of its own."""

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
    """Bytes of a picture in the format of `suffix` (of `PICTURES`), each pixel drawn as scale x
    scale; of a JPEG, nearly the picture.

    mark: whether it says that ptheta drew it, by which a folder of pictures leaves it out
    captions: a text for each row of images, to the left of it
    headings: a text for each column, above it
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
    """PNG bytes of a picture; see `to_picture`."""
    return PNG.encode(lettered(picture, scale, captions, headings, title), mark=mark)


def lettered(
    picture: np.ndarray,
    scale: int,
    captions: Sequence[str] = (),
    headings: Sequence[str] = (),
    title: str = "",
) -> Image.Image:
    """A picture with each pixel drawn as scale x scale, and its texts: see `to_picture`."""
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
    """Writes the picture as PNG, atomically. mark, captions, headings, title: see `to_picture`"""
    data = to_png(picture, scale, mark=mark, captions=captions, headings=headings, title=title)
    write_atomic(path, lambda temp: temp.write_bytes(data))
