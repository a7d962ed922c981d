"""What samples are good for: as training data, and as what they pass for."""

from __future__ import annotations

import json

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import (
    DATA,
    JSON,
    PRIOR,
    RUN,
    SEED,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    whole,
)
from ptheta.cli.help import MEASURE
from ptheta.cli.tables import print_table
from ptheta.terminal.progress import shown


@cli.command(panel=MEASURE)
@RUN
@click.option(
    *("-n", "--number", "n"),
    type=types.COUNT,
    help="Number of samples to learn from.  [default: as many as training examples]",
)
@click.option(
    "--target",
    metavar="COLUMN",
    help="Column of a table that is the label: words, or numbers of two values. A run that is "
    "conditional on labels has its own.",
)
@whole("--repeats", 5, "Number of times that all is drawn and learned anew.", types.LAYERED)
@click.option("--out", type=types.File(".csv"), help="A .csv to write a row for each number to.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@JSON
@WEIGHTS
@PRIOR
@DATA
@SEED
@THREADS
def usefulness(run: str, as_json: bool, **options: Parsed) -> None:
    """Train classifiers on samples of RUN, test them on real examples.

    Beside samples they learn from real examples, from both, and from what needs no model. Tests try
    to tell samples from held-out examples, and samples are looked at for copies of training
    examples. Numbers are means over the repeats, with 95 % intervals.

    Examples:
      ptheta usefulness runs/cvae
      ptheta usefulness runs/gaussian --target sex
    """
    with shown(run):
        found = ptheta.usefulness(run, **options)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        for table in (found.learned(), found.passed()):
            if table:
                print_table(table)
                click.echo()
        for line in (*found.verdict(), *found.remarks):
            click.echo(line)
    if found.path is not None:
        click.echo(f"{found.path}", err=as_json)
