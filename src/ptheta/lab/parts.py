"""The parts of a page: statements, formulas, figures, films, tables and numbers.

Text may hold `code` between backticks and formulas in LaTeX between dollar signs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

Relation: TypeAlias = Literal["=", "<=", ">="]
Picture: TypeAlias = Callable[[], str]
"""Draws a picture when a page is written: an `<svg>` element or the data URI of a PNG."""


@dataclass(frozen=True)
class Number:
    """A number that was computed now, and what theory says about it.

    Attributes:
        name: What it is; may hold a formula.
        computed: The value found now.
        theory: The value that theory gives, or the bound; None if there is no closed form.
        tolerance: Largest absolute difference at which the two count as equal, or by which a bound
            may be exceeded: the error of the method that computed the value.
        relation: How the computed value relates to theory.
        how: How it was computed, in a few words.
    """

    name: str
    computed: float
    theory: float | None = None
    tolerance: float = 0.0
    relation: Relation = "="
    how: str = ""

    @property
    def holds(self) -> bool:
        """Whether the computed value agrees with theory; True if theory gives no value."""
        if not math.isfinite(self.computed):
            return False
        if self.theory is None:
            return True
        above = self.computed - self.theory
        if self.relation == "=":
            return bool(abs(above) <= self.tolerance)
        return bool((above if self.relation == "<=" else -above) <= self.tolerance)

    @property
    def remark(self) -> str:
        """How it was computed, and the error allowed where it agrees with theory only within it."""
        if self.theory is None or not self.holds or not self._apart or "within" in self.how:
            return self.how
        allowed = f"agrees within {self.tolerance:.2g}"
        return f"{self.how}; {allowed}" if self.how else allowed

    @property
    def _apart(self) -> bool:
        """Whether the six digits that are shown differ from theory, or are beyond its bound."""
        assert self.theory is not None
        if self.relation == "=":
            return f"{self.computed:.6g}" != f"{self.theory:.6g}"
        above = self.computed - self.theory
        return (above if self.relation == "<=" else -above) > 0


@dataclass(frozen=True)
class Numbers:
    """A table of numbers next to their theory."""

    rows: Sequence[Number]
    caption: str = ""

    @property
    def hows(self) -> bool:
        """Whether any number says how it was computed."""
        return any(row.remark for row in self.rows)


@dataclass(frozen=True)
class Figure:
    """A picture.

    Attributes:
        picture: Draws it; see `lab.draw.figure`.
        caption: What to see in it.
    """

    picture: Picture
    caption: str


class Frame(NamedTuple):
    """One picture of a film, and the text below it, such as the step."""

    picture: Picture
    label: str


@dataclass(frozen=True)
class Film:
    """Pictures that a slider goes through, such as the steps of a training."""

    frames: Sequence[Frame]
    caption: str


@dataclass(frozen=True)
class Table:
    """Any other table; the first column names the rows.

    words: Whether the cells are words, which are wrapped and set flush left.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    words: bool = False


Part: TypeAlias = Numbers | Figure | Film | Table


@dataclass(frozen=True)
class Section:
    """One statement with what shows it.

    Attributes:
        title: The statement in a few words.
        text: Paragraphs.
        formulas: LaTeX, each on a line of its own.
        parts: Figures, films, tables, numbers, in order.
        command: A command that shows the same with a trained model, or changes it; may be several
            lines.
    """

    title: str
    text: Sequence[str] = ()
    formulas: Sequence[str] = ()
    parts: Sequence[Part] = ()
    command: str = ""


@dataclass(frozen=True)
class Page:
    """One page of the lab.

    Attributes:
        title: Its heading.
        statement: The statement of the page in one or two sentences.
        sections: Each states one thing and shows it.
        sources: Papers, with arXiv numbers.
    """

    title: str
    statement: str
    sections: Sequence[Section]
    sources: Sequence[str] = ()

    def numbers(self) -> Iterator[Number]:
        """All numbers of the page, in order."""
        for section in self.sections:
            for part in section.parts:
                if isinstance(part, Numbers):
                    yield from part.rows
