"""The use that says how real examples are."""

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
@whole(
    "--held-out",
    2000,
    "Number of held-out examples, and of samples, to calibrate on, at most.",
    types.Whole(2),
)
@click.option(
    "--floors/--no-floors",
    default=True,
    help="Try small classifiers beside the discriminator (by default), or not.",
)
@click.option(
    "--calibration",
    default="line",
    show_default=True,
    help="How the discriminator is calibrated: line (of its log-ratio) or isotonic.",
)
@TABLE
@click.option(
    "--show", type=types.SOURCE, help="Picture to write of the least and the most real examples."
)
@number(text="Number of examples in each row of the picture.")
@FORCE
@JSON
@WEIGHTS
@DATA
@SEED
@THREADS
def ratio(run: str, as_json: bool, **options: Parsed) -> None:
    """Say how real each example is: p_data / p_model, by a GAN.

    The ratio is read off the discriminator of RUN: above 1 an example is more common among the data
    than among samples, below 1 less. It is calibrated on held-out examples and new samples, which
    the discriminator has not seen; its slope (1 is right) is said before and after. By default
    SOURCE is what the run's data holds out.

    Examples:
      ptheta ratio runs/gan
      ptheta ratio runs/gan photos --out ratio.csv
    """
    with shown(run):
        found = ptheta.ratio(run, **options)
    say_found(found, as_json)
