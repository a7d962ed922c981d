"""The `ratio` command: density ratio of examples by a GAN's discriminator."""

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
@whole(
    "--held-out",
    2000,
    "Maximum number of held-out examples, and of samples, for calibration.",
    types.Whole(2),
)
@click.option(
    "--floors/--no-floors",
    default=True,
    help="Compare the discriminator with small classifiers (default), or not.",
)
@click.option(
    "--calibration",
    default="line",
    show_default=True,
    help="Calibration of the discriminator: line (linear in its log-ratio) or isotonic.",
)
@TABLE
@click.option(
    "--show",
    type=types.SOURCE,
    help="Image to write, with the examples of lowest and highest ratio.",
)
@number(text="Number of examples in each row of the image.")
@FORCE
@JSON
@WEIGHTS
@DATA
@SEED
@DEVICE
@THREADS
def ratio(run: str, as_json: bool, **options: Parsed) -> None:
    """Estimate p_data / p_model of each example with a GAN.

    The ratio is computed from the discriminator of RUN: above 1, an example is more likely under
    the data than under the model. The discriminator is calibrated on held-out examples and new
    samples, which it has not seen; the calibration slope (1 is perfect) is reported before and
    after. By default SOURCE is the held-out part of the run's data.

    Examples:
      ptheta ratio runs/gan
      ptheta ratio runs/gan photos --out ratio.csv
    """
    with shown(run):
        found = ptheta.ratio(run, **options)
    say_found(found, as_json)
