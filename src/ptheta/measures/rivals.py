"""Where a method that needs no learning is better than a model, in a table of both."""

from __future__ import annotations

from collections.abc import Iterable

SIGN = " *"  # behind the value of a floor
WINS = "*: a floor that is better than the model, be it by chance"
NONE = "no floor is better than the model"


def beats(floor: float, model: float, better: str) -> bool:
    """Whether a floor is better. better: "less" or "more"; nothing is, by any other word"""
    return {"less": floor < model, "more": floor > model}.get(better, False)


def verdict(rows: Iterable[Iterable[str]]) -> str:
    """The line below a table: what the sign means, or that it is nowhere."""
    return WINS if any(cell.endswith(SIGN) for row in rows for cell in row) else NONE
