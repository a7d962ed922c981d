"""The white value of a collection: one for all of its pictures, since a single picture may be dark
or have few values.

8-bit values go up to 255, or only to 1 for masks; wider integers use 1, 8, 10, 12 or 16 bits;
floats go up to 1 or to 255. The largest value of the whole collection, over all splits, decides.
The value of a run's training data applies to all data that it is used with later.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ptheta.errors import PthetaError

Kind = Literal["8-bit", "integer", "float"]
Levels = Mapping[Kind, float]  # the white of each kind, or the largest value of each

DARK = 1 / 4  # of white: a collection that stays below it is remarked on


@dataclass(frozen=True)
class Scale:
    """Properties of a kind of values.

    whites: possible white values, in ascending order; usual: the default one
    unclear: for a largest value between these two, white cannot be inferred
    most: the largest representable value; bounded: whether stored values end at the last of
        `whites`
    masks: whether the same pictures may have been saved as 0 and 1 once and as 0 and 255 the other
        time, since no other values are meant
    """

    whites: tuple[float, ...]
    usual: float
    unclear: tuple[float, float] = (0, 0)
    most: float = math.inf
    bounded: bool = True
    masks: bool = False


KINDS: dict[Kind, Scale] = {
    "8-bit": Scale((1, 255), usual=255, most=255, masks=True),
    "integer": Scale((1, 255, 1023, 4095, 65535), usual=65535),
    # floats that reach 16 are bytes
    "float": Scale((1, 255), usual=1, unclear=(1, 16), bounded=False),
}
USUAL: dict[Kind, float] = {kind: scale.usual for kind, scale in KINDS.items()}
# by NumPy's letter of the kind of dtype; bytes by their size
NUMPY_KINDS: dict[str, Kind] = {"u": "integer", "i": "integer", "f": "float"}


@dataclass(frozen=True)
class Values:
    """The values of a collection before they became 0..255.

    tops: the largest value found, by kind; white: the value that became 255
    """

    tops: Levels
    whites: Levels

    def certain(self, fixed: Iterable[Kind]) -> bool:
        """Whether no further picture could change the white values, given those of some kinds: the
        largest possible values were found, or all kinds are fixed."""
        return all(
            kind in fixed or (KINDS[kind].bounded and self.whites[kind] == KINDS[kind].whites[-1])
            for kind in self.tops
        )


@dataclass(frozen=True)
class White:
    """The requested white values.

    said: given by the user, for every kind that has such values; known: those of the data it is
    used with, such as a run's training data
    """

    said: float | None = None
    known: Levels | None = None

    def fixed(self, kind: Kind, top: float) -> float | None:
        """The white of a kind, if it does not depend on the collection."""
        if self.said is not None and self.said <= KINDS[kind].most:
            return self.said
        known = (self.known or {}).get(kind)
        return None if known is not None and KINDS[kind].masks and top > known else known

    def of(self, tops: Levels) -> dict[Kind, float]:
        """The white of each kind given these largest values; the usual one if unclear."""
        return {
            kind: self.fixed(kind, top) or by_itself(kind, top) or USUAL[kind]
            for kind, top in tops.items()
        }

    def check(self, tops: Levels, name: str) -> None:
        """Raise PthetaError for values above white, and if white cannot be inferred."""
        for kind, top in tops.items():
            white = self.fixed(kind, top)
            if white is None and by_itself(kind, top) is None:
                raise PthetaError(
                    f"{name}: values reach {top:g}, and the value of white is unknown "
                    f"({kind} values usually end at {_listed(kind)}): give it with --white, or "
                    "store the images as 8 bits"
                )
            if white is not None and top > white and self.said is not None:
                raise PthetaError(
                    f"{name}: values reach {top:g}, above --white {white:g}: give at least {top:g}"
                )
            if white is not None and top > white:
                raise PthetaError(
                    f"{name}: values reach {top:g}, but white is {white:g} in the data it is "
                    "used with: give images of the same scale"
                )

    def notes(self, tops: Levels) -> tuple[str, ...]:
        """One line per kind with an inferred white that is not the usual one, or that differs from
        the known one.
        """
        if self.said is not None:
            return ()
        whites, odd = self.of(tops), self.surprises(tops)
        read = (
            f"values reach {top:g}: {whites[kind]:g} is taken as white (--white)"
            for kind, top in tops.items()
            if kind not in odd and whites[kind] != USUAL[kind]
        )
        return (*odd.values(), *read)

    def surprises(self, tops: Levels) -> dict[Kind, str]:
        """One line per kind whose known white differs from the one inferred from the collection."""
        lines: dict[Kind, str] = {}
        for kind, top in tops.items():
            white, known = self.of(tops)[kind], (self.known or {}).get(kind)
            if self.said is not None or known is None:
                continue
            if white != known:
                lines[kind] = f"values reach {top:g}: {white:g} is taken as white, not {known:g}"
            elif white != by_itself(kind, top):
                lines[kind] = f"values reach {top:g}, and {white:g} is white, as in training"
        return lines

    def advice(self, tops: Levels) -> tuple[str, ...]:
        """A line for each kind that stays far below white."""
        whites = self.of(tops)
        return tuple(
            f"values reach {top:g}, and {whites[kind]:g} is white: the images are dark or almost "
            f"black; if another value is white, give it, such as --white {top:g}"
            for kind, top in tops.items()
            if 0 < top < DARK * whites[kind]
        )


def by_itself(kind: Kind, top: float) -> float | None:
    """The white of a collection with the largest value `top`; None if it is unclear."""
    if top == 0:
        return USUAL[kind]
    low, high = KINDS[kind].unclear
    if low < top < high:
        return None
    return next((white for white in KINDS[kind].whites if top <= white), None)


def merged(parts: Iterable[Levels]) -> dict[Kind, float]:
    """The largest values of several parts."""
    merged_tops: dict[Kind, float] = {}
    for tops in parts:
        for kind, top in tops.items():
            merged_tops[kind] = max(top, merged_tops.get(kind, 0.0))
    return merged_tops


def kind_of(dtype: np.dtype) -> Kind | None:
    """The kind of an array's values; None for booleans and non-numeric types."""
    return "8-bit" if dtype == np.uint8 else NUMPY_KINDS.get(dtype.kind)


def to_bytes(values: np.ndarray, white: float) -> np.ndarray:
    """Values 0..white -> uint8, rounded; larger values become 255."""
    floats = np.issubdtype(values.dtype, np.floating)
    scaled: np.ndarray = values.astype(np.float32 if floats else np.float64)
    np.multiply(scaled, 255 / white, out=scaled)
    np.rint(scaled, out=scaled)
    np.minimum(scaled, 255, out=scaled)
    return scaled.astype(np.uint8)


def table(white: float) -> list[int]:
    """`to_bytes` of 0..255, as a table."""
    return [int(byte) for byte in to_bytes(np.arange(256, dtype=np.uint16), white)]


def _listed(kind: Kind) -> str:
    return " or ".join(f"{white:g}" for white in KINDS[kind].whites)
