"""Pictures of any kind -> uint8 (C, H, W) of one size."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from ptheta.data.cache import Nothing, Stored, Writer, cached
from ptheta.data.names import shown
from ptheta.data.picture import Raw, Shape, is_grey, load, resize_and_crop
from ptheta.data.request import Request
from ptheta.data.values import USUAL, Kind, Levels, Values, merged
from ptheta.errors import PthetaError

PEEK = 64  # images looked at to choose a size
LARGEST_NATURAL = 128  # pixels: images that all have one size up to this keep it
DEFAULT_SIDE = 64
CHUNK = 256  # pictures in flight
MOST_THREADS = 8  # each may hold a large picture


@dataclass(frozen=True)
class RawPictures:
    """Pictures still to be decoded.

    name: for messages
    identity: which they are; stamp: their state, another whenever a picture changes
    items: (name, picture) in order, anew at each call
    sample: some pictures from all over the source, to choose a shape by. Those of `train`, so that
        every split has the same shape
    """

    name: str
    identity: object
    stamp: object
    items: Callable[[], Iterator[tuple[str, Raw]]]
    sample: Callable[[], Iterable[Raw]]


@dataclass(frozen=True)
class Pictures:
    """Decoded pictures: a memory map.

    images: uint8 (N, C, H, W)
    positions: int64 (N,), that of each in the source
    skipped: a line for each that cannot be read
    notes: lines about what was done to them
    advice: lines on what to do before training on them
    resized: whether any of them had another size; values: what they were stored as
    """

    images: np.ndarray
    positions: np.ndarray
    skipped: tuple[str, ...]
    notes: tuple[str, ...]
    advice: tuple[str, ...]
    resized: bool
    values: Values


def decode(source: RawPictures, request: Request) -> Pictures:
    """All pictures of a source, from the cache or decoded into it.

    Raises PthetaError where more than the share `max_broken` cannot be read, or none can.
    """
    settings = request.settings
    identity: tuple[object, ...] = (
        "pictures",
        source.identity,
        settings.size,
        settings.channels,
    )

    def build(writer: Writer) -> Decoded:
        return _decoded(source, request, writer)

    stored = cached(request.cache_dir, identity, source.stamp, build, Decoded)
    whites = request.whites_for(stored.about.tops)
    if whites != stored.about.whites:
        identity = (*identity, sorted(whites.items()))
        stored = cached(request.cache_dir, identity, source.stamp, build, Decoded)
    return _pictures(source.name, stored, request)


def _decoded(source: RawPictures, request: Request, writer: Writer) -> Decoded:
    """Decodes all pictures of a source into a cache."""
    with _workers() as pool:
        shape, tops = _peek(islice(source.sample(), PEEK), request)
        decoder = _Decoder(shape, request.whites_for(tops), request)
        decoder.run(source, pool, writer)
        whites = request.whites_for(decoder.tops)
        if any(white != decoder.whites.get(kind) for kind, white in whites.items()):
            writer.clear()  # those looked at first did not tell
            decoder = _Decoder(shape, whites, request)
            decoder.run(source, pool, writer)
    return decoder.about()


def _peek(raws: Iterable[Raw], request: Request) -> tuple[Shape, Levels]:
    """The shape for a collection, as asked for or else read off some of its pictures, and the
    largest values of these.

    One common size of at most 128 pixels is kept; anything else becomes 64x64. Grey if all are.
    """
    size, channels = request.settings.size, request.settings.channels
    sizes, grey = set(), True
    tops: list[Levels] = []
    for raw in raws:
        try:
            picture = load(raw)
        except Exception:  # a broken file is reported when its turn comes
            continue
        sizes.add(picture.image.size)
        grey = grey and is_grey(picture.image)
        tops.append({picture.kind: picture.top})
    width = height = size or DEFAULT_SIDE
    if size is None and len(sizes) == 1 and max(common := sizes.pop()) <= LARGEST_NATURAL:
        width, height = common
    return Shape(channels or (1 if grey else 3), height, width), merged(tops)


@dataclass(frozen=True)
class Decoded:
    """What a cache keeps of decoded pictures.

    total: how many there were; broken: (position, why it cannot be read) of some of them
    doubles: how many are twice as wide as high; tops, whites: see `Values`
    """

    total: int
    broken: list[tuple[int, str]]
    notes: list[str]
    doubles: int
    resized: bool
    tops: dict[Kind, float]
    whites: dict[Kind, float]


class _Picture(NamedTuple):
    """pixels: uint8 (C, H, W), None where it cannot be read, and why; size: what it had (width,
    height); coloured: whether colours are dropped; tops: its largest value by kind
    """

    pixels: np.ndarray | None
    why: str = ""
    size: tuple[int, int] = (0, 0)
    coloured: bool = False
    tops: Levels = {}  # noqa: RUF012


class _Decoder:
    """Decodes all pictures of a source with these values as white, and counts what they are."""

    def __init__(self, shape: Shape, whites: Levels, request: Request) -> None:
        self.shape, self.whites, self.request = shape, whites, request
        self.broken: list[tuple[int, str]] = []
        self.total = self.coloured = self.doubles = 0
        self.sizes: set[tuple[int, int]] = set()
        self.tops: dict[Kind, float] = {}

    def run(self, source: RawPictures, pool: ThreadPoolExecutor, writer: Writer) -> None:
        """Counts and writes the pictures. Raises PthetaError where none can be read."""
        items = source.items()
        while chunk := list(islice(items, CHUNK)):
            pictures = list(pool.map(self._one, chunk))
            pixels = [p.pixels for p in pictures if p.pixels is not None]
            if pixels:
                writer.add("images", np.stack(pixels))
            for i, picture in enumerate(pictures, start=self.total):
                self._count(i, picture)
            self.total += len(chunk)
        if not self.total:
            raise PthetaError(f"{source.name} holds no images: give data with at least two")
        if len(self.broken) == self.total:
            lines = [line for _, line in self.broken]
            raise _too_broken(source.name, self.total, lines, self.request)

    def _one(self, item: tuple[str, Raw]) -> _Picture:
        name, raw = item
        near = max(self.shape.height, self.shape.width)
        keeps_colour = self.shape.channels == 3 or self.request.settings.channels == 1
        try:
            image, kind, top = load(raw, near, self.whites)
            coloured = not (keeps_colour or is_grey(image))
            pixels = resize_and_crop(image, self.shape)
        except FileNotFoundError:
            return _Picture(None, f"{name}: no such file (a link that leads nowhere?)")
        except UnidentifiedImageError:
            return _Picture(None, f"{name}: not an image")
        except Exception as error:  # whatever a broken file makes a decoder raise
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            return _Picture(None, f"{name}: {shown(text)}")
        return _Picture(pixels, size=image.size, coloured=coloured, tops={kind: top})

    def _count(self, position: int, picture: _Picture) -> None:
        if picture.pixels is None:
            self.broken.append((position, picture.why))
            return
        width, height = picture.size
        self.sizes.add(picture.size)
        self.doubles += width == 2 * height
        self.coloured += picture.coloured
        self.tops = merged([self.tops, picture.tops])

    def about(self) -> Decoded:
        notes, side = [], (self.shape.width, self.shape.height)
        resized = self.sizes != {side}
        if resized:
            notes.append(f"pictures are resized and cropped to {side[0]}x{side[1]} pixels (--size)")
        if self.coloured:
            notes.append(
                f"{self.coloured} of {self.total} pictures have colours that are dropped, since "
                "those looked at first are grey (--channels 3 keeps them)"
            )
        return Decoded(
            total=self.total,
            broken=self.broken,
            notes=notes,
            doubles=self.doubles,
            resized=resized,
            tops=self.tops,
            whites={kind: self.whites.get(kind, USUAL[kind]) for kind in self.tops},
        )


def _pictures(name: str, stored: Stored[Decoded], request: Request) -> Pictures:
    """What the cache has of a source. Raises PthetaError where too much of it is broken."""
    about = stored.about
    skipped = tuple(line for _, line in about.broken)
    if len(skipped) > request.settings.max_broken * about.total:
        raise _too_broken(name, about.total, skipped, request)
    positions = np.delete(np.arange(about.total), [i for i, _ in about.broken])
    pairs = 2 * about.doubles > len(positions)
    return Pictures(
        images=stored.arrays["images"],
        positions=positions,
        skipped=skipped,
        notes=tuple(about.notes),
        advice=(_pairs(about.doubles, len(positions)),) if pairs else (),
        resized=about.resized,
        values=Values(about.tops, about.whites),
    )


def _pairs(doubles: int, n: int) -> str:
    return (
        f"{doubles} of {n} pictures are twice as wide as high: where each is a pair, side by side, "
        "cut them in two and give the halves in folders of their own"
    )


def resize(images: np.ndarray, identity: object, stamp: object, request: Request) -> np.ndarray:
    """uint8 (N, C, H, W) brought to the size and colour asked for; the array itself if it fits."""
    _, c, h, w = images.shape
    size, channels = request.settings.size, request.settings.channels
    shape = Shape(channels or c, size or h, size or w)
    if (c, h, w) == (shape.channels, shape.height, shape.width):
        return images
    if c not in (1, 3):
        raise PthetaError(
            f"images of {c} channels can be neither resized nor recoloured: drop --size, --channels"
        )

    def one(image: np.ndarray) -> np.ndarray:
        picture = image[0] if c == 1 else image.transpose(1, 2, 0)
        return resize_and_crop(Image.fromarray(np.ascontiguousarray(picture)), shape)

    def build(writer: Writer) -> Nothing:
        with _workers() as pool:
            for at in range(0, len(images), CHUNK):
                writer.add("images", np.stack(list(pool.map(one, images[at : at + CHUNK]))))
        return Nothing()

    identity, stamp = ("resized", identity, size, channels), (stamp, images.shape)
    return cached(request.cache_dir, identity, stamp, build, Nothing).arrays["images"]


@contextmanager
def _workers() -> Iterator[ThreadPoolExecutor]:
    """Threads, since Pillow decodes and resizes without holding the interpreter."""
    # warnings are set here, once: the filters belong to all threads
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged EXIF and the like; bombs are checked for
        with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
            yield pool


def _too_broken(
    name: str, total: int, skipped: tuple[str, ...] | list[str], request: Request
) -> PthetaError:
    cure = "mend or remove them, or raise --max-broken"
    return PthetaError(
        f"{name}: {len(skipped)} of {total} images cannot be read, more than the share "
        f"{request.settings.max_broken:g} that is allowed; the first is {skipped[0]}; "
        f"{cure if len(skipped) < total else 'give files that can be'}"
    )
