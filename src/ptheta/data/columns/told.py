"""What is said of a column. (No torch here: the command line imports it.)"""

from __future__ import annotations

from typing import TypedDict

MOST = 8  # words of a category in a line


class ColumnAbout(TypedDict, total=False):
    """What a column holds in the training rows. missing: the share of cells that are

    low, high: of numbers; words: of a category
    """

    kind: str
    low: float
    high: float
    words: list[str]
    missing: float


def told(about: ColumnAbout) -> str:
    """The same as half a line."""
    parts = [about["kind"]]
    if words := about.get("words"):
        shown = ", ".join(words[:MOST]) + (", ..." if len(words) > MOST else "")
        parts[0] += f" of {len(words)}: {shown}"
    if "low" in about:
        parts.append(f"{about['low']:g} to {about['high']:g}")
    if about["missing"]:
        parts.append(f"{about['missing']:.1%} missing")
    return "; ".join(parts)
