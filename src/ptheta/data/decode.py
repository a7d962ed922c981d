"""Pictures of any kind -> uint8 (C, H, W) of one size."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ptheta.data.cache import Writer, cached
from ptheta.data.request import Request
from ptheta.errors import PthetaError

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm"),
    *(".pbm", ".pnm", ".jpe", ".jfif", ".jp2", ".tga", ".avif"),
)
PEEK = 64  # images looked at to choose a size
RESIZED = "resized and cropped"  # what a note says where they are
LARGEST_NATURAL = 128  # pixels: images that all have one size up to this keep it
DEFAULT_SIDE = 64
CHUNK = 256  # pictures in flight
MOST_THREADS = 8  # each may hold a large picture

Raw = Path | bytes | Image.Image  # a picture not decoded yet, or one from a library


@dataclass(frozen=True)
class Shape:
    """What every picture becomes."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Source:
    """Pictures still to be decoded.

    name: for messages
    identity: which they are; stamp: their state, another whenever a picture changes
    items: (name, picture) in order, anew at each call
    sample: some pictures from all over the source, to choose a shape by. Those of `train`, so that
        every split has the same shape
    """

    name: str
    identity: Any
    stamp: Any
    items: Callable[[], Iterator[tuple[str, Raw]]]
    sample: Callable[[], Iterable[Raw]]


@dataclass(frozen=True)
class Pictures:
    """Decoded pictures: a memory map.

    images: uint8 (N, C, H, W)
    kept: int64 (N,), the position in the source of each
    skipped: a line for each that cannot be read
    notes: lines about what was done to them
    """

    images: np.ndarray
    kept: np.ndarray
    skipped: tuple[str, ...]
    notes: tuple[str, ...]


def load(raw: Raw, near: int | None = None) -> Image.Image:
    """The picture upright, as mode L or RGB, 8 bits a channel, composited on white.

    near: a side in pixels that it will be shrunk to; a large JPEG is then decoded at a fraction of
        its size, never below twice this side
    Raises OSError, ValueError or Image.DecompressionBombError where it cannot be read.
    """
    if isinstance(raw, Image.Image):
        return _plain(raw)
    with Image.open(io.BytesIO(raw) if isinstance(raw, bytes) else raw) as image:
        width, height = image.size
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and width * height > limit:
            raise ValueError(f"{width}x{height} pixels, more than Pillow's limit of {limit}")
        if near is not None:
            image.draft(None, (2 * near, 2 * near))
        return _plain(image)


def _plain(image: Image.Image) -> Image.Image:
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _from_deep(image)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        return white.convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    """Grey of 16 bits (65535 is white) or floats (white is 1, or 255 if any is above 1) to 8."""
    values = np.asarray(image).astype(np.float64)
    if image.mode == "F":
        white = 1.0 if values.max(initial=0) <= 1 else 255.0
    else:
        white = 65535.0
    if not ((values >= 0) & (values <= white)).all():  # also where NaN
        raise ValueError(f"grey values from {values.min():g} to {values.max():g}, not 0..{white:g}")
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))


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


def choose_shape(raws: Iterable[Raw], request: Request) -> Shape:
    """The shape for a collection: as asked for, else read off some of its pictures.

    One common size of at most 128 pixels is kept; anything else becomes 64x64. Grey if all are.
    """
    size, channels = request.size, request.channels
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


def decode(source: Source, request: Request) -> Pictures:
    """All pictures of a source, from the cache or decoded into it.

    Raises PthetaError where more than the share `max_broken` cannot be read, or none can.
    """

    def build(writer: Writer) -> dict[str, Any]:
        broken: list[tuple[int, str]] = []
        total = coloured = 0
        sizes: set[tuple[int, int]] = set()

        def one(item: tuple[str, Raw]) -> tuple[np.ndarray, tuple[int, int], bool] | str:
            try:
                image = load(item[1], near)
                grey = shape.channels == 3 or request.channels == 1 or is_grey(image)
                return fit(image, shape), image.size, grey
            except Exception as error:  # whatever a broken file makes a decoder raise
                return f"{item[0]}: {_reason(error)}"

        with _workers() as pool:
            shape = choose_shape(islice(source.sample(), PEEK), request)
            near, items = max(shape.height, shape.width), source.items()
            while chunk := list(islice(items, CHUNK)):
                good = []
                for i, done in enumerate(pool.map(one, chunk), start=total):
                    if isinstance(done, str):
                        broken.append((i, done))
                        continue
                    good.append(done[0])
                    sizes.add(done[1])
                    coloured += not done[2]
                if good:
                    writer.add("images", np.stack(good))
                total += len(chunk)
        if not total:
            raise PthetaError(f"{source.name} holds no images: give data with at least two")
        if len(broken) == total:
            raise _too_broken(source.name, total, [line for _, line in broken], request)
        notes = []
        if len(sizes) > 1 or sizes != {(shape.width, shape.height)}:
            side = f"{shape.width}x{shape.height}"
            notes.append(f"pictures are {RESIZED} to {side} pixels (--size)")
        if coloured:
            notes.append(
                f"{coloured} of {total} pictures have colours that are dropped, since those looked "
                "at first are grey (--channels 3 keeps them)"
            )
        return {"total": total, "broken": broken, "notes": notes}

    identity = ("pictures", source.identity, request.size, request.channels)
    stored = cached(request.cache_dir, identity, source.stamp, build)
    total, broken = stored.about["total"], stored.about["broken"]
    skipped = tuple(line for _, line in broken)
    if len(skipped) > request.max_broken * total:
        raise _too_broken(source.name, total, skipped, request)
    kept = np.delete(np.arange(total), [i for i, _ in broken])
    return Pictures(stored.arrays["images"], kept, skipped, tuple(stored.about["notes"]))


def resize(images: np.ndarray, identity: Any, stamp: Any, request: Request) -> np.ndarray:
    """uint8 (N, C, H, W) brought to the size and colour asked for; the array itself if it fits."""
    _, c, h, w = images.shape
    shape = Shape(request.channels or c, request.size or h, request.size or w)
    if (c, h, w) == (shape.channels, shape.height, shape.width):
        return images
    if c not in (1, 3):
        raise PthetaError(
            f"images of {c} channels can be neither resized nor recoloured: drop --size, --channels"
        )

    def one(image: np.ndarray) -> np.ndarray:
        picture = image[0] if c == 1 else image.transpose(1, 2, 0)
        return fit(Image.fromarray(np.ascontiguousarray(picture)), shape)

    def build(writer: Writer) -> dict[str, Any]:
        with _workers() as pool:
            for at in range(0, len(images), CHUNK):
                writer.add("images", np.stack(list(pool.map(one, images[at : at + CHUNK]))))
        return {}

    identity = ("resized", identity, request.size, request.channels)
    return cached(request.cache_dir, identity, (stamp, images.shape), build).arrays["images"]


@contextmanager
def _workers() -> Iterator[ThreadPoolExecutor]:
    """Threads, since Pillow decodes and resizes without holding the interpreter."""
    # warnings are set here, once: the filters belong to all threads
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged EXIF and the like; bombs are checked for
        with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
            yield pool


def _reason(error: Exception) -> str:
    text = str(error)
    if isinstance(error, FileNotFoundError):
        return "no such file (a link that leads nowhere?)"
    if "cannot identify image file" in text:
        return "not an image"
    return text.splitlines()[0] if text else type(error).__name__


def _too_broken(
    name: str, total: int, skipped: tuple[str, ...] | list[str], request: Request
) -> PthetaError:
    cure = "mend or remove them, or raise --max-broken"
    return PthetaError(
        f"{name}: {len(skipped)} of {total} images cannot be read, more than the share "
        f"{request.max_broken:g} that is allowed; the first is {skipped[0]}; "
        f"{cure if len(skipped) < total else 'give files that can be'}"
    )
