"""The `neighbours` command: nearest training examples of samples, to detect copies."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import (
    DATA,
    DEVICE,
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
    help="Image to write: the first samples, uncurated, each followed by its neighbours. A "
    "second image, with -closest in its name, shows the samples nearest to any training "
    "image. Or a .csv, as --table.",
)
@click.option(
    "--table", type=types.File(".csv"), help="Write a row for each neighbour to this .csv file."
)
@number(text="Number of samples in each image and each space.")
@whole("--drawn", 1000, "Number of samples to search for copies.", types.Whole(10))
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
    help="Space of the distances: pixels or features. May be repeated.  [default: both]",
)
@click.option(
    "--extractor",
    help="Feature extractor, as for `ptheta evaluate`. By default the one trained on images of "
    "this kind, else pixels averaged to 8x8.",
)
@whole("--held-out", 1000, "Maximum number of unseen examples to compare with.", types.Whole(10))
@whole(
    "--shifts",
    0,
    "Also recognise copies shifted by up to n pixels, at (2 n + 1)^2 times the work.",
    types.Whole(0, 16),
)
@click.option("--mirror", is_flag=True, help="Also recognise mirrored copies, at twice the work.")
@SIZE
@CHANNELS
@IMAGE_COLUMN
@FORCE
@JSON
@WEIGHTS
@PRIOR
@DATA
@SEED
@DEVICE
@THREADS
def neighbours(run: str, as_json: bool, space: tuple[str, ...], **options: Parsed) -> None:
    """Show samples next to their nearest training examples.

    Two measures detect copies, each compared with its value for unseen examples: the distance to
    the nearest training example, and its ratio to the distance of the second-nearest. IMAGES of any
    origin are compared with the training images of --data.

    Examples:
      ptheta neighbours runs/gan --out near.png
      ptheta neighbours photos --data digits --space pixels --out photos-near.png
    """
    with shown(run):
        found = ptheta.neighbours(run, space=space, **options)
    say_found(found, as_json)
    if found.closest is not None:
        click.echo(f"{found.closest}", err=as_json)
