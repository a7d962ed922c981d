"""Which of its values is white in a collection: one answer for all of its pictures, since a picture
by itself does not say whether it is dark or its values are few.

8-bit numbers go up to 255, or only to 1 where they are masks; whole numbers of more bits hold 1, 8,
10, 12 or 16 of these; floats go up to 1 or to 255. The largest value of the whole collection, of
all its splits, decides. What a run was trained with holds for all data that it meets later.
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
    """What is known of a kind of values.

    whites: what may be white, in ascending order; usual: which is, where nothing else is said
    unclear: a largest value between these two does not say which is white
    most: the largest number there is; bounded: whether what is stored ends at the last of `whites`
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
# by the letter that NumPy has for a kind of type; bytes are told apart by their size
NUMPY_KINDS: dict[str, Kind] = {"u": "integer", "i": "integer", "f": "float"}


@dataclass(frozen=True)
class Values:
    """The values of a collection before they became 0..255.

    tops: the largest value found, by kind; white: the value that became 255
    """

    tops: Levels
    whites: Levels

    def certain(self, fixed: Iterable[Kind]) -> bool:
        """Whether no picture that is not among these could change what is white, where that of some
        kinds is fixed: the largest values there are were found, or nothing is asked."""
        return all(
            kind in fixed or (KINDS[kind].bounded and self.whites[kind] == KINDS[kind].whites[-1])
            for kind in self.tops
        )


@dataclass(frozen=True)
class White:
    """What is asked for.

    said: by the user, for every kind that has such values; known: of other data that it is used
    with, such as what a run was trained on
    """

    said: float | None = None
    known: Levels | None = None

    def fixed(self, kind: Kind, top: float) -> float | None:
        """The white of a kind, where it does not depend on the collection at hand."""
        if self.said is not None and self.said <= KINDS[kind].most:
            return self.said
        known = (self.known or {}).get(kind)
        return None if known is not None and KINDS[kind].masks and top > known else known

    def of(self, tops: Levels) -> dict[Kind, float]:
        """The white of each kind for these largest values, the usual one where they do not say."""
        return {
            kind: self.fixed(kind, top) or by_itself(kind, top) or USUAL[kind]
            for kind, top in tops.items()
        }

    def check(self, tops: Levels, name: str) -> None:
        """Raises PthetaError for values above white, and where white cannot be told."""
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
        """A line for each kind whose white was read off the collection and is not the usual one,
        or is not what is known although that is white elsewhere.
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
        """A line for each kind of which something else is known than the collection by itself
        would say."""
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
    """What is white in a collection whose largest value is `top`; None where it does not say."""
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
    """What values of an array's type are; None for truth values, and for what is no number."""
    return "8-bit" if dtype == np.uint8 else NUMPY_KINDS.get(dtype.kind)


def to_bytes(values: np.ndarray, white: float) -> np.ndarray:
    """Values 0..white -> uint8, rounded; what is above becomes 255."""
    floats = np.issubdtype(values.dtype, np.floating)
    scaled: np.ndarray = values.astype(np.float32 if floats else np.float64)
    np.multiply(scaled, 255 / white, out=scaled)
    np.rint(scaled, out=scaled)
    np.minimum(scaled, 255, out=scaled)
    return scaled.astype(np.uint8)


def table(white: float) -> list[int]:
    """What `to_bytes` makes of each of 0..255."""
    return [int(byte) for byte in to_bytes(np.arange(256, dtype=np.uint16), white)]


def _listed(kind: Kind) -> str:
    return " or ".join(f"{white:g}" for white in KINDS[kind].whites)
