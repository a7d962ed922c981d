"""What is known of examples is known of each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sized

from ptheta.errors import PthetaError

OF_EACH = ("files", "labels", "captions", "attributes", "groups", "repeats", "numbers")


def check_lengths(name: str, rows: int, known: Mapping[str, object]) -> None:
    """Raises PthetaError where there are not as many labels, captions, ... as examples are stored.

    name: of the data; known: its fields, of which `OF_EACH` have something for each row, or None
    """
    for what in OF_EACH:
        values = known[what]
        if isinstance(values, Sized) and len(values) != rows:
            raise PthetaError(
                f"{name}: {len(values):,} {what} of {rows:,} examples: give one for each"
            )
