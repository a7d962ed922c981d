"""The use that looks for copies: samples beside the training examples that they are nearest to."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import (
    DATA,
    FORCE,
    IMAGE_COLUMN,
    JSON,
    PRIOR,
    SEED,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    number,
    whole,
)
from ptheta.cli.help import LOOK
from ptheta.cli.measure import CHANNELS, SIZE
from ptheta.cli.repairing import say_found
from ptheta.terminal.progress import shown


@cli.command(panel=LOOK)
@click.argument("run", metavar="RUN|IMAGES", type=types.SOURCE)
@click.option(
    "--out",
    type=types.SOURCE,
    help="Picture to write of the first samples, uncurated, each before its neighbours; beside it "
    "one with -closest in its name, of the samples of all that are nearest to a training image. Or "
    "a .csv, as --table.",
)
@click.option(
    "--table", type=types.File(".csv"), help="A .csv to write a row for each neighbour to."
)
@number(text="Number of samples in each picture, and each space.")
@whole("--drawn", 1000, "Number of samples that are searched.", types.Whole(10))
@click.option(
    "-k",
    type=types.LAYERED,
    default=3,
    show_default=True,
    help="Number of neighbours of each sample.",
)
@click.option(
    "--space",
    multiple=True,
    help="Where distances are taken: pixels or features. May be repeated.  [default: both]",
)
@click.option(
    "--extractor",
    help="Extractor of the features, as for `ptheta evaluate`. By default the one that was trained "
    "on such images, else pixels averaged to 8x8.",
)
@whole("--held-out", 1000, "Number of unseen examples to compare with, at most.", types.Whole(10))
@whole(
    "--shifts",
    0,
    "Pixels by which a copy may be shifted and still be known, at (2 n + 1)^2 times the work.",
    types.Whole(0, 16),
)
@click.option("--mirror", is_flag=True, help="Know mirrored copies as well, at twice the work.")
@SIZE
@CHANNELS
@IMAGE_COLUMN
@FORCE
@JSON
@WEIGHTS
@PRIOR
@DATA
@SEED
@THREADS
def neighbours(run: str, as_json: bool, space: tuple[str, ...], **options: Parsed) -> None:
    """Show samples beside the training examples nearest to them.

    Whether samples are copies is told by two numbers beside those of unseen examples: how near they
    are to a training example, and whether that one stands out from the next. IMAGES of any origin
    are held against the training images of --data.

    Examples:
      ptheta neighbours runs/gan --out near.png
      ptheta neighbours photos --data digits --space pixels --out photos-near.png
    """
    with shown(run):
        found = ptheta.neighbours(run, space=space, **options)
    say_found(found, as_json)
    if found.closest is not None:
        click.echo(f"{found.closest}", err=as_json)
