"""Missing values: tables completed, and how well."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import DATA, JSON, RUN, SEED, THREADS, Parsed, cli, refuse, whole
from ptheta.cli.help import USE
from ptheta.cli.tables import print_table
from ptheta.errors import PthetaError
from ptheta.measures.rivals import verdict
from ptheta.terminal.progress import shown

if TYPE_CHECKING:
    from ptheta.tasks.impute import Scored

FILLING = ("out", "m", "mean", "force")
SCORING = ("data", "repeats", "draws")


@cli.command(panel=USE)
@RUN
@click.argument("table", type=types.SOURCE, required=False)
@click.option(
    "--out",
    type=types.SOURCE,
    help="File to write, of the same kind as TABLE: .csv, .tsv, .parquet or .npy. With -m 5, "
    "full.csv becomes full-1.csv to full-5.csv, each of them a complete table.",
)
@click.option(
    "-m",
    "m",
    type=types.LAYERED,
    default=1,
    show_default=True,
    help="Number of completed tables (multiple imputation). What differs among them says how "
    "uncertain the missing cells are; 5 is usual.",
)
@click.option(
    "--mean",
    is_flag=True,
    help="Write the single best completion: means, and the most probable words. No draws: what is "
    "computed of such a table is surer than it should be.",
)
@click.option(
    "--hide",
    type=types.Real(0, above=True),
    metavar="SHARE",
    help="Write nothing: hide this share of the known cells of TABLE (default: the run's held-out "
    "rows), impute them, and print how well, beside means, nearest rows, regressions and a "
    "Gaussian.",
)
@whole("--repeats", 5, "Number of times that other cells are hidden.", types.LAYERED)
@whole("--draws", 100, "Number of completions by which --hide measures intervals.", types.LAYERED)
@whole(
    "--candidates",
    50,
    "Number of completions to choose from, of a model that conditions approximately.",
    types.LAYERED,
)
@click.option("--force", is_flag=True, help="Write files anew that are there.")
@JSON
@DATA
@SEED
@THREADS
def impute(
    run: str, table: str | None, hide: float | None, as_json: bool, **options: Parsed
) -> None:
    """Fill the missing cells of a TABLE.

    Known cells are written as they stand, a table of text to the byte. Filled ones keep to the
    types, bounds and words of their columns.

    Examples:
      ptheta impute runs/gaussian people.csv --out full.csv -m 5
      ptheta impute runs/gaussian --hide 0.3
    """
    if hide is not None:
        refuse(FILLING, "writes tables, and --hide none")
        if table is not None and options["data"] is not None:
            raise PthetaError("a TABLE and --data both say which rows are used: leave one out")
        scoring = {k: v for k, v in options.items() if k not in FILLING}
        scoring["data"] = table or options["data"]
        with shown(run):
            found = ptheta.api.score_imputation(run, hide=hide, **scoring)
        _print_scores(found, as_json)
        return
    refuse(SCORING, "measures, which --hide asks for")
    if table is None or options["out"] is None:
        raise PthetaError("name a TABLE with gaps and --out, the file to write; or --hide SHARE")
    filling = {k: v for k, v in options.items() if k not in SCORING}
    with shown(run):
        done = ptheta.impute(run, table, **filling)
    if as_json:
        click.echo(json.dumps(done.to_json(), indent=2))
        return
    for path in done.paths:
        click.echo(f"{path}: {done.about}")


def _print_scores(found: Sequence[Scored], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({one.name: one.values for one in found}, indent=2))
        return
    heads = [f"{name} ({entry.better})" for name, entry in found[0].measures.items()]
    rows = [[one.name, *one.cells(found[0])] for one in found]
    print_table([["", *heads], *rows])
    click.echo()
    for name, entry in found[0].measures.items():
        click.echo(f"{name}: {entry.about}")
    click.echo("+- standard deviation over the repetitions")
    click.echo(verdict(rows))
