"""The use that changes one thing of images, by arithmetic with their codes."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.asked import asked
from ptheta.cli.common import (
    DATA,
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
from ptheta.cli.repairing import beside_pictures
from ptheta.terminal.progress import shown


@cli.command(panel=USE)
@RUN
@click.option(
    "--plus",
    help="Group that the images are moved towards: NAME=VALUE,... of training images (attributes, "
    "or label), such as label=7 or first_colour=red; a class alone, such as 7; a picture, or a "
    "folder of pictures.",
)
@click.option(
    "--minus",
    help="Group that they are moved away from. By default that of each image itself, of the same "
    "attribute.",
)
@click.option(
    "--along", help="Attribute that is a number or has an order, along which they are moved."
)
@click.option(
    "--closed-form",
    type=types.COUNT,
    help="Number of directions in which the first layer of the generator changes most, a row each.",
)
@click.option("--direction", type=types.SOURCE, help="File of directions that --save has written.")
@click.option(
    "--image",
    type=types.SOURCE,
    help="Picture to change, or folder of them. By default test images.",
)
@click.option(
    "--where", type=types.NAMES, default="", help="Test images to change: NAME=VALUE,... of them."
)
@beside_pictures
@number(text="Number of images.")
@whole("--each", 200, "Number of images of a group, at most.")
@click.option(
    "--near",
    type=types.COUNT,
    help="Number of images of the own group that count: those whose codes are nearest to that of "
    "the image, each with the images of the other group that are most like it.  [default: all, by "
    "the means of both groups]",
)
@click.option(
    "--strength",
    "strengths",
    type=types.Real(),
    multiple=True,
    help="How far to move: 1 is from one group to the other, or one standard deviation. May be "
    "repeated.  [default: 0, 0.5, 1 and 1.5; along a number, and in closed form, -2 to 2; in a "
    "film 16 steps of that]",
)
@click.option(
    "--save",
    type=types.File(".safetensors"),
    help="A .safetensors to write the direction to, for --direction. With "
    "--minus and without --near, so that it is the same for all images.",
)
@WEIGHTS
@DATA
@SEED
@out_or_film
@THREADS
def arithmetic(run: str, where: str, **options: Parsed) -> None:
    """Change one thing of images, by arithmetic with their codes.

    The code of an image is moved along a direction and made an image again: towards a group of
    images (--plus) and away from another (--minus), along a number (--along), or in the directions
    that the generator answers most (--closed-form). A model that has no encoder is given codes by
    inversion (`ptheta invert`). Each row begins with the image; a film (--out turn.gif) shows it
    above what becomes of it.

    Examples:
      ptheta arithmetic runs/scenes --plus first_colour=red --near 10 --out red.png
      ptheta arithmetic runs/gan --closed-form 4 --out directions.png
    """
    condition = asked(run, options)
    options["strengths"] = options["strengths"] or None
    with shown(run):
        found = ptheta.arithmetic(run, where=where, condition=condition, **options)
    show(found)
