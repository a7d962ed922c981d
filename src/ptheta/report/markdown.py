"""The comparison as Markdown: the numbers without the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ptheta.metrics.table import words
from ptheta.report.comparison import Comparison
from ptheta.report.footnotes import footnotes, tables_of
from ptheta.report.glossary import glossary, of_tables
from ptheta.report.pairs import Pair
from ptheta.report.ranking import Rank
from ptheta.report.reproduce import reproduce
from ptheta.report.tables import Cell, Heading, Row, Table, ranked_row
from ptheta.report.text import markdown
from ptheta.report.titles import lead, title
from ptheta.report.tree import Twig, tree


def document(found: Comparison) -> str:
    """The Markdown of the report."""
    lines = [
        f"# {markdown(title(found))}",
        "",
        markdown(lead(found)),
        "",
        *(f"- {markdown(line)}" for line in found.summary),
    ]
    for table in tables_of(found):
        lines += as_markdown(table)
    lines += ["", *(f"[{note.mark}] {markdown(note.text)}  " for note in footnotes(found))]
    lines += ["", markdown(found.earlier)] if found.earlier else []
    lines += [*_alike(found.pairs), *_not_judged(found.pairs)]
    for metric, rows in found.ranked.items():
        lines += ["", f"## {words(metric)} over seeds", "", *_settings(rows)]
    lines += ["", "## Families", "", *_standing(tree(found.measured))]
    lines += _commands(found)
    terms = glossary(of_tables(tables_of(found), found.metrics))
    lines += ["", "## Glossary", ""]
    lines += [f"- **{markdown(e.term)}**: {markdown(e.meaning)}" for e in terms]
    facts = (f"{words(k)}: {markdown(str(v))}" for k, v in found.protocol.items())
    return "\n".join([*lines, "", "; ".join(facts)]) + "\n"


def as_markdown(table: Table) -> list[str]:
    """A table as lines of Markdown."""
    head = ["", *map(_head, table.head)]
    rows = [[_name(row), *map(_text, row.cells)] for row in table.rows]
    return ["", f"## {table.title}", "", table.note, "", *grid([head, *rows])]


def grid(lines: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells, the first of them the heading, as Markdown."""
    texts = ["| " + " | ".join(map(markdown, cells)) + " |" for cells in lines]
    return [texts[0], "|" + " --- |" * len(lines[0]), *texts[1:]]


def _head(heading: Heading) -> str:
    return f"{heading.name} ({heading.about})" if heading.about else heading.name


def _name(row: Row) -> str:
    return f"{row.name} [{row.mark}]" if row.mark else row.name


def _text(cell: Cell) -> str:
    return f"{cell.text} ({cell.why})" if cell.why else cell.text


def _settings(rows: Sequence[Rank]) -> list[str]:
    shown = map(ranked_row, rows)
    return grid(
        [
            ["setting", "mean, 95 % interval", "runs", ""],
            *([r.setting, r.mean, r.runs, "not the best" if r.apart else ""] for r in shown),
        ]
    )


def _alike(found: Mapping[str, Sequence[Pair]]) -> list[str]:
    """Pairs of runs without a significant difference."""
    alike = {m: [f"{p.a} and {p.b}" for p in every if p.alike] for m, every in found.items()}
    if not any(alike.values()):
        return []
    return [
        *("", "## No significant difference", ""),
        *("By the paired 95 % interval of each two runs:", ""),
        *(f"- {words(m)}: {markdown(', '.join(p))}" for m, p in alike.items() if p),
    ]


def _not_judged(found: Mapping[str, Sequence[Pair]]) -> list[str]:
    """Pairs of runs that are not compared, and why."""
    reasons: dict[str, list[str]] = {}
    for metric, every in found.items():
        for p in every:
            if p.difference is None:
                reasons.setdefault(f"{p.a} and {p.b}: {p.reason}", []).append(words(metric))
    if not reasons:
        return []
    return [
        *("", "## Not compared", ""),
        *(f"- {markdown(reason)} ({', '.join(metrics)})" for reason, metrics in reasons.items()),
    ]


def _standing(twig: Twig, depth: int = 0) -> list[str]:
    """The branches of the model tree that contain rows of the report."""
    below = [line for one in twig.twigs for line in _standing(one, depth + 1)]
    if not below and not twig.rows:
        return []
    rows = f": {markdown(', '.join(twig.rows))}" if twig.rows else ""
    return [f"{'  ' * depth}- {twig.name}{rows}", *below]


def _commands(found: Comparison) -> list[str]:
    """The commands that reproduce the runs and the comparison, as code blocks."""
    commands = reproduce(found)
    if not commands:
        return []
    code = (f"    {' '.join(line.split())}" for line in commands)
    return ["", "## Reproduction", "", *code]
