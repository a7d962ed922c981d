"""Pictures of any kind -> uint8 (C, H, W) of one size."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ptheta.data.cache import Stored, Writer, cached
from ptheta.errors import PthetaError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm")
PEEK = 64  # images looked at to choose a size
LARGEST_NATURAL = 128  # pixels: images that all have one size up to this keep it
DEFAULT_SIDE = 64

Raw = Path | bytes | Image.Image  # a picture not decoded yet, or one from a library


@dataclass(frozen=True)
class Shape:
    """What every picture becomes."""

    channels: int
    height: int
    width: int


def load(raw: Raw) -> Image.Image:
    """The picture upright, as mode L or RGB, 8 bits a channel, composited on white.

    Raises OSError, ValueError or Image.DecompressionBombError where it cannot be read.
    """
    source: Any = io.BytesIO(raw) if isinstance(raw, bytes) else raw
    image = source if isinstance(source, Image.Image) else Image.open(source)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _from_deep(image)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        rgba = image.convert("RGBA")
        image = Image.new("RGBA", rgba.size, "white")
        image.alpha_composite(rgba)
        image = image.convert("RGB")
    elif image.mode in ("1", "L"):
        return image.convert("L")
    else:
        image = image.convert("RGB")
    return image


def _from_deep(image: Image.Image) -> Image.Image:
    """16-bit grey to 8: 65535 is white, not all above 255."""
    values = np.asarray(image)
    if image.mode == "F":
        scale = 255.0 if values.max(initial=0) <= 1 else 1.0
        return Image.fromarray((values * scale).clip(0, 255).round().astype(np.uint8))
    deep = values.max(initial=0) > 255 or image.mode.startswith("I;16")
    return Image.fromarray((values / (257.0 if deep else 1.0)).clip(0, 255).round().astype("u1"))


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
    return bool(np.abs(values - values[..., :1]).max() <= 2)  # JPEG rounds each channel


def choose_shape(raws: Iterable[Raw], size: int | None, channels: int | None) -> Shape:
    """The shape for a collection: as asked for, else read off its first pictures.

    One common size of at most 128 pixels is kept; anything else becomes 64x64. Grey if all are.
    """
    sizes, grey = set(), True
    if size is None or channels is None:
        for raw in raws:
            try:
                image = load(raw)
            except Exception:  # a broken file is reported when its turn comes
                continue
            sizes.add(image.size)
            grey = grey and is_grey(image)
    width = height = size or DEFAULT_SIDE
    if size is None and len(sizes) == 1 and max(found := next(iter(sizes))) <= LARGEST_NATURAL:
        width, height = found
    return Shape(channels or (1 if grey else 3), height, width)


def decode(
    name: str,
    key: Any,
    items: Callable[[], Iterator[tuple[str, Raw]]],
    size: int | None,
    channels: int | None,
    max_broken: float,
) -> Stored:
    """All pictures as a cached array `images`; about: {"rows": kept positions, "skipped": lines}.

    items: gives (name, picture) in order, anew at each call
    Raises PthetaError where more than the share `max_broken` cannot be read, or none can.
    """
    about = {"name": name, "max_broken": max_broken}

    def build(writer: Writer) -> dict[str, Any]:
        shape = choose_shape((raw for _, raw in islice(items(), PEEK)), size, channels)
        rows: list[int] = []
        skipped: list[str] = []

        def one(item: tuple[str, Raw]) -> np.ndarray | str:
            try:
                return fit(load(item[1]), shape)
            except Exception as error:  # whatever a broken file makes a decoder raise
                reason = str(error) or type(error).__name__
                if "cannot identify image file" in reason:
                    reason = "not an image"
                return f"{item[0]}: {reason.splitlines()[0]}"

        source, total = items(), 0
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            while chunk := list(islice(source, 256)):
                done = list(pool.map(one, chunk))
                good = [image for image in done if not isinstance(image, str)]
                if good:
                    writer.add("images", np.stack(good))
                for i, result in enumerate(done):
                    if isinstance(result, str):
                        skipped.append(result)
                    else:
                        rows.append(total + i)
                total += len(chunk)
        if not total:
            raise PthetaError(f"{name} holds no images ({', '.join(SUFFIXES)}): give another path")
        if not rows or len(skipped) > max_broken * total:
            raise PthetaError(
                f"{name}: {len(skipped)} of {total} images cannot be read, more than the share "
                f"{max_broken:g} that is allowed; the first is {skipped[0]}; mend or remove them, "
                "or raise --max-broken"
            )
        return {**about, "rows": rows, "skipped": skipped}

    return cached(("pictures", key, size, channels, max_broken), build)


def refit(images: np.ndarray, size: int | None, channels: int | None) -> np.ndarray:
    """uint8 (N, C, H, W) brought to another size or colour; the array itself if it fits."""
    _, c, h, w = images.shape
    shape = Shape(channels or c, size or h, size or w)
    if (c, h, w) == (shape.channels, shape.height, shape.width):
        return images
    if c not in (1, 3):
        raise PthetaError(f"images of {c} channels can be neither resized nor recoloured")
    pictures = (image[0] if c == 1 else image.transpose(1, 2, 0) for image in images)
    return np.stack([fit(Image.fromarray(np.ascontiguousarray(p)), shape) for p in pictures])
