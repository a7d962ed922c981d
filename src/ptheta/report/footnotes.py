"""The tables of a comparison, whose rows refer to the remarks on them by letters."""

from __future__ import annotations

from typing import NamedTuple

from ptheta.report.comparison import Comparison
from ptheta.report.plots import number
from ptheta.report.sections import COST, LIKELIHOOD
from ptheta.report.tables import Column, Table, tables


class Footnote(NamedTuple):
    mark: str
    text: str


def footnotes(found: Comparison) -> list[Footnote]:
    """Every remark once, each with its letter."""
    texts = dict.fromkeys(text for lines in found.remarks.values() for text in lines)
    return [Footnote(chr(ord("a") + i % 26), text) for i, text in enumerate(texts)]


def tables_of(found: Comparison) -> list[Table]:
    """The tables: rows with remarks have the letters of these, models their density and cost."""
    mark = {text: letter for letter, text in footnotes(found)}
    return tables(
        found.runs,
        found.others,
        marks={
            name: ", ".join(mark[text] for text in lines) for name, lines in found.remarks.items()
        },
        more=[
            Column(LIKELIHOOD, "density", [m.density for m in found.measured]),
            Column(
                COST,
                "training, minutes",
                [number(m.cost.seconds / 60, 2) if m.cost else "not known" for m in found.measured],
            ),
            Column(COST, "steps", [f"{m.cost.steps:,}" if m.cost else "" for m in found.measured]),
        ],
    )
