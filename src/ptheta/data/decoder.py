"""Pictures of one source, one after the other -> uint8 (C, H, W), written to a cache."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from ptheta.data.cache import Writer
from ptheta.data.names import shown
from ptheta.data.pairs.palette import Colour, in_colours
from ptheta.data.pairs.table import Part
from ptheta.data.picture import Raw, Shape, is_grey, load, resize_and_crop
from ptheta.data.request import Request
from ptheta.data.values import USUAL, Kind, Levels, merged
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec, LabelMapSpec

CHUNK = 256  # pictures in flight
MOST_THREADS = 8  # each may hold a large picture
DOUBLE = 0.02  # of an aspect of 2, that such pictures may be off
TARGET: Part = "target"
INPUT: Part = "input"
ARRAYS: dict[Part, str] = {TARGET: "images", INPUT: "inputs"}  # in the cache


class Items(Protocol):
    """Pictures still to be decoded."""

    @property
    def name(self) -> str: ...

    def items(self) -> Iterator[tuple[str, Raw]]: ...


@dataclass(frozen=True)
class Look:
    """The target format of a part's pictures. palette: the colours of label maps; else empty"""

    shape: Shape
    palette: tuple[Colour, ...] = ()

    def pixels(self, image: Image.Image) -> np.ndarray:
        """uint8 (C, H, W)"""
        if self.palette:
            return in_colours(image, self.shape, self.palette)
        return resize_and_crop(image, self.shape)


def look_of(spec: ImageSpec) -> Look:
    """The target format for a spec; label maps keep the most frequent colour in each cell of the
    stored picture."""
    palette = spec.palette if isinstance(spec, LabelMapSpec) else ()
    return Look(Shape(*spec.shape), palette)


@dataclass(frozen=True)
class Decoded:
    """Metadata of decoded pictures in the cache.

    total: number of pictures; broken: (position, reason) of those that cannot be read
    doubles: number of pictures twice as wide as high; tops, whites: see `Values`
    palettes: the colours of each part that is label maps
    """

    total: int
    broken: list[tuple[int, str]]
    notes: list[str]
    doubles: int
    resized: bool
    tops: dict[Kind, float]
    whites: dict[Kind, float]
    palettes: dict[Part, list[list[int]]]


class _Picture(NamedTuple):
    """A decoded picture.

    pixels: uint8 (C, H, W); None, with the reason, if it cannot be read; size: stored (width,
    height); coloured: whether colours are dropped; tops: its largest value by kind
    """

    pixels: np.ndarray | None
    why: str = ""
    size: tuple[int, int] = (0, 0)
    coloured: bool = False
    tops: Levels = {}  # noqa: RUF012


class _Decoder:
    """Decode the pictures of one part with these white values, and collect counts."""

    def __init__(self, look: Look, whites: Levels, request: Request) -> None:
        self.look, self.whites, self.request = look, whites, request
        self.coloured = self.doubles = 0
        self.sizes: set[tuple[int, int]] = set()
        self.tops: dict[Kind, float] = {}

    def one(self, item: tuple[str, Raw]) -> _Picture:
        name, raw = item
        shape, planes = self.look.shape, bool(self.look.palette)
        near = None if planes else max(shape.height, shape.width)
        keeps_colour = shape.channels == 3 or self.request.settings.channels == 1
        try:
            loaded = load(raw, near, USUAL if planes else self.whites)
            coloured = not (keeps_colour or is_grey(loaded.image))
            pixels = self.look.pixels(loaded.image)
            tops: Levels = {} if planes else {loaded.kind: loaded.top}
        except FileNotFoundError:
            return _Picture(None, f"{name}: no such file (a broken link?)")
        except UnidentifiedImageError:
            return _Picture(None, f"{name}: not an image")
        except Exception as error:  # whatever a broken file makes a decoder raise
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            return _Picture(None, f"{name}: {shown(text)}")
        return _Picture(pixels, size=loaded.image.size, coloured=coloured, tops=tops)

    def count(self, picture: _Picture) -> None:
        width, height = picture.size
        self.sizes.add(picture.size)
        self.doubles += abs(width - 2 * height) <= DOUBLE * height
        self.coloured += picture.coloured
        self.tops = merged([self.tops, picture.tops])

    @property
    def resized(self) -> bool:
        return self.sizes != {(self.look.shape.width, self.look.shape.height)}

    def notes(self, of: str, total: int) -> list[str]:
        """of: what these are, where there are others as well"""
        notes, shape = [], self.look.shape
        if self.resized:
            how = "brought" if self.look.palette else "resized and cropped"
            notes.append(
                f"{of or 'pictures'} are {how} to {shape.width}x{shape.height} pixels (--size)"
            )
        if self.look.palette:
            n = len(self.look.palette)
            notes.append(f"label maps{of and f' ({of})'} have {n} colours (--label-colours)")
        if self.coloured:
            notes.append(
                f"{self.coloured} of {total} {of or 'pictures'} are in colour and become grey, "
                "since the first ones sampled are grey (--channels 3 keeps colours)"
            )
        return notes


class Decoders:
    """Decodes the pictures of all parts, one of each at a time: a pair, or a picture by itself."""

    def __init__(self, looks: Mapping[Part, Look], whites: Levels, request: Request) -> None:
        self.whites, self.request = whites, request
        self.each = {part: _Decoder(look, whites, request) for part, look in looks.items()}
        self.broken: list[tuple[int, str]] = []
        self.total = 0

    def run(self, parts: Mapping[Part, Items], pool: ThreadPoolExecutor, writer: Writer) -> None:
        """Counts and writes the pictures. Raises PthetaError where none can be read."""
        name = parts[TARGET].name
        items = zip(*(parts[part].items() for part in self.each), strict=True)
        while chunk := list(islice(items, CHUNK)):
            columns = zip(*chunk, strict=True)
            decoded = [
                list(pool.map(decoder.one, column))
                for decoder, column in zip(self.each.values(), columns, strict=True)
            ]
            self._write(list(zip(*decoded, strict=True)), writer)
            self.total += len(chunk)
        if not self.total:
            raise PthetaError(f"{name} holds no images: give data with at least two")
        if len(self.broken) == self.total:
            raise too_broken(name, self.total, [line for _, line in self.broken], self.request)

    def _write(self, pictures: list[tuple[_Picture, ...]], writer: Writer) -> None:
        """Some pairs; a pair is broken if one of its pictures cannot be read."""
        kept: list[tuple[_Picture, ...]] = []
        for position, pair in enumerate(pictures, start=self.total):
            why = next((picture.why for picture in pair if picture.pixels is None), None)
            if why is not None:
                self.broken.append((position, why))
            else:
                kept.append(pair)
        for at, (part, decoder) in enumerate(self.each.items()):
            pixels = [pair[at].pixels for pair in kept]
            if kept:
                writer.add(ARRAYS[part], np.stack([p for p in pixels if p is not None]))
            for pair in kept:
                decoder.count(pair[at])

    @property
    def tops(self) -> dict[Kind, float]:
        return merged(decoder.tops for decoder in self.each.values())

    def about(self) -> Decoded:
        alone = len(self.each) == 1
        notes = [
            note
            for part, decoder in self.each.items()
            for note in decoder.notes("" if alone else f"{part}s", self.total)
        ]
        palettes = {
            part: list(map(list, decoder.look.palette))
            for part, decoder in self.each.items()
            if decoder.look.palette
        }
        return Decoded(
            total=self.total,
            broken=self.broken,
            notes=notes,
            doubles=self.each[TARGET].doubles,
            resized=any(decoder.resized for decoder in self.each.values()),
            tops=self.tops,
            whites={kind: self.whites.get(kind, USUAL[kind]) for kind in self.tops},
            palettes=palettes,
        )


@contextmanager
def workers() -> Iterator[ThreadPoolExecutor]:
    """Threads, since Pillow decodes and resizes without holding the interpreter."""
    # warnings are set here, once: the filters belong to all threads
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged EXIF and the like; bombs are checked for
        with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
            yield pool


def too_broken(
    name: str, total: int, skipped: tuple[str, ...] | list[str], request: Request
) -> PthetaError:
    first = f"the first is {skipped[0]}"
    if len(skipped) == total:
        return PthetaError(
            f"{name}: none of the {total} images can be read; {first}; give readable files"
        )
    return PthetaError(
        f"{name}: {len(skipped)} of {total} images cannot be read, more than the allowed share "
        f"{request.settings.max_broken:g}; {first}; repair or remove them, or raise "
        "--max-broken"
    )
