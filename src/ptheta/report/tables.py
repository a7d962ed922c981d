"""The numbers of a comparison as tables: one for each kind of question, none across kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ptheta.measures.results import Evaluation, Result
from ptheta.metrics.metric import GIVEN, Section
from ptheta.metrics.table import metric_of
from ptheta.report.plots import number
from ptheta.report.ranking import Rank
from ptheta.report.text import markdown

# what a reader must know of each table
NOTES: Mapping[Section, str] = {
    Section.LIKELIHOOD: (
        "On the held-out images. = exact, ≤ an upper bound on the bits (from a lower bound on the "
        "likelihood): the two are not ranked against each other. A model without either has none, "
        "whatever its samples look like."
    ),
    Section.DISTANCE: (
        "Named after the network whose features they use; only those of inception-2015 are the "
        "published FID, KID and IS. The grey rows need no learning."
    ),
    Section.FIDELITY: (
        "Precision and density ask whether a sample could be real; recall, coverage and the "
        "classes, whether everything real is there. No row is good by one column."
    ),
    Section.MEMORISATION: (
        "Distances to the nearest training image, of samples beside those of held-out images; and "
        "to the nearest test image (names with test), beside those of training images. The copying "
        "test is about N(0, 1) where both are alike; far below 0 are copies, far above 0 images "
        "away from the data. A copied training or test set has the best distances there are, and "
        "must be given away here."
    ),
    Section.COST: "On the machine that wrote this; training as it was when it ran.",
}
EXACT = ("bits_per_dim", "nll")  # whose "=" is worth saying: others have it as a bound
EMPTY = {"text": "", "why": ""}


Cell = dict[str, str]  # text, and in small print why


@dataclass(frozen=True)
class Row:
    """grey: a baseline or the floor; mark: refers to what makes the row another thing"""

    name: str
    cells: list[Cell]
    grey: bool = False
    mark: str = ""


@dataclass(frozen=True)
class Table:
    title: str
    note: str
    head: list[dict[str, str]]
    rows: list[Row]


def metrics_of(evaluations: Sequence[Evaluation]) -> list[str]:
    """Every metric that any run has, in the order in which they first appear."""
    return list(dict.fromkeys(r.metric for e in evaluations for r in e.results))


def tables(
    runs: Mapping[str, Evaluation],
    others: Mapping[str, Evaluation],
    *,
    marks: Mapping[str, str],
    more: Mapping[str, Mapping[str, Sequence[str]]],
) -> list[Table]:
    """A row for each run and for each of what they are held against, where that has any value.

    marks: of runs that are another thing than the others
    more: title of a table -> further columns, first of all, a text for each run
    """
    every = [*runs.values(), *others.values()]
    metrics: dict[Section, list[str]] = {section: [] for section in Section}
    for name in metrics_of(every):
        metric = metric_of(name)
        # one that this version does not know
        metrics[Section.FIDELITY if metric is None else metric.section].append(name)
    found = []
    for section, own in metrics.items():
        extra = more.get(section, {})
        if not own:
            continue
        head = [{"name": name, "unit": "", "better": ""} for name in extra]
        head += [heading(metric, every) for metric in own]
        rows = [
            Row(
                name,
                [
                    *({"text": column[at], "why": ""} for column in extra.values()),
                    *(_of_run(metric, evaluation) for metric in own),
                ],
                mark=marks.get(name, ""),
            )
            for at, (name, evaluation) in enumerate(runs.items())
        ]
        rows += [
            Row(
                name,
                [*[EMPTY] * len(extra), *(_known(evaluation.get(metric)) for metric in own)],
                grey=True,
            )
            for name, evaluation in others.items()
            if any(evaluation.get(metric) for metric in own)
        ]
        found.append(Table(section, NOTES[section], head, rows))
    return found


def _of_run(metric: str, evaluation: Evaluation) -> Cell:
    """A cell of a run; where another quantity stands in its place, the cell says so."""
    given, plain = f"{metric}{GIVEN}", metric.removesuffix(GIVEN)
    if evaluation.get(metric) is None and evaluation.get(given) is not None:
        why = f"it is given a condition: see {given.replace('_', ' ')}"
        return {"text": "not defined", "why": why}
    if evaluation.get(metric) is None and plain != metric and evaluation.get(plain) is not None:
        return {"text": "not defined", "why": "it is given no condition"}
    return cell(evaluation.get(metric))


def _known(result: Result | None) -> Cell:
    """A cell of a row that is no model: empty for what was not asked of it."""
    return EMPTY if result is None else cell(result)


def heading(metric: str, evaluations: Sequence[Evaluation]) -> dict[str, str]:
    """Its name, unit and direction."""
    results = [r for e in evaluations for r in e.results if r.metric == metric]
    # a result without a value may not know the unit
    best = next((r for r in results if r.value is not None), results[0])
    arrow = {"lower": "lower is better", "higher": "higher is better"}.get(best.better, "")
    return {"name": metric.replace("_", " "), "unit": best.unit, "better": arrow}


def cell(result: Result | None) -> Cell:
    """A number with its relation and error, or why there is none."""
    if result is None or result.value is None:
        return {"text": "not defined", "why": result.reason if result else ""}
    exact = "= " if result.metric.startswith(EXACT) else ""
    relation = {"<=": "≤ ", "=": exact}[result.relation]
    error = f" ± {number(result.error, 2)}" if result.error else ""
    value = f"{result.value:,}" if isinstance(result.value, int) else number(result.value)
    return {"text": f"{relation}{value}{error}", "why": result.note}


def ranked_row(row: Rank) -> dict[str, Any]:
    half = "" if row.half is None else f" ± {number(row.half, 2)}"
    return {
        "setting": row.setting,
        "mean": f"{number(row.mean)}{half}",
        "runs": ", ".join(number(v) for v in row.values),
        "apart": row.apart,
    }


def grid(lines: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells, the first of them the heading, as Markdown."""
    texts = ["| " + " | ".join(map(markdown, cells)) + " |" for cells in lines]
    return [texts[0], "|" + " --- |" * len(lines[0]), *texts[1:]]


def as_markdown(found: Sequence[Table]) -> list[str]:
    """The tables as lines of Markdown."""
    lines: list[str] = []
    for table in found:
        about = [", ".join(filter(None, (h["unit"], h["better"]))) for h in table.head]
        head = [
            f"{h['name']} ({a})" if a else h["name"] for h, a in zip(table.head, about, strict=True)
        ]
        rows = [
            [
                row.name + (f" [{row.mark}]" if row.mark else ""),
                *(c["text"] + (f" ({c['why']})" if c["why"] else "") for c in row.cells),
            ]
            for row in table.rows
        ]
        lines += ["", f"## {table.title}", "", table.note, "", *grid([["", *head], *rows])]
    return lines
