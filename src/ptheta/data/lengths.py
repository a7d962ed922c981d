"""Checks that metadata cover all examples."""

from __future__ import annotations

from collections.abc import Mapping, Sized

from ptheta.errors import PthetaError

OF_EACH = ("files", "labels", "captions", "attributes", "groups", "repeats", "numbers")


def check_lengths(name: str, rows: int, known: Mapping[str, object]) -> None:
    """Raise PthetaError unless labels, captions, ... have one entry per stored example.

    name: name of the data; known: its fields; those in `OF_EACH` have one entry per row or are None
    """
    for what in OF_EACH:
        values = known[what]
        if isinstance(values, Sized) and len(values) != rows:
            raise PthetaError(
                f"{name}: {len(values):,} {what} of {rows:,} examples: give one for each"
            )
