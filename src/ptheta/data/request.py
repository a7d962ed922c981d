"""What is asked of a source, for every kind of source alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ptheta.data.splits import SPLITS
from ptheta.errors import PthetaError, unknown


@dataclass(frozen=True)
class Request:
    """split: "train", "val" or "test"
    size, channels: what images are brought to: size x size pixels, 1 or 3 channels; None keeps them
    max_broken: share of unreadable pictures above which to give up, 0..1
    column: the image column of a source that has several; None takes the first
    cache_dir: where decoded pictures are kept; None is the user's cache folder
    """

    split: str = "train"
    size: int | None = None
    channels: int | None = None
    max_broken: float = 0.1
    column: str | None = None
    cache_dir: Path | None = None

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise unknown("split", self.split, SPLITS)
        if self.size is not None and self.size < 1:
            raise PthetaError(f"size = {self.size}: choose a side of at least 1 pixel")
        if self.channels not in (None, 1, 3):
            raise PthetaError(f"channels = {self.channels}: choose 1 (grey) or 3 (colour)")
        if not 0 <= self.max_broken <= 1:
            raise PthetaError(f"max_broken = {self.max_broken}: choose a share in 0..1")
