"""The use that says how likely examples are."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import (
    DATA,
    EXAMPLES,
    FORCE,
    JSON,
    LABEL_COLUMN,
    RUN,
    SEED,
    SPLIT,
    TABLE,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    number,
    whole,
)
from ptheta.cli.help import USE
from ptheta.cli.repairing import say_found
from ptheta.terminal.progress import shown


@cli.command(panel=USE)
@RUN
@EXAMPLES
@SPLIT
@LABEL_COLUMN
@whole("--held-out", 2000, "Number of held-out examples to rank among, at most.", types.Whole(2))
@whole("--samples", 16, "Number of importance samples of a bound.")
@TABLE
@click.option(
    "--show", type=types.SOURCE, help="Picture to write of the least and the most likely examples."
)
@number(text="Number of examples in each row of the picture.")
@FORCE
@JSON
@WEIGHTS
@DATA
@SEED
@THREADS
def density(run: str, as_json: bool, **options: Parsed) -> None:
    """Say how likely each example is: log p in nats and bits/dim.

    By default SOURCE is what the run's data holds out. The kind of number is said: exact (=), a
    bound (<=) or an estimate (~), beside what needs no model. A likely example is no typical one:
    see docs/density.md.

    Examples:
      ptheta density runs/pixelcnn
      ptheta density runs/vae photos --out density.csv --show ends.png
    """
    with shown(run):
        found = ptheta.density(run, **options)
    say_found(found, as_json)
