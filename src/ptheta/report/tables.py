"""The results of a comparison as tables, one per section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ptheta.measures.results import Evaluation, Result
from ptheta.metrics.metric import GIVEN, Section
from ptheta.metrics.table import words
from ptheta.report.plots import number
from ptheta.report.ranking import Rank
from ptheta.report.sections import NOTES, presentation, section_of

MOST_COLUMNS = 7  # columns that fit on a page of 1,200 pixels
UNDEFINED = "not defined"


class Cell(NamedTuple):
    """why: note in small print"""

    text: str = ""
    why: str = ""

    @property
    def pieces(self) -> list[str]:
        """The separate notes of the small print; the reason for a missing value counts as one."""
        return [self.why] if self.text == UNDEFINED else list(filter(None, self.why.split(", ")))


class Heading(NamedTuple):
    """better: direction, in words; also: note shared by all cells below"""

    name: str
    unit: str = ""
    better: str = ""
    also: str = ""

    @property
    def about(self) -> str:
        return ", ".join(filter(None, (self.unit, self.better, self.also)))


class Row(NamedTuple):
    """grey: whether it is a baseline or real examples; mark: footnote letters"""

    name: str
    cells: list[Cell]
    grey: bool = False
    mark: str = ""


class Table(NamedTuple):
    title: str
    note: str
    head: list[Heading]
    rows: list[Row]

    def part(self, columns: Sequence[int]) -> Table:
        """A table of some columns, without grey rows that are empty in them."""
        rows = [row._replace(cells=[row.cells[k] for k in columns]) for row in self.rows]
        some = [row for row in rows if not row.grey or any(cell.text for cell in row.cells)]
        return self._replace(head=[self.head[k] for k in columns], rows=some)

    def parts(self, most: int = MOST_COLUMNS) -> list[Table]:
        """Splits the columns into tables of at most `most`, of similar width."""
        n = len(self.head)
        each = -(-n // max(1, -(-n // most)))
        return [self.part(range(at, min(at + each, n))) for at in range(0, n, each or 1)]

    def without_repeats(self) -> Table:
        """Moves notes shared by all cells of a column to its heading, and columns without any value
        to the table's note."""
        columns = [[row.cells[k] for row in self.rows] for k in range(len(self.head))]
        empty = {k: why for k, cells in enumerate(columns) if (why := _undefined(cells))}
        if len(empty) == len(columns):  # no column would be left
            return self
        kept = [
            _without_repeats(head, cells) for head, cells in zip(self.head, columns, strict=True)
        ]
        rows = [
            row._replace(cells=[cells[i] for _, cells in kept]) for i, row in enumerate(self.rows)
        ]
        whole = self._replace(head=[head for head, _ in kept], rows=rows)
        names = [f"{self.head[k].name} ({why})" for k, why in empty.items()]
        undefined = f" Not defined for any row: {'; '.join(names)}." if names else ""
        rest = [k for k in range(len(columns)) if k not in empty]
        return whole.part(rest)._replace(note=f"{self.note}{undefined}")


def _undefined(cells: Sequence[Cell]) -> str:
    """The common reason why all these cells lack a value; "" if there is none."""
    there = {cell for cell in cells if cell.text}
    only = there.pop() if len(there) == 1 else Cell()
    return only.why if only.text == UNDEFINED else ""


def _without_repeats(head: Heading, cells: Sequence[Cell]) -> tuple[Heading, list[Cell]]:
    """Moves the notes shared by all cells of a column to its heading."""
    there = [cell.pieces for cell in cells if cell.text]
    if len(there) < 2:
        return head, list(cells)
    common = [piece for piece in there[0] if all(piece in pieces for pieces in there)]
    rest = [
        cell._replace(why=", ".join(piece for piece in cell.pieces if piece not in common))
        for cell in cells
    ]
    return head._replace(also=", ".join(common)), rest


class Column(NamedTuple):
    """An additional column of a section's table. texts: one per run."""

    section: Section
    name: str
    texts: Sequence[str]


class RankedRow(NamedTuple):
    """A setting over its seeds, as text."""

    setting: str
    mean: str
    runs: str
    apart: bool


def metrics_of(evaluations: Sequence[Evaluation]) -> list[str]:
    """All metrics of the runs, in order of first appearance."""
    return list(dict.fromkeys(r.metric for e in evaluations for r in e.results))


def tables(
    runs: Mapping[str, Evaluation],
    others: Mapping[str, Evaluation],
    *,
    marks: Mapping[str, str],
    more: Sequence[Column] = (),
) -> list[Table]:
    """One table for each section in which any run has a value. A table has one row per run, and one
    per baseline that has at least one value in it.

    marks: footnote letters of runs that are not fully comparable with the others
    more: additional columns, placed first
    """
    empty = empty_sections(runs)
    found = []
    for section, metrics in by_section([*runs.values(), *others.values()]).items():
        if section not in empty:
            extra = [column for column in more if column.section is section]
            found.append(_table(section, metrics, runs, others, marks, extra))
    return found


def by_section(evaluations: Sequence[Evaluation]) -> dict[Section, list[str]]:
    """All metrics of the evaluations, by section."""
    every = metrics_of(evaluations)
    found = {section: [m for m in every if section_of(m) is section] for section in Section}
    return {section: metrics for section, metrics in found.items() if metrics}


def empty_sections(runs: Mapping[str, Evaluation]) -> dict[Section, list[str]]:
    """Sections in which no run has a value, and the distinct reasons."""
    results = [r for evaluation in runs.values() for r in evaluation.results]
    found = {}
    for section, metrics in by_section(list(runs.values())).items():
        inside = [r for r in results if r.metric in metrics]
        if all(r.value is None for r in inside):
            found[section] = list(dict.fromkeys(r.reason for r in inside if r.reason))
    return found


def _table(
    section: Section,
    metrics: Sequence[str],
    runs: Mapping[str, Evaluation],
    others: Mapping[str, Evaluation],
    marks: Mapping[str, str],
    more: Sequence[Column],
) -> Table:
    every = [*runs.values(), *others.values()]
    rows = []
    for i, (name, evaluation) in enumerate(runs.items()):
        cells = [Cell(column.texts[i]) for column in more]
        cells += [_of_run(metric, evaluation) for metric in metrics]
        rows.append(Row(name, cells, mark=marks.get(name, "")))
    for name, evaluation in others.items():
        if any(evaluation.get(metric) for metric in metrics):
            cells = [Cell() for _ in more]
            cells += [_of_other(evaluation.get(metric)) for metric in metrics]
            rows.append(Row(name, cells, grey=True))
    head = [*(Heading(column.name) for column in more), *(heading(m, every) for m in metrics)]
    return Table(section, NOTES[section], head, rows)


def _of_run(metric: str, evaluation: Evaluation) -> Cell:
    """A cell of a run; if another metric replaces this one, the cell refers to it."""
    given, plain = f"{metric}{GIVEN}", metric.removesuffix(GIVEN)
    if evaluation.get(metric) is None and evaluation.get(given) is not None:
        return Cell(UNDEFINED, f"conditional model: see {words(given)}")
    other = evaluation.get(plain)
    if evaluation.get(metric) is None and plain != metric and other is not None:
        return cell(other) if other.value is None else Cell(UNDEFINED, "unconditional model")
    return cell(evaluation.get(metric))


def _of_other(result: Result | None) -> Cell:
    """A cell of a baseline row: empty if it was not evaluated."""
    return Cell() if result is None else cell(result)


def heading(metric: str, evaluations: Sequence[Evaluation]) -> Heading:
    """The name, unit and direction of a metric."""
    results = [r for e in evaluations for r in e.results if r.metric == metric]
    # a result without a value may not know the unit
    best = next((r for r in results if r.value is not None), results[0])
    better = f"{best.better} is better" if best.better else ""
    return Heading(words(metric), best.unit, better)


def cell(result: Result | None) -> Cell:
    """A value with its relation and error, or why it is undefined."""
    if result is None or result.value is None:
        return Cell(UNDEFINED, result.reason if result else "")
    exact = "= " if presentation(result.metric).signed else ""
    relation = {"<=": "≤ ", "=": exact, "~": "≈ "}[result.relation]
    error = f" ± {number(result.error, 2)}" if result.error else ""
    value = f"{result.value:,}" if isinstance(result.value, int) else number(result.value)
    return Cell(f"{relation}{value}{error}", result.note)


def ranked_row(row: Rank) -> RankedRow:
    """A setting's mean with its interval, and the values of its runs."""
    half = "" if row.half is None else f" ± {number(row.half, 2)}"
    runs = ", ".join(map(number, row.values))
    return RankedRow(row.setting, f"{number(row.mean)}{half}", runs, row.apart)
