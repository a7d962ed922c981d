"""The `arithmetic` command: edit images by vector arithmetic on their latent codes."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.asked import asked
from ptheta.cli.common import (
    DATA,
    DEVICE,
    RUN,
    SEED,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    number,
    out_or_film,
    show,
    whole,
)
from ptheta.cli.help import USE
from ptheta.cli.repairing import condition_options
from ptheta.terminal.progress import shown


@cli.command(panel=USE)
@RUN
@click.option(
    "--plus",
    help="Group to move the images towards: training images selected by attribute or label "
    "(NAME=VALUE,...), such as label=7 or first_colour=red; a class name, such as 7; an "
    "image file, or a folder of images.",
)
@click.option(
    "--minus",
    help="Group to move the images away from. By default the group with each image's own value "
    "of the same attribute.",
)
@click.option("--along", help="Numeric or ordered attribute along which to move the images.")
@click.option(
    "--closed-form",
    type=types.COUNT,
    help="Number of directions in which the output of the generator's first layer changes most; "
    "one row for each.",
)
@click.option("--direction", type=types.SOURCE, help="File of directions written by --save.")
@click.option(
    "--image",
    type=types.SOURCE,
    help="Image to edit, or folder of images. By default test images.",
)
@click.option(
    "--where", type=types.NAMES, default="", help="Select the test images to edit: NAME=VALUE,..."
)
@condition_options
@number(text="Number of images.")
@whole("--each", 200, "Maximum number of images in a group.")
@click.option(
    "--near",
    type=types.COUNT,
    help="Number of images of the image's own group to use: those with the nearest codes, each "
    "matched with the most similar images of the other group.  [default: all, by the means "
    "of both groups]",
)
@click.option(
    "--strength",
    "strengths",
    type=types.Real(),
    multiple=True,
    help="Step size along the direction: 1 is the distance between the groups, or one standard "
    "deviation. May be repeated.  [default: 0, 0.5, 1 and 1.5; -2 to 2 with --along and "
    "--closed-form; 16 steps over the same range in a film]",
)
@click.option(
    "--save",
    type=types.File(".safetensors"),
    help="Write the direction to this .safetensors file, to reuse with --direction. Needs "
    "--minus and no --near, so that all images have the same direction.",
)
@WEIGHTS
@DATA
@SEED
@out_or_film
@DEVICE
@THREADS
def arithmetic(run: str, where: str, **options: Parsed) -> None:
    """Edit images by vector arithmetic on their latent codes.

    The code of each image is moved along a direction and decoded: towards one group of images
    (--plus) and away from another (--minus), along a numeric attribute (--along), or in the
    directions to which the generator is most sensitive (--closed-form). For a model without an
    encoder, codes are found by inversion (`ptheta invert`). Each row begins with the original
    image; a film (--out turn.gif) shows the original above the edited image.

    Examples:
      ptheta arithmetic runs/scenes --plus first_colour=red --near 10 --out red.png
      ptheta arithmetic runs/gan --closed-form 4 --out directions.png
    """
    condition = asked(run, options)
    options["strengths"] = options["strengths"] or None
    with shown(run):
        found = ptheta.arithmetic(run, where=where, condition=condition, **options)
    show(found)
