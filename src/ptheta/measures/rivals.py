"""Marks for baselines that are better than a model, in a table of both."""

from __future__ import annotations

from collections.abc import Iterable

SIGN = " *"  # appended to the value of a baseline
WINS = "*: a floor (trivial baseline) that is better than the model, be it by chance"
NONE = "no floor is better than the model"


def beats(floor: float, model: float, better: str) -> bool:
    """Whether a baseline is better. better: "less" or "more"; for any other word none is"""
    return {"less": floor < model, "more": floor > model}.get(better, False)


def verdict(rows: Iterable[Iterable[str]]) -> str:
    """The line below a table: an explanation of the mark, or that no baseline is better."""
    return WINS if any(cell.endswith(SIGN) for row in rows for cell in row) else NONE
