"""Pictures of any kind -> uint8 (C, H, W) of one size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np
from PIL import Image

from ptheta.data.cache import Nothing, Stored, Writer, cached
from ptheta.data.decoder import (
    ARRAYS,
    CHUNK,
    INPUT,
    TARGET,
    Decoded,
    Decoders,
    Look,
    too_broken,
    workers,
)
from ptheta.data.inputs import Inputs, StoredInputs
from ptheta.data.pairs.palette import VERSION, Colour, Palette, found
from ptheta.data.pairs.table import Part
from ptheta.data.picture import Loaded, Originals, Raw, Shape, is_grey, load, resize_and_crop
from ptheta.data.request import Request
from ptheta.data.rows import Images
from ptheta.data.values import Levels, Values, merged
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec, LabelMapSpec

A = TypeVar("A", np.ndarray, Images)
PEEK = 64  # images sampled to choose a size
LARGEST_NATURAL = 128  # pixels: images that all have one size up to this keep it
DEFAULT_SIDE = 64


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
class RawPairs:
    """The two pictures of each pair, at the same place of both."""

    inputs: RawPictures
    targets: RawPictures

    def decoded(self, request: Request) -> Pictures:
        """In the requested order."""
        if request.settings.reverse:
            return decode(self.inputs, request, self.targets)
        return decode(self.targets, request, self.inputs)


@dataclass(frozen=True)
class Pictures:
    """Decoded pictures, as a memory map.

    images: uint8 (N, C, H, W)
    positions: int64 (N,), index of each in the source
    total: number of pictures in the source
    skipped: one line per picture that cannot be read
    notes: lines about conversions
    advice: suggestions before training
    resized: whether any of them was resized; values: their stored values
    palette: the colours of label maps; empty for other pictures
    inputs: the inputs, for pairs
    originals: name and content of the stored picture of each, in order; None for pairs
    """

    images: np.ndarray
    positions: np.ndarray
    total: int
    skipped: tuple[str, ...]
    notes: tuple[str, ...]
    advice: tuple[str, ...]
    resized: bool
    values: Values
    palette: tuple[Colour, ...] = ()
    inputs: Inputs | None = None
    originals: Originals | None = None


# the pictures of a part by themselves, and the pairs that they may be read as, by `PAIRS`
Readings = tuple[Callable[[], RawPictures], Mapping[str, Callable[[], RawPairs]]]


def decode_any(
    pictures: Callable[[], RawPictures],
    stored: Mapping[str, Callable[[], RawPairs]],
    request: Request,
) -> Pictures:
    """Decode the pictures of a source, or its pairs of the requested kind.

    stored: the kinds of pairs that it may store, names of `PAIRS`
    """
    asked = request.settings.pairs
    if asked is not None and asked in stored:
        return stored[asked]().decoded(request)
    return decode(pictures(), request)


def decode(source: RawPictures, request: Request, inputs: RawPictures | None = None) -> Pictures:
    """All pictures of a source, from the cache or decoded into it.

    inputs: of pairs, as many and in the same order; what lacks its partner is as good as broken
    Raises PthetaError where more than the share `max_broken` cannot be read, or none can.
    """
    settings = request.settings
    parts = {TARGET: source} | ({} if inputs is None else {INPUT: inputs})
    identity: tuple[object, ...] = (
        *("pictures", source.identity, settings.size, settings.channels),
        *(() if inputs is None else (inputs.identity,)),
        *((VERSION, part, p) for part in parts if (p := request.palette(part)) is not None),
    )
    stamp = source.stamp if inputs is None else (source.stamp, inputs.stamp)

    def build(writer: Writer) -> Decoded:
        return _decoded(parts, request, writer)

    stored = cached(request.cache_dir, identity, stamp, build, Decoded)
    whites = request.whites_for(stored.about.tops)
    if whites != stored.about.whites:
        identity = (*identity, sorted(whites.items()))
        stored = cached(request.cache_dir, identity, stamp, build, Decoded)
    pictures = _pictures(source.name, stored, request)
    if inputs is not None:
        return pictures
    return replace(pictures, originals=partial(_originals, source.items, pictures.positions))


def _originals(
    items: Callable[[], Iterator[tuple[str, Raw]]], positions: np.ndarray
) -> Iterator[tuple[str, Raw]]:
    """Those at these positions, in ascending order."""
    wanted = iter(positions.tolist())
    due = next(wanted, None)
    for at, item in enumerate(items()):
        if at == due:
            yield item
            due = next(wanted, None)


def _decoded(parts: Mapping[Part, RawPictures], request: Request, writer: Writer) -> Decoded:
    """Decodes all pictures of a source into a cache."""
    with workers() as pool:
        looks, tops = _looks(parts, request)
        decoder = Decoders(looks, request.whites_for(tops), request)
        decoder.run(parts, pool, writer)
        whites = request.whites_for(decoder.tops)
        if any(white != decoder.whites.get(kind) for kind, white in whites.items()):
            writer.clear()  # the sampled ones did not decide it
            decoder = Decoders(looks, whites, request)
            decoder.run(parts, pool, writer)
    return decoder.about()


def _looks(parts: Mapping[Part, RawPictures], request: Request) -> tuple[dict[Part, Look], Levels]:
    """The target format of each part, as requested or inferred from a sample, and the largest
    values of the sample.

    One common size of at most 128 pixels is kept; anything else becomes 64x64. Grey if all are.
    """
    size = request.settings.size
    seen = {part: _seen(raws) for part, raws in parts.items()}
    sizes = {size for each in seen.values() for size in each.sizes}
    width = height = size or DEFAULT_SIDE
    if size is None and len(sizes) == 1 and max(common := sizes.pop()) <= LARGEST_NATURAL:
        width, height = common
    looks: dict[Part, Look] = {}
    for part, each in seen.items():
        wish = request.palette(part)
        known = len(wish.colours[0]) if wish is not None and wish.colours else None
        channels = request.settings.channels or known or (1 if each.grey else 3)
        shape = Shape(channels, height, width)
        looks[part] = Look(shape, _palette(parts[part], channels, wish))
    pictures = (seen[part].tops for part, look in looks.items() if not look.palette)
    return looks, merged(pictures)


@dataclass
class _Seen:
    """Properties of some pictures: sizes (width, height), whether all are grey, and the largest
    values."""

    sizes: set[tuple[int, int]] = field(default_factory=set)
    grey: bool = True
    tops: Levels = field(default_factory=dict)


def _seen(source: RawPictures) -> _Seen:
    """One picture is in memory at a time."""
    seen = _Seen()
    for picture in _loaded(source):
        seen.sizes.add(picture.image.size)
        seen.grey = seen.grey and is_grey(picture.image)
        seen.tops = merged([seen.tops, {picture.kind: picture.top}])
    return seen


def _loaded(source: RawPictures) -> Iterator[Loaded]:
    """Some pictures from all over a source, without broken ones: these are reported when their turn
    comes."""
    for raw in islice(source.sample(), PEEK):
        with suppress(Exception):
            yield load(raw)


def _palette(source: RawPictures, channels: int, wish: Palette | None) -> tuple[Colour, ...]:
    """The colours of a part that is label maps; none where it is not."""
    if wish is None:
        return ()
    if wish.colours and len(wish.colours[0]) == channels:
        return wish.colours
    mode = "L" if channels == 1 else "RGB"
    pictures = (picture.image.convert(mode) for picture in _loaded(source))
    return found(pictures, wish.count, source.name)


def _pictures(name: str, stored: Stored[Decoded], request: Request) -> Pictures:
    """The cached pictures of a source. Raises PthetaError if too many are broken."""
    about = stored.about
    skipped = tuple(line for _, line in about.broken)
    if len(skipped) > request.settings.max_broken * about.total:
        raise too_broken(name, about.total, skipped, request)
    positions = np.delete(np.arange(about.total), [i for i, _ in about.broken])
    palettes = {part: tuple(map(tuple, colours)) for part, colours in about.palettes.items()}
    pairs = 2 * about.doubles > len(positions) and ARRAYS[INPUT] not in stored.arrays
    return Pictures(
        images=stored.arrays[ARRAYS[TARGET]],
        positions=positions,
        total=about.total,
        skipped=skipped,
        notes=tuple(about.notes),
        advice=(_pairs(about.doubles, len(positions)),) if pairs else (),
        resized=about.resized,
        values=Values(about.tops, about.whites),
        palette=palettes.get(TARGET, ()),
        inputs=_inputs(stored.arrays.get(ARRAYS[INPUT]), palettes.get(INPUT, ())),
    )


def _inputs(images: np.ndarray | None, palette: tuple[Colour, ...]) -> Inputs | None:
    if images is None:
        return None
    shape = images.shape[1:]
    return StoredInputs(
        images, LabelMapSpec(*shape, palette=palette) if palette else ImageSpec(*shape)
    )


def _pairs(doubles: int, n: int) -> str:
    return (
        f"{doubles} of {n} pictures are twice as wide as high and are read as one image each: "
        "if each is a pair, add --pairs side-by-side"
    )


def resize(images: A, identity: object, stamp: object, request: Request) -> A | np.ndarray:
    """Resize and recolour uint8 (N, C, H, W) as requested; the array itself if it fits."""
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
        with workers() as pool:
            for at in range(0, len(images), CHUNK):
                writer.add("images", np.stack(list(pool.map(one, images[at : at + CHUNK]))))
        return Nothing()

    identity, stamp = ("resized", identity, size, channels), (stamp, images.shape)
    return cached(request.cache_dir, identity, stamp, build, Nothing).arrays["images"]
