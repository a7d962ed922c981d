"""The use that says what each layer of codes carries."""

from __future__ import annotations

import json

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import (
    DATA,
    DEVICE,
    FIGURE,
    JSON,
    SEED,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    number,
)
from ptheta.cli.help import LOOK
from ptheta.cli.tables import print_table


@cli.command(panel=LOOK)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=types.SOURCE)
@number(2000, "Number of test examples.", types.Whole(2))
@WEIGHTS
@JSON
@DATA
@SEED
@FIGURE
@DEVICE
@THREADS
def layers(as_json: bool, **options: Parsed) -> None:
    """Look at the KL of each layer of codes, of one run or several.

    Layers are counted from the data up. The parts add up to the KL of the bound: a layer that has
    next to none of it says nothing of the data (component collapse). Intervals are of 95 %.

    Examples:
      ptheta layers runs/ladder
      ptheta layers runs/plain runs/ladder --out bars.png
    """
    found = ptheta.layers(**options)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_table(found.table())
        for run in found.runs:
            click.echo(f"{run.name}: {run.used} of {len(run.kl)} layers carry more than 0.1 nats")
    if found.path is not None:
        click.echo(f"{found.path}", err=as_json)
