"""Pictures of any kind -> uint8 (C, H, W) of one size."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image

from ptheta.data.cache import Stored, Writer, cached
from ptheta.data.picture import Raw, Shape, fit, is_grey, load
from ptheta.data.request import Request
from ptheta.data.values import USUAL, Levels, Values, merged
from ptheta.errors import PthetaError

PEEK = 64  # images looked at to choose a size
LARGEST_NATURAL = 128  # pixels: images that all have one size up to this keep it
DEFAULT_SIDE = 64
CHUNK = 256  # pictures in flight
MOST_THREADS = 8  # each may hold a large picture


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
    advice: lines on what to do before training on them
    resized: whether any of them had another size; values: what they were stored as
    """

    images: np.ndarray
    kept: np.ndarray
    skipped: tuple[str, ...]
    notes: tuple[str, ...]
    advice: tuple[str, ...]
    resized: bool
    values: Values


def _peek(raws: Iterable[Raw], request: Request) -> tuple[Shape, Levels]:
    """The shape for a collection, as asked for or else read off some of its pictures, and the
    largest values of these.

    One common size of at most 128 pixels is kept; anything else becomes 64x64. Grey if all are.
    """
    size, sizes, grey = request.size, set(), True
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
    if size is None and len(sizes) == 1 and max(found := next(iter(sizes))) <= LARGEST_NATURAL:
        width, height = found
    return Shape(request.channels or (1 if grey else 3), height, width), merged(tops)


def decode(source: Source, request: Request) -> Pictures:
    """All pictures of a source, from the cache or decoded into it.

    Raises PthetaError where more than the share `max_broken` cannot be read, or none can.
    """

    def build(writer: Writer) -> dict[str, Any]:
        with _workers() as pool:
            shape, tops = _peek(islice(source.sample(), PEEK), request)
            found = _Pass(shape, request.whites_for(tops), request)
            found.run(source, pool, writer)
            whites = request.whites_for(found.tops)
            if any(white != found.whites.get(kind) for kind, white in whites.items()):
                writer.clear()  # those looked at first did not tell
                found = _Pass(shape, whites, request)
                found.run(source, pool, writer)
        return found.about()

    identity = ("pictures", source.identity, request.size, request.channels)
    stored = cached(request.cache_dir, identity, source.stamp, build)
    whites = request.whites_for(stored.about["tops"])
    if whites != stored.about["whites"]:
        stored = cached(request.cache_dir, (*identity, sorted(whites.items())), source.stamp, build)
    return _pictures(source.name, stored, request)


class _Pass:
    """All pictures of a source, decoded with these values as white."""

    def __init__(self, shape: Shape, whites: Levels, request: Request) -> None:
        self.shape, self.whites, self.request = shape, whites, request
        self.broken: list[tuple[int, str]] = []
        self.total = self.coloured = self.doubles = 0
        self.sizes: set[tuple[int, int]] = set()
        self.tops: Levels = {}

    def run(self, source: Source, pool: ThreadPoolExecutor, writer: Writer) -> None:
        """Counts and writes the pictures. Raises PthetaError where none can be read."""
        items = source.items()
        while chunk := list(islice(items, CHUNK)):
            good = []
            for i, done in enumerate(pool.map(self._one, chunk), start=self.total):
                if isinstance(done, str):
                    self.broken.append((i, done))
                    continue
                pixels, (width, height), grey, tops = done
                good.append(pixels)
                self.sizes.add((width, height))
                self.doubles += width == 2 * height
                self.coloured += not grey
                self.tops = merged([self.tops, tops])
            if good:
                writer.add("images", np.stack(good))
            self.total += len(chunk)
        if not self.total:
            raise PthetaError(f"{source.name} holds no images: give data with at least two")
        if len(self.broken) == self.total:
            lines = [line for _, line in self.broken]
            raise _too_broken(source.name, self.total, lines, self.request)

    def _one(self, item: tuple[str, Raw]) -> tuple[np.ndarray, tuple[int, int], bool, Levels] | str:
        """(uint8 (C, H, W), the size it had, whether no colour is dropped, its largest value), or
        why it cannot be read."""
        near = max(self.shape.height, self.shape.width)
        try:
            image, kind, top = load(item[1], near, self.whites)
            grey = self.shape.channels == 3 or self.request.channels == 1 or is_grey(image)
            return fit(image, self.shape), image.size, grey, {kind: top}
        except Exception as error:  # whatever a broken file makes a decoder raise
            return f"{item[0]}: {_reason(error)}"

    def about(self) -> dict[str, Any]:
        """What a cache keeps of it."""
        notes, side = [], (self.shape.width, self.shape.height)
        resized = self.sizes != {side}
        if resized:
            notes.append(f"pictures are resized and cropped to {side[0]}x{side[1]} pixels (--size)")
        if self.coloured:
            notes.append(
                f"{self.coloured} of {self.total} pictures have colours that are dropped, since "
                "those looked at first are grey (--channels 3 keeps them)"
            )
        return {
            "total": self.total,
            "broken": self.broken,
            "notes": notes,
            "doubles": self.doubles,
            "resized": resized,
            "tops": self.tops,
            "whites": {kind: self.whites.get(kind, USUAL[kind]) for kind in self.tops},
        }


def _pictures(name: str, stored: Stored, request: Request) -> Pictures:
    """What the cache has of a source. Raises PthetaError where too much of it is broken."""
    about = stored.about
    total, broken, doubles = about["total"], about["broken"], about["doubles"]
    skipped = tuple(line for _, line in broken)
    if len(skipped) > request.max_broken * total:
        raise _too_broken(name, total, skipped, request)
    kept = np.delete(np.arange(total), [i for i, _ in broken])
    advice = (_pairs(doubles, len(kept)),) if 2 * doubles > len(kept) else ()
    values = Values(about["tops"], about["whites"])
    images, notes = stored.arrays["images"], tuple(about["notes"])
    return Pictures(images, kept, skipped, notes, advice, about["resized"], values)


def _pairs(doubles: int, n: int) -> str:
    return (
        f"{doubles} of {n} pictures are twice as wide as high: where each is a pair, side by side, "
        "cut them in two and give the halves in folders of their own"
    )


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
