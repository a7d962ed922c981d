"""Summaries of columns. (Without torch, since the command line imports this module.)"""

from __future__ import annotations

from typing import TypedDict

MOST = 8  # words of a category in a line


class ColumnAbout(TypedDict, total=False):
    """Summary of a column in the training rows.

    missing: the share of missing cells
    low, high: the range of numbers; words: the values of a category
    """

    kind: str
    low: float
    high: float
    words: list[str]
    missing: float


def summary(about: ColumnAbout) -> str:
    """A short one-line summary."""
    parts = [about["kind"]]
    if words := about.get("words"):
        shown = ", ".join(words[:MOST]) + (", ..." if len(words) > MOST else "")
        parts[0] += f" of {len(words)}: {shown}"
    if "low" in about:
        parts.append(f"{about['low']:g} to {about['high']:g}")
    if about["missing"]:
        parts.append(f"{about['missing']:.1%} missing")
    return "; ".join(parts)
