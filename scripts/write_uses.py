"""The tables of docs/uses.md, docs/outliers.md and docs/synthetic.md, from what the program knows.

    python -m scripts.write_uses

Each table stands between two comments, `<!-- NAME -->` and `<!-- /NAME -->`; the rest of the page
is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from ptheta.specs import DataSpec, ImageSpec, VectorSpec
from ptheta.tasks.matrix import TASKS, Anything, matrix, named
from ptheta.tasks.outliers import SCORES
from ptheta.tasks.usefulness import LEARNERS, RIVALS, SOURCES, TESTS

ROOT = Path(__file__).parent.parent


def tasks() -> str:
    """What each use gives, and what it asks of a model."""
    rows = [["verb", "what it gives", "what a model needs"]]
    rows += [[f"`{verb}`", task.about, task.methods] for verb, task in TASKS.items()]
    return _markdown(rows)


def models() -> str:
    """Which model can do which."""
    head, *rows = matrix()
    return _markdown([["model", *head[1:]], *([f"`{row[0]}`", *row[1:]] for row in rows)])


def _markdown(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{'---|' * len(rows[0])}", *lines[1:]])


def scores() -> str:
    """The scores of outliers, the floors last."""
    rows = [["score", "what it is", "formula", "what a model needs", "paper"]]
    for name, score in SCORES.items():
        needs = "no model" if score.floor else named(score.needs or (Anything,))
        formula = score.formula.replace("|", "\\|")
        rows.append([f"`{name}`", score.about, f"{formula}", needs, score.paper])
    return _markdown(rows)


def sources() -> str:
    """What classifiers learn from."""
    rows = [["source", "what it is", "floor"]]
    rows += [[f"`{n}`", one.about, "yes" if one.floor else ""] for n, one in SOURCES.items()]
    return _markdown(rows)


def learners() -> str:
    """The classifiers, and what they are for."""
    rows = [["classifier", "what it is", "learns"]]
    for name, one in LEARNERS.items():
        kinds = " and ".join(KINDS[kind] for kind in one.of)
        rows.append([f"`{name}`", one.about, kinds])
    return _markdown(rows)


def tests() -> str:
    """What is held against test examples, and by which tests."""
    rows = [["held against test examples", "what it is"]]
    rows += [[f"`{name}`", one.about] for name, one in RIVALS.items()]
    by = [["test", "what it says"], *([f"`{name}`", one.about] for name, one in TESTS.items())]
    return f"{_markdown(rows)}\n\n{_markdown(by)}"


KINDS: Mapping[type[DataSpec], str] = {VectorSpec: "rows of tables", ImageSpec: "images"}

PAGES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "uses.md": {"tasks": tasks, "models": models},
    "outliers.md": {"scores": scores},
    "synthetic.md": {"sources": sources, "learners": learners, "tests": tests},
}


def written(text: str, parts: Mapping[str, Callable[[], str]]) -> str:
    """A page with its tables as they are now."""
    for name, part in parts.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        found = marked.search(text)
        assert found is not None, f"there is no place for {name}"
        text = text[: found.end(1)] + part() + text[found.start(2) :]
    return text


def main() -> None:
    for page, parts in PAGES.items():
        file = ROOT / "docs" / page
        file.write_text(written(file.read_text(encoding="utf-8"), parts), encoding="utf-8")


if __name__ == "__main__":
    main()
