"""Batches whose values were checked before they came to a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_given = ContextVar("_given", default=False)  # of each thread, since others have other batches


@contextmanager
def trusted(given: bool = True) -> Iterator[None]:
    """Context in which only the types and shapes of batches are checked, if `given`.

    A check of the values on a GPU makes the host wait for all that the GPU has to do.
    """
    before = _given.set(given)
    try:
        yield
    finally:
        _given.reset(before)


def is_trusted() -> bool:
    """Whether the values of a batch need no check."""
    return _given.get()
