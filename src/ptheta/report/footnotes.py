"""Tables of a comparison, with remarks on their rows as lettered footnotes."""

from __future__ import annotations

from typing import NamedTuple

from ptheta.metrics.metric import Section
from ptheta.report.comparison import Comparison
from ptheta.report.plots import number
from ptheta.report.tables import Column, Table, tables


class Footnote(NamedTuple):
    mark: str
    text: str


def footnotes(found: Comparison) -> list[Footnote]:
    """All distinct remarks, each with its letter."""
    texts = dict.fromkeys(text for lines in found.remarks.values() for text in lines)
    return [Footnote(chr(ord("a") + i % 26), text) for i, text in enumerate(texts)]


def tables_of(found: Comparison) -> list[Table]:
    """The tables, with footnote letters, density and cost columns."""
    mark = {text: letter for letter, text in footnotes(found)}
    marks = {name: ", ".join(mark[text] for text in lines) for name, lines in found.remarks.items()}
    costs = [m.cost for m in found.measured]
    minutes = [number(cost.seconds / 60, 2) if cost else "not known" for cost in costs]
    more = [
        Column(Section.LIKELIHOOD, "density", [m.density for m in found.measured]),
        Column(Section.COST, "training, minutes", minutes),
        Column(Section.COST, "steps", [f"{cost.steps:,}" if cost else "" for cost in costs]),
    ]
    called = {"example": found.data.example, "examples": found.data.examples}
    made = tables(found.runs, found.others, marks=marks, more=more)
    return [table._replace(note=table.note.format(**called)).without_repeats() for table in made]
