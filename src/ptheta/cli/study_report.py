"""Commands that analyse a human study: report, power."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ptheta.cli import types
from ptheta.cli.common import JSON, THREADS, Parsed, given, number, whole
from ptheta.cli.study import PROTOCOLS, study
from ptheta.cli.tables import print_table, print_wrapped
from ptheta.errors import PthetaError
from ptheta.terminal.progress import shown

GROUPS = (5, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200)  # numbers of people in the table


@study.command()
@click.argument("place", metavar="FOLDER|ANSWERS", type=types.SOURCE)
@click.option(
    "--out", type=types.FOLDER, help="Folder to write.  [default: report in the study's folder]"
)
@click.option(
    "--protocol",
    metavar="NAME",
    shell_complete=types.one_of(PROTOCOLS),
    help="Protocol to analyse, if the answers are to several.",
)
@click.option(
    "--least-qualification",
    type=types.Real(0),
    help="Exclude people with a smaller fraction of right answers in the qualification.  "
    "[default: as the study says]",
)
@click.option(
    "--least-attention",
    type=types.Real(0),
    help="Exclude people with a smaller fraction of right answers to attention checks.  "
    "[default: as the study says]",
)
@click.option(
    "--least-trials", type=types.COUNT, help="Exclude people with fewer answers in the main part."
)
@click.option(
    "--least-response",
    type=types.Real(0),
    help="Exclude people with a smaller median response time, in ms.",
)
@click.option(
    "--least-consistency",
    type=types.Real(0),
    help="Exclude people who answer a smaller fraction of repeated questions as before.",
)
@click.option(
    "--measure",
    is_flag=True,
    help="Compute the distances fd and kd of the sources, to compare them with people. By default "
    "those stored in evaluation.json of the runs are used.",
)
@number(1000, "Maximum number of images of each source for --measure.", types.Whole(2))
@click.option("--extractor", help="Feature extractor for --measure (see `ptheta evaluate --help`).")
@JSON
@THREADS
def report(place: str, out: Path | None, as_json: bool, **options: Parsed) -> None:
    """Analyse the answers of a study and write a report.

    The report has error rates with 95 % intervals over people and images, tests of all pairs of
    sources, learning over the trials, response times, excluded people, and the agreement with
    metrics. ANSWERS is a file answers.csv, written by `ptheta study export` or another program, or
    a file of the public answers of Stein et al. 2023.

    Examples:
      ptheta study report study
      ptheta study report answers.csv --out report --least-attention 0.75
    """
    from ptheta.api.studying import study_report
    from ptheta.study.analysis.document import to_json
    from ptheta.study.analysis.words import lead, summary

    if not options["measure"] and (given("n") or given("extractor")):
        raise PthetaError("-n and --extractor are of --measure: add it, or leave them out")
    with shown(str(place)):
        page, found = study_report(place, out, **options)
    if as_json:
        click.echo(json.dumps(to_json(found), indent=2))
        return
    print_wrapped([[lead(found)], *([f"- {line}"] for line in summary(found))])
    click.echo(f"{page}: open it in a browser")


@study.command()
@click.argument("first", type=types.Real())
@click.argument("second", type=types.Real())
@whole("--trials", 100, "Trials of each person, half of them with real images.", types.Whole(2))
@whole("--images", 50, "Number of images of each source.", types.Whole(2))
@whole("--sources", 2, "Number of sources in the study, without real images.", types.Whole(2))
@click.option(
    "--design",
    metavar="between|within",
    default="between",
    show_default=True,
    shell_complete=types.one_of(("between", "within")),
    help="Whether each person sees one source (between) or all of them (within).",
)
@click.option(
    "--person",
    type=types.Real(0),
    default=0.06,
    show_default=True,
    help="Standard deviation of the error rate over people, without chance.",
)
@click.option(
    "--image",
    type=types.Real(0),
    default=0.16,
    show_default=True,
    help="Standard deviation of the error rate over images, without chance.",
)
@click.option(
    "--correlation",
    type=types.Real(0),
    default=0.5,
    show_default=True,
    help="Correlation of a person's error rates on two sources, for --design within.",
)
@click.option("--people", type=types.COUNT, help="Show the power of this number of people alone.")
@JSON
def power(
    first: float, second: float, design: str, people: int | None, as_json: bool, **options: Parsed
) -> None:
    """Compute how many people tell two error rates apart.

    FIRST and SECOND are error rates of two sources over generated and real images, such as 0.25
    and 0.35. The power is the probability that a study finds the difference, by a two-sided test
    at 5 %. The defaults of --person and --image are those of the public answers of Stein et al.
    2023.

    Examples:
      ptheta study power 0.25 0.35
      ptheta study power 0.25 0.30 --design within --images 100
    """
    from ptheta.study.analysis import power as of

    if design not in ("between", "within"):
        raise PthetaError(f"--design {design}: choose between or within")
    plan = of.Plan(between=design == "between", **options)
    plan.check()
    of.check_scores(first, second)
    if people is not None and plan.between and people < plan.sources:
        raise PthetaError(
            f"--people {people}: each person sees one of {plan.sources} sources, so give more"
        )
    least = of.least_people(plan, first, second)
    groups = [n for n in GROUPS if n >= 2 * plan.sources] if people is None else [people]
    rows = [(n, of.power(plan, first, second, n)) for n in groups]
    if as_json:
        found = {"people_for_80_percent": least, "power": {str(n): p for n, p in rows}}
        click.echo(json.dumps(found, indent=2))
        return
    print_table([["people", "power"], *([str(n), f"{100 * p:.0f} %"] for n, p in rows)])
    if least is None:
        click.echo(
            f"{of.MOST_PEOPLE:,} people do not reach a power of 80 %: show more images of each "
            "source (--images)"
        )
    else:
        click.echo(f"a power of 80 % needs {least:,} people")
