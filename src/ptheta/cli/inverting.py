"""The use that looks for the codes of images."""

from __future__ import annotations

from functools import partial

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.asked import asked, asked_options
from ptheta.cli.common import (
    DATA,
    JSON,
    RUN,
    SEED,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    out_unless,
    whole,
)
from ptheta.cli.help import USE
from ptheta.cli.repairing import SHOWN, needs_place, say
from ptheta.terminal.progress import shown

beside_pictures = partial(asked_options, without=("image",))


@cli.command(panel=USE)
@RUN
@click.option(
    "--image",
    type=types.SOURCE,
    help="Picture whose code is wanted, or folder of them. By default test images.",
)
@beside_pictures
@whole("--restarts", 8, "Number of starts of each image.", types.LAYERED)
@whole("--steps", 600, "Number of steps of the start that is the best in the end.")
@whole("--drawn", 10_000, "Number of codes of the prior among which starts are looked for.")
@click.option(
    "--encoder/--no-encoder",
    default=True,
    show_default=True,
    help="Start from what the encoder gives as well, where the model has one.",
)
@SHOWN
@click.option(
    "--measured",
    type=types.COUNT,
    help="Number of test images that the table is of.  [default: 100, or all]",
)
@click.option(
    "--codes",
    type=types.File(".npy", ".csv", ".parquet"),
    help="File to write the codes to, a row for each image: .npy, .csv or .parquet.",
)
@JSON
@WEIGHTS
@DATA
@SEED
@out_unless
@THREADS
def invert(run: str, as_json: bool, **options: Parsed) -> None:
    """Find the code of an image.

    The code is looked for whose image is nearest to the given one, by its gradient, from several
    starts: of a GAN, which has no encoder, and of any other model that makes images of codes. A
    table of test images says how near that is, beside what the encoder gives, the best of many
    random codes, and principal components. Pictures of yours (--image) are written as their codes
    have them, into the folder --out.

    Examples:
      ptheta invert runs/gan --out found.png --codes codes.csv
      ptheta invert runs/gan --image photos --out found
    """
    condition = asked(run, options)
    if options["codes"] is None:
        needs_place(options)
    with shown(run):
        found = ptheta.invert(run, condition=condition, **options)
    say(found, as_json)
    if options["codes"] is not None:
        click.echo(f"{options['codes']}: the codes, a row for each image", err=as_json)
