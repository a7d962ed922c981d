"""What is asked of a source, for every kind of source alike."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from ptheta.config import MOST_SIDE
from ptheta.data.splits import SPLITS
from ptheta.data.values import Levels, White
from ptheta.errors import PthetaError, unknown


class Columns(TypedDict, total=False):
    """The columns to take of a source that has columns; None, or no entry, for the usual ones."""

    image_column: str | None
    label_column: str | None
    caption_column: str | None


@dataclass(frozen=True)
class Request:
    """split: "train", "val" or "test"
    size, channels: what images are brought to: size x size pixels, 1 or 3 channels; None keeps them
    max_broken: share of unreadable pictures above which to give up, 0..1
    image_column, label_column, caption_column: of a source with columns (parquet, the hub, a table
        beside pictures); None takes the first of a usual name or type
    cache_dir: where decoded pictures are kept; None is the user's cache folder
    white: which value is to be white, where that is known before the images are read
    whites: the same by kind of value, once it was decided for the whole collection
    whole: all that the source holds is one part, whatever its folders, files and keys are called,
        and without labels: of images to be measured
    """

    split: str = "train"
    size: int | None = None
    channels: int | None = None
    max_broken: float = 0.1
    image_column: str | None = None
    label_column: str | None = None
    caption_column: str | None = None
    cache_dir: Path | None = None
    white: White = field(default_factory=White)
    whites: Levels | None = None
    whole: bool = False

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise unknown("split", self.split, SPLITS)
        if self.size is not None and self.size < 1:
            raise PthetaError(f"size = {self.size}: choose a side of at least 1 pixel")
        if self.size is not None and self.size > MOST_SIDE:
            raise PthetaError(f"size = {self.size}: choose a side of at most {MOST_SIDE:,} pixels")
        if self.channels not in (None, 1, 3):
            raise PthetaError(f"channels = {self.channels}: choose 1 (grey) or 3 (colour)")
        if not 0 <= self.max_broken <= 1:
            raise PthetaError(f"max_broken = {self.max_broken}: choose a share in 0..1")
        said = self.white.said
        if said is not None and not (said > 0 and math.isfinite(said)):
            raise PthetaError(f"white = {said:g}: choose a number above 0")

    def whites_for(self, tops: Levels) -> Levels:
        """What is white, for each kind of which these are the largest values of a part."""
        if self.whites is None:
            return self.white.of(tops)
        return self.white.of(tops) | {k: self.whites[k] for k in tops if k in self.whites}

    @property
    def columns(self) -> dict[str, str]:
        """The columns that are named, by their kind: image, label or caption."""
        named = {
            "image": self.image_column,
            "label": self.label_column,
            "caption": self.caption_column,
        }
        return {kind: name for kind, name in named.items() if name is not None}
