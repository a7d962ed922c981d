"""Pairs stored side by side in one picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ptheta.data.picture import Half, Raw

if TYPE_CHECKING:
    from ptheta.data.decode import RawPictures


def half(pictures: RawPictures, right: bool) -> RawPictures:
    """The left or the right halves of pictures, each a picture of its own."""

    def items() -> Iterator[tuple[str, Raw]]:
        return ((name, _half(raw, right)) for name, raw in pictures.items())

    def sample() -> Iterable[Raw]:
        return (_half(raw, right) for raw in pictures.sample())

    identity = (pictures.identity, "right" if right else "left")
    return replace(pictures, identity=identity, items=items, sample=sample)


def _half(raw: Raw, right: bool) -> Half:
    assert not isinstance(raw, Half)  # a reader gives whole pictures
    return Half(raw, right)
