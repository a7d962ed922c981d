"""An analysis as files: one HTML page, Markdown and JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

from ptheta import __version__
from ptheta.errors import PthetaError
from ptheta.files.atomic import make_folder, write_json, write_text
from ptheta.report.markdown import as_markdown
from ptheta.report.text import markdown
from ptheta.study.analysis.analyse import Analysis
from ptheta.study.analysis.estimates import Comparison, Estimate
from ptheta.study.analysis.figures import Figure, agreement_figure, learning_figure, main_figure
from ptheta.study.analysis.tables import everything
from ptheta.study.analysis.words import lead, summary
from ptheta.study.files import ANSWERS_FILE, Answer, write_answers

PAGE, TEXT, NUMBERS = "report.html", "report.md", "analysis.json"
METHOD = (
    "An answer depends on the person and on the image, and both are samples. The variance of a "
    "number is the jackknife over people, plus the jackknife over images, less that over answers: "
    "the sum over all pairs of answers that share a person or an image (Cameron, Gelbach and "
    "Miller 2011).",
    "Intervals use Student's t with Satterthwaite's degrees of freedom, and for shares the form "
    "of Wilson (1927). Simulated people of known error rates check that they cover 95 %: see "
    "the page on the analysis in the documentation.",
    "Results are of the main phase, without attention checks and repeated questions.",
)


def write(
    found: Analysis, out: Path, answers: list[Answer] | None = None, *, given: Path | None = None
) -> Path:
    """Writes the report into a folder: the page, Markdown, numbers, and the raw answers.

    Args:
        found: The analysis.
        out: The folder.
        answers: Everything that `answers.csv` holds, to be put next to the page.
        given: The file that the answers are from, which is not written.

    Returns:
        The page.

    Raises:
        PthetaError: if the folder holds an `answers.csv` of something else.
        CannotWrite: if the folder cannot be written.
    """
    make_folder(out)
    if answers is not None:
        _write_raw(out, answers, given)
    write_json(out / NUMBERS, to_json(found))
    write_text(out / TEXT, document(found))
    write_text(out / PAGE, page(found, raw=answers is not None))
    return out / PAGE


def _write_raw(out: Path, answers: list[Answer], given: Path | None) -> None:
    """Over those of an earlier report, but over no other file."""
    path = out / ANSWERS_FILE
    if path.exists():
        if given is not None and given.exists() and path.samefile(given):
            return
        if not (out / NUMBERS).exists():
            raise PthetaError(f"{path} is there and of no earlier report: choose another --out")
    write_answers(path, answers)


def title(found: Analysis) -> str:
    """The name of the study."""
    return f"Human study {found.name}"


def page(found: Analysis, raw: bool = False) -> str:
    """The HTML of the report; the same analysis gives the same bytes. raw: whether `answers.csv`
    is next to it"""
    from jinja2 import (  # only a report needs it
        ChoiceLoader,
        Environment,
        PackageLoader,
        select_autoescape,
    )

    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("ptheta.study.analysis"), PackageLoader("ptheta.report")]
        ),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made = everything(found)
    beside: Mapping[str, Figure | None] = {
        made[0].title: main_figure(found),
        "Over the trials": learning_figure(found),
        "Agreement with metrics": agreement_figure(found),
    }
    return environment.get_template("study.html").render(
        title=title(found),
        lead=lead(found),
        found=found,
        summary=summary(found),
        tables=made,
        figures={name: figure for name, figure in beside.items() if figure is not None},
        method=METHOD,
        files=[*([ANSWERS_FILE] if raw else []), NUMBERS, TEXT],
        version=__version__,
    )


def document(found: Analysis) -> str:
    """The Markdown of the report."""
    lines = [f"# {markdown(title(found))}", "", markdown(lead(found)), ""]
    if found.simulated:
        lines += ["**These are answers of simulated people.**", ""]
    lines += [*(f"{markdown(note)}\n" for note in found.notes)]
    lines += [f"- {markdown(line)}" for line in summary(found)]
    for table in everything(found):
        lines += as_markdown(table)
    return "\n".join([*lines, "", "## Method", "", *(f"{text}\n" for text in METHOD)])


def to_json(found: Analysis) -> dict[str, object]:
    """The numbers of an analysis. What is unknown is null."""
    return {
        "version": __version__,
        **{field.name: _plain(found.__dict__[field.name]) for field in fields(found)},
    }


def _plain(value: object) -> object:
    """A value as JSON can hold it."""
    if isinstance(value, Estimate):
        return _estimate(value)
    if isinstance(value, Comparison):
        return {
            "a": value.a,
            "b": value.b,
            "difference": _estimate(value.difference),
            "p": value.p,
            "p_holm": value.adjusted,
        }
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(value.__dict__[field.name]) for field in fields(value)}
    return value


def _estimate(found: Estimate) -> dict[str, object]:
    return {
        "value": _plain(found.value),
        "interval_95": None if found.interval is None else list(found.interval),
        "error": _plain(found.error),
        "n": found.n,
    }
