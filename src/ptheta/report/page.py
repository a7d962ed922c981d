"""The comparison as one self-contained HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from ptheta.measures.results import Evaluation, Result
from ptheta.metrics.metric import Role
from ptheta.metrics.table import words
from ptheta.report.comparison import Comparison, Measured
from ptheta.report.curves import Panel, curves_of, panels, story
from ptheta.report.footnotes import footnotes, tables_of
from ptheta.report.glossary import Links, glossary, of_tables
from ptheta.report.pairs import Matrix, matrix
from ptheta.report.pictures import CLOSEST, NEAREST, OF_SAMPLES, Picture
from ptheta.report.plots import COLOURS, scatter
from ptheta.report.reproduce import reproduce
from ptheta.report.sections import presentation, repeated
from ptheta.report.tables import Heading, RankedRow, cell, heading, metrics_of, ranked_row
from ptheta.report.titles import lead, title
from ptheta.report.tree import tree
from ptheta.report.verdict import verdicts


class Ranking(NamedTuple):
    """The settings ranked by one metric. real: the score of real images, or empty."""

    heading: Heading
    rows: list[RankedRow]
    real: str


class Differences(NamedTuple):
    """Differences of the runs in one metric."""

    heading: Heading
    matrix: Matrix


class Shown(NamedTuple):
    """The parts of the page for one row.

    pictures, more: those of samples, and others; neighbours, closest: those that compare samples
    with real examples
    story: loss and quality over time, or None; curves: all logged curves
    """

    row: Measured
    pictures: list[Picture]
    more: list[Picture]
    neighbours: list[Picture]
    closest: list[Picture]
    story: Panel | None
    curves: list[Panel]


def page(found: Comparison) -> str:
    """The HTML of the report; deterministic."""
    from jinja2 import Environment, PackageLoader, select_autoescape  # slow to import

    environment = Environment(
        loader=PackageLoader("ptheta.report"),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    measured = found.measured
    metrics = metrics_of([*found.runs.values(), found.floor])
    made = tables_of(found)
    terms = glossary(of_tables(made, metrics))
    links = Links(terms)
    return environment.get_template("compare.html").render(
        title=title(found),
        lead=lead(found),
        data=found.data,
        seed=found.seed,
        measured=measured,
        shown=_shown(found),
        summary=found.summary,
        verdicts=verdicts(found.runs, metrics, found.chance),
        tables=made,
        footnotes=footnotes(found),
        earlier=found.earlier,
        rankings=_rankings(found),
        differences=_differences(found),
        plot=_speed_plot(found.runs, metrics),
        balance=_balance_plot(found),
        tree=tree(measured),
        commands=reproduce(found),
        configs={m.name: json.dumps(m.config, indent=2) for m in measured if m.config},
        terms=terms,
        term=links.term,
        line=links.line,
        protocol=found.protocol,
    )


def _shown(found: Comparison) -> list[Shown]:
    """One run of each setting, and all images from other programs."""
    rows = [group[0] for group in found.groups.values()]
    rows += [m for m in found.measured if m.cost is None]
    return [_shown_of(m, found, COLOURS[i % len(COLOURS)]) for i, m in enumerate(rows)]


def _shown_of(m: Measured, found: Comparison, colour: str) -> Shown:
    curves = curves_of(m, found.floor)
    nearest = [p for p in m.pictures if p.title == NEAREST]
    closest = [p for p in m.pictures if p.title.startswith(CLOSEST)]
    samples = [p for p in m.pictures if p.title in OF_SAMPLES]
    more = [p for p in m.pictures if p not in (*nearest, *closest, *samples)]
    return Shown(
        m,
        samples or more,
        more if samples else [],
        nearest,
        closest,
        story(curves, colour),
        panels(curves, colour),
    )


def _rankings(found: Comparison) -> list[Ranking]:
    every = list(found.runs.values())
    return [
        Ranking(
            heading(metric, every),
            [ranked_row(row) for row in rows],
            cell(real).text if (real := found.floor.get(metric)) else "",
        )
        for metric, rows in found.ranked.items()
    ]


def _differences(found: Comparison) -> list[Differences]:
    every = list(found.runs.values())
    return [
        Differences(heading(metric, every), matrix(pairs))
        for metric, pairs in found.pairs.items()
        if presentation(metric).paired and not repeated(metric, found.pairs)
    ]


def _speed_plot(runs: Mapping[str, Evaluation], metrics: list[str]) -> str:
    """Kernel distance against sampling speed."""
    distance = next((m for m in metrics if presentation(m).role is Role.DISTANCE), "")
    points, unit = [], ""
    for name, evaluation in runs.items():
        x, y = evaluation.get("sampling_speed"), evaluation.get(distance)
        if x is not None and y is not None and x.value is not None and y.value is not None:
            points.append((name, x.value, y.value, 2 * (y.error or 0.0)))
            unit = x.unit
    return scatter(points, f"sampling speed, {unit}", words(distance)) if points else ""


def _balance_plot(found: Comparison) -> str:
    """Precision against recall of the runs and the baselines."""
    points = [
        (name, r.value, p.value, 2 * (p.error or 0.0))
        for name, e in {**found.runs, **found.others}.items()
        if (p := _of_role(e, Role.PRECISION)) and (r := _of_role(e, Role.RECALL))
        if p.value is not None and r.value is not None
    ]
    if not points:
        return ""
    return scatter(points, "recall", "precision", log=False, grey=found.others.keys())


def _of_role(evaluation: Evaluation, role: Role) -> Result | None:
    return next((r for r in evaluation.results if presentation(r.metric).role is role), None)
