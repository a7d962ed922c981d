"""The `invert` command: find the latent codes of images."""

from __future__ import annotations

from functools import partial

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.asked import asked, asked_options
from ptheta.cli.common import (
    DATA,
    DEVICE,
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

condition_options = partial(asked_options, without=("image",))


@cli.command(panel=USE)
@RUN
@click.option(
    "--image",
    type=types.SOURCE,
    help="Image to invert, or folder of images. By default test images.",
)
@condition_options
@whole("--restarts", 8, "Number of restarts per image.", types.LAYERED)
@whole("--steps", 600, "Number of optimisation steps of the best restart.")
@whole(
    "--drawn",
    10_000,
    "Number of codes drawn from the prior, of which the best are starting points.",
)
@click.option(
    "--encoder/--no-encoder",
    default=True,
    show_default=True,
    help="Also start from the encoder's output, if the model has an encoder.",
)
@SHOWN
@click.option(
    "--measured",
    type=types.COUNT,
    help="Number of test images in the table.  [default: 100, or all]",
)
@click.option(
    "--codes",
    type=types.File(".npy", ".csv", ".parquet"),
    help="Write the codes to this file, one row per image: .npy, .csv or .parquet.",
)
@JSON
@WEIGHTS
@DATA
@SEED
@out_unless
@DEVICE
@THREADS
def invert(run: str, as_json: bool, **options: Parsed) -> None:
    """Find the latent code of an image by optimisation.

    Gradient descent from several starting points finds the code whose decoded image is nearest to
    the given one, for a GAN (which has no encoder) or any other model with a decoder. A table for
    test images compares the error with the encoder, the best of many random codes, and principal
    components. Images given by --image are reconstructed into the folder --out.

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
        click.echo(f"{options['codes']}: the codes, one row per image", err=as_json)
