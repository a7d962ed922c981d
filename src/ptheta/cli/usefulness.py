"""The `usefulness` command: samples as training data, and tests against real examples."""

from __future__ import annotations

import json

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import (
    DATA,
    DEVICE,
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
    help="Column of a table to use as the label: words, or a number with two values. A run "
    "conditional on labels uses those.",
)
@whole(
    "--repeats",
    5,
    "Number of repetitions, each with new samples and newly trained classifiers.",
    types.LAYERED,
)
@click.option(
    "--out", type=types.File(".csv"), help="Write a row for each result to this .csv file."
)
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@JSON
@WEIGHTS
@PRIOR
@DATA
@SEED
@DEVICE
@THREADS
def usefulness(run: str, as_json: bool, **options: Parsed) -> None:
    """Train classifiers on samples of RUN, test them on real examples.

    Classifiers are also trained on real examples, on both, and on baselines that need no model.
    Two-sample tests try to distinguish samples from held-out examples, and samples are searched for
    copies of training examples. Results are means over the repeats, with 95 % intervals.

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
