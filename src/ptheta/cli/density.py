"""The `density` command: log-likelihood of examples."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import (
    DATA,
    DEVICE,
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
@whole("--held-out", 2000, "Maximum number of held-out examples to rank against.", types.Whole(2))
@whole("--samples", 16, "Number of importance samples for a bound.")
@TABLE
@click.option(
    "--show", type=types.SOURCE, help="Image to write, with the least and the most likely examples."
)
@number(text="Number of examples in each row of the image.")
@FORCE
@JSON
@WEIGHTS
@DATA
@SEED
@DEVICE
@THREADS
def density(run: str, as_json: bool, **options: Parsed) -> None:
    """Compute log p of each example, in nats and bits/dim.

    By default SOURCE is the held-out part of the run's data. Each number is marked as exact (=), a
    bound (<=) or an estimate (~), and compared with baselines that need no model. The most likely
    examples are not the typical ones: see docs/density.md.

    Examples:
      ptheta density runs/pixelcnn
      ptheta density runs/vae photos --out density.csv --show ends.png
    """
    with shown(run):
        found = ptheta.density(run, **options)
    say_found(found, as_json)
