"""The `impute` command: fill missing values of tables, and evaluate imputations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import (
    DATA,
    DEVICE,
    JSON,
    RUN,
    SEED,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    refuse,
    whole,
)
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
    help="File to write, in the format of TABLE: .csv, .tsv, .parquet or .npy. With -m 5, "
    "full.csv becomes full-1.csv to full-5.csv, each a complete table.",
)
@click.option(
    "-m",
    "m",
    type=types.LAYERED,
    default=1,
    show_default=True,
    help="Number of completed tables (multiple imputation); their differences show the "
    "uncertainty of the missing cells. 5 is common.",
)
@click.option(
    "--mean",
    is_flag=True,
    help="Write one completion of conditional means and most probable words instead of draws. "
    "Statistics computed from it understate the uncertainty.",
)
@click.option(
    "--hide",
    type=types.Real(0, above=True),
    metavar="SHARE",
    help="Write no table: hide this fraction of the known cells of TABLE (default: the run's "
    "held-out rows), impute them, and print the errors next to baselines: means, nearest "
    "rows, regressions and a Gaussian.",
)
@whole("--repeats", 5, "Number of repetitions, each hiding other cells.", types.LAYERED)
@whole("--draws", 100, "Number of completions from which --hide computes intervals.", types.LAYERED)
@whole(
    "--candidates",
    50,
    "Number of candidate completions, for a model that conditions approximately.",
    types.LAYERED,
)
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@JSON
@WEIGHTS
@DATA
@SEED
@DEVICE
@THREADS
def impute(
    run: str, table: str | None, hide: float | None, as_json: bool, **options: Parsed
) -> None:
    """Fill the missing cells of a TABLE.

    Known cells are copied unchanged (in a text table, byte for byte). Imputed cells respect the
    types, bounds and words of their columns.

    Examples:
      ptheta impute runs/gaussian people.csv --out full.csv -m 5
      ptheta impute runs/gaussian --hide 0.3
    """
    if hide is not None:
        refuse(FILLING, "is for writing tables, and --hide writes none")
        if table is not None and options["data"] is not None:
            raise PthetaError("TABLE and --data both select the rows: leave one out")
        scoring = {k: v for k, v in options.items() if k not in FILLING}
        scoring["data"] = table or options["data"]
        with shown(run):
            found = ptheta.api.score_imputation(run, hide=hide, **scoring)
        _print_scores(found, as_json)
        return
    refuse(SCORING, "is only used with --hide")
    if table is None or options["out"] is None:
        raise PthetaError(
            "give a TABLE with missing cells and --out, the file to write; or --hide SHARE"
        )
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
