"""Requests for data, common to all kinds of sources."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict, Unpack

from annotated_types import Ge, Le

from ptheta.config import MOST_SIDE, Count, Fraction, Positive, Side, idle_option, option
from ptheta.data.names import shortened
from ptheta.data.pairs.palette import Palette
from ptheta.data.pairs.table import COLUMNS, LABEL_MAPS, PAIRS, LabelMaps, PairKind, PairName, Part
from ptheta.data.splits import SPLITS
from ptheta.data.values import Levels, White
from ptheta.errors import PthetaError, unknown
from ptheta.specs import DataSpec, ImageSpec, LabelMapSpec, VectorSpec

COLOURS = (1, 3)  # supported numbers of channels
Colours = Annotated[int, Ge(2), Le(256)]
STRENGTHS = "; ".join(
    f"of {name} {kind.making.unit} ({kind.making.strength:g})"
    for name, kind in PAIRS.items()
    if kind.making is not None and kind.making.strength is not None
)


class DataOptions(TypedDict, total=False):
    """The fields of `DataSettings` as keyword arguments."""

    levels: int
    dynamic: bool
    size: int | None
    channels: int | None
    max_broken: float
    white: float | None
    image_column: str | None
    label_column: str | None
    caption_column: str | None
    columns: tuple[str, ...]
    category_columns: tuple[str, ...]
    pairs: str | None
    input_column: str | None
    reverse: bool
    pair_strength: float | None
    label_maps: LabelMaps
    label_colours: int | None
    domain_columns: tuple[str, ...]
    where: tuple[str, ...]
    unseen: tuple[str, ...]
    unseen_share: float


@dataclass(frozen=True)
class DataSettings:
    """How examples are read: images, and the rows of tables."""

    levels: Annotated[int, Ge(2), Le(256)] = option(
        256, "grey levels; 2: binary pixels, sampled with P(white) = value / 255", basic=True
    )
    dynamic: bool = option(False, "with 2 levels: resample the binary pixels for every batch")
    size: Side | None = option(None, "resize and crop images to this side, pixels", basic=True)
    channels: Count | None = option(
        None, "1 (grey) or 3 (colour) channels (default: those of the images)"
    )
    max_broken: Fraction = option(0.1, "maximum fraction of unreadable files")
    white: Positive | None = option(
        None, "pixel value of white (default: inferred from the largest value, such as 255)"
    )
    image_column: str | None = option(
        None, "image column, in parquet, on the hub or in a metadata file"
    )
    label_column: str | None = option(None, "label column")
    caption_column: str | None = option(
        None, "caption column (default: one named caption, captions or text)"
    )
    columns: tuple[str, ...] = option(
        (), "columns of a table to learn (default: all but the label)"
    )
    category_columns: tuple[str, ...] = option(
        (), "columns of a table to treat as categories, despite numbers or many values"
    )
    pairs: PairName | None = option(None, "learn from pairs of an input and a target")
    input_column: str | None = option(None, "column of the inputs (pairs in columns)")
    reverse: bool = option(False, "swap the inputs and the targets of pairs")
    pair_strength: Positive | None = option(
        None, f"strength of the degradation that makes the inputs: {STRENGTHS}"
    )
    label_maps: LabelMaps = option(
        "none", "parts of a pair that are label maps, encoded as one plane per colour"
    )
    label_colours: Colours | None = option(
        None, "number of colours of label maps (default: detected)"
    )
    domain_columns: tuple[str, ...] = option(
        (), "image columns that are domains: each picture is a separate example"
    )
    where: tuple[str, ...] = option(
        (), "use only examples with these attributes or labels, such as objects=1,label=cat"
    )
    unseen: tuple[str, ...] = option(
        (),
        "attributes (a,b,c): hold some of their combinations out of training, not of the test",
    )
    unseen_share: Fraction = option(0.1, "share of combinations held out of training", of="unseen")

    @classmethod
    def asked(cls, **options: Unpack[DataOptions]) -> DataSettings:
        """Settings from user options. Raises PthetaError for an option without effect."""
        found = cls(**options)
        usual = vars(cls())
        if idle := idle_option(found, [k for k, v in vars(found).items() if v != usual[k]]):
            raise PthetaError(idle)
        return found

    def check(self) -> None:
        """Raise PthetaError for a value out of range. (Values of the command line or a file are
        already checked, except the channels.)"""
        if self.size is not None and self.size < 1:
            raise PthetaError(f"size = {self.size}: choose a side of at least 1 pixel")
        if self.size is not None and self.size > MOST_SIDE:
            raise PthetaError(f"size = {self.size}: choose a side of at most {MOST_SIDE:,} pixels")
        if self.channels not in (None, *COLOURS):
            raise PthetaError(f"channels = {self.channels}: choose 1 (grey) or 3 (colour)")
        if not 0 <= self.max_broken <= 1:
            raise PthetaError(f"max_broken = {self.max_broken}: choose a share in 0..1")
        if self.white is not None and not (self.white > 0 and math.isfinite(self.white)):
            raise PthetaError(f"white = {self.white:g}: choose a number above 0")
        if not 0 <= self.unseen_share <= 1:
            raise PthetaError(f"unseen_share = {self.unseen_share:g}: choose a share in 0..1")
        asked_values(self.where)
        check_pairs(self)

    @property
    def of_tables(self) -> dict[str, str]:
        """The options that choose columns of a table, with their values."""
        named = {
            "--image-column": self.image_column,
            "--label-column": self.label_column,
            "--caption-column": self.caption_column,
            "--input-column": self.input_column,
            "--domain-columns": ",".join(self.domain_columns) or None,
            **self.of_vectors,
        }
        return {option: name for option, name in named.items() if name is not None}

    @property
    def of_vectors(self) -> dict[str, str]:
        """Those of them that only tables of numbers and words have."""
        named = {"--columns": self.columns, "--category-columns": self.category_columns}
        return {option: ",".join(names) for option, names in named.items() if names}

    def refuse_pictures(self, place: str) -> None:
        """Raise PthetaError for a setting of pictures. place: a source without pictures"""
        given = {
            "--size": self.size,
            "--channels": self.channels,
            "--white": self.white,
            "--image-column": self.image_column,
            "--caption-column": self.caption_column,
            "--pairs": self.pairs,
        }
        for flag, value in given.items():
            if value is not None:
                raise PthetaError(f"{flag} {value}: {place} holds rows of numbers: leave it out")

    def brought_to(self, spec: DataSpec) -> DataSettings:
        """The same settings, completed by the size and channels of a spec. Pictures cannot be
        resized to a size that is not square."""
        if not isinstance(spec, ImageSpec) or isinstance(spec, LabelMapSpec):
            return self
        side = spec.height if spec.height == spec.width else None
        channels = spec.channels if spec.channels in COLOURS else None
        return dataclasses.replace(self, size=self.size or side, channels=self.channels or channels)

    def without_columns(self) -> DataSettings:
        """The same for a source that has no columns."""
        return dataclasses.replace(
            self,
            image_column=None,
            label_column=None,
            caption_column=None,
            input_column=None,
            domain_columns=(),
            columns=(),
            category_columns=(),
        )


def asked_values(where: tuple[str, ...], flag: str = "--where") -> dict[str, list[str]]:
    """The values that a flag asks for, of each name. Raises PthetaError for what names none."""
    found: dict[str, list[str]] = {}
    for text in where:
        name, equals, value = (word.strip() for word in text.partition("="))
        if not name or not equals or not value:
            raise PthetaError(f"{flag} {shortened(text)}: write NAME=VALUE, such as objects=1")
        found.setdefault(name, []).append(value)
    return found


def check_pairs(settings: DataSettings) -> None:
    """Raise PthetaError for incompatible settings of pairs."""
    if settings.pairs is not None and settings.pairs not in PAIRS:
        raise unknown("pairs", settings.pairs, PAIRS)
    if settings.label_maps not in LABEL_MAPS:
        raise unknown("label maps", settings.label_maps, LABEL_MAPS)
    kind = None if settings.pairs is None else PAIRS[settings.pairs]
    if settings.domain_columns:
        _check_domains(settings, kind)
    if kind is None and settings.reverse:
        raise PthetaError("--reverse exchanges the parts of pairs: add --pairs, or leave it out")
    if settings.input_column is not None and settings.pairs != COLUMNS:
        raise PthetaError(
            f"--input-column {shortened(settings.input_column)} needs --pairs {COLUMNS}: add it, "
            "or leave it out"
        )
    if kind is None and "input" in LABEL_MAPS[settings.label_maps]:
        raise PthetaError(
            f"--label-maps {settings.label_maps}: there are no inputs without pairs: add --pairs"
        )
    if settings.label_colours is not None and settings.label_maps == "none":
        raise PthetaError("--label-colours needs --label-maps: add it, or leave this out")
    if settings.pair_strength is not None and (kind is None or kind.strength is None):
        raise PthetaError(f"--pair-strength is {STRENGTHS}: leave it out")


def _check_domains(settings: DataSettings, kind: PairKind | None) -> None:
    columns = settings.domain_columns
    named = f"--domain-columns {','.join(columns)}"
    if len(set(columns)) < max(2, len(columns)):
        raise PthetaError(f"{named}: name two columns or more, each once")
    others = {"--image-column": settings.image_column, "--label-column": settings.label_column}
    for flag, name in others.items():
        if name is not None:
            raise PthetaError(f"{named} already defines images and labels: leave {flag} {name} out")
    if kind is not None and kind.inputs is None:
        raise PthetaError(
            f"{named} reads pictures one by one, but --pairs {settings.pairs} reads two together: "
            "leave one out"
        )


@dataclass(frozen=True)
class Learned:
    """The specs that a run was trained on: the examples and, for pairs, their inputs."""

    target: DataSpec | None = None
    input: DataSpec | None = None

    @property
    def vectors(self) -> VectorSpec | None:
        """The columns, where they were vectors."""
        return self.target if isinstance(self.target, VectorSpec) else None


@dataclass(frozen=True)
class Request:
    """A request for a part of a source.

    split: "train", "val" or "test"
    settings: how images are read; levels and dynamic do not affect reading
    cache_dir: folder of decoded pictures; None for the user's cache folder
    known: the white value per kind in the data this is compared with
    whites: the white value per kind, once decided for the whole collection
    whole: read the whole source as one part without labels, regardless of the names of folders,
        files and keys (images to be evaluated)
    learned: the specs of other data that this is used with, such as those of a run
    """

    split: str = "train"
    settings: DataSettings = dataclasses.field(default_factory=DataSettings)
    cache_dir: Path | None = None
    known: Levels | None = None
    whites: Levels | None = None
    whole: bool = False
    learned: Learned = Learned()

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise unknown("split", self.split, SPLITS)
        self.settings.check()

    def refuse_pictures(self, place: str) -> None:
        """Raise PthetaError if the run learned pictures, and for a setting of pictures. place: a
        source without pictures"""
        if isinstance(self.learned.target, ImageSpec):
            raise PthetaError(
                f"{place} holds rows of numbers, and the run learned images: give images of "
                f"{self.learned.target}"
            )
        self.settings.refuse_pictures(place)

    @property
    def white(self) -> White:
        """Which value is to be white, where that is known before the images are read."""
        return White(self.settings.white, self.known)

    def whites_for(self, tops: Levels) -> Levels:
        """The white value per kind, given the largest values of a part."""
        if self.whites is None:
            return self.white.of(tops)
        return self.white.of(tops) | {k: self.whites[k] for k in tops if k in self.whites}

    def palette(self, part: Part) -> Palette | None:
        """Known properties of the colours of a part of pairs; None if it is not a label map."""
        if part not in LABEL_MAPS[self.settings.label_maps]:
            return None
        spec = self.learned.input if part == "input" else self.learned.target
        known = spec.palette if isinstance(spec, LabelMapSpec) else ()
        return Palette(known, self.settings.label_colours)

    def tolerant(self) -> Request:
        """The same, however many files cannot be read."""
        settings = dataclasses.replace(self.settings, max_broken=1.0)
        return dataclasses.replace(self, settings=settings)
