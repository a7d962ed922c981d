"""Batches whose values were checked before they came to a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class _Trust:
    def __init__(self) -> None:
        self.given = False


_trust = _Trust()


@contextmanager
def trusted(given: bool = True) -> Iterator[None]:
    """Context in which only the types and shapes of batches are checked, if `given`.

    A check of the values on a GPU makes the host wait for all that the GPU has to do.
    """
    before, _trust.given = _trust.given, given
    try:
        yield
    finally:
        _trust.given = before


def is_trusted() -> bool:
    """Whether the values of a batch need no check."""
    return _trust.given
