"""Uses that give images: sampling, completion, reconstruction, walks."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.asked import ASKED, asked, asked_options
from ptheta.cli.common import (
    DATA,
    NUMBER,
    PRIOR,
    RUN,
    SEED,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    given,
    number,
    out,
    show,
    whole,
)


@cli.command()
@RUN
@number(64, "Number of images, or of rows of a table.")
@SEED
@out
@asked_options
@click.option(
    "--same-noise",
    is_flag=True,
    help="Draw the images of every condition from the same noise, so that only it differs.",
)
@WEIGHTS
@PRIOR
@THREADS
def sample(run: str, **options: Parsed) -> None:
    """Draw images, or rows of a table, from a trained RUN.

    Into a folder, the same command continues where it was stopped.
    """
    condition = asked(run, {name: options.pop(name) for name in ASKED})
    show(ptheta.sample(run, condition=condition, **options))


@cli.command()
@RUN
@click.option(
    "--known",
    default="upper",
    show_default=True,
    help="Part of the image that is given: upper, lower, left, right, border or centre.",
)
@NUMBER
@whole("--each", 7, "Number of completions of each image.", types.LAYERED)
@whole(
    "--candidates",
    1,
    "Number of completions to choose from, where known pixels follow unknown ones.",
    types.LAYERED,
)
@DATA
@SEED
@out
@THREADS
def inpaint(**options: Parsed) -> None:
    """Complete test images of which only a part is known.

    Each image is written in a row with its known part and the completions.
    """
    show(ptheta.inpaint(**options))


@cli.command()
@RUN
@NUMBER
@DATA
@out
@THREADS
def surprise(**options: Parsed) -> None:
    """Map how unexpected each pixel is, given the earlier ones.

    Each test image is written beside its map, in which white is the most unexpected.
    """
    show(ptheta.surprise(**options))


@cli.command()
@RUN
@NUMBER
@DATA
@out
@THREADS
def reconstruct(**options: Parsed) -> None:
    """Encode and decode test images.

    Each image is written beside what its code gives back.
    """
    show(ptheta.reconstruct(**options))


@cli.command()
@RUN
@click.option(
    "--noise",
    default="gaussian",
    show_default=True,
    help="Kind of damage (see `ptheta train dae --help`).",
)
@click.option(
    "--level",
    type=types.Real(0),
    default=0.5,
    show_default=True,
    help="Strength of the damage (see `ptheta train dae --help`).",
)
@NUMBER
@DATA
@SEED
@out
@THREADS
def denoise(**options: Parsed) -> None:
    """Damage test images and let the model repair them.

    Each image is written beside the damaged and the repaired one.
    """
    show(ptheta.denoise(**options))


@cli.command()
@RUN
@number(text="Number of walks.")
@whole("--steps", 10, "Number of images in a walk.", types.Whole(2))
@click.option(
    "--images/--codes",
    default=None,
    help="Walk between test images, or between codes of the prior. By default between images "
    "where the model encodes.",
)
@click.option("--straight", is_flag=True, help="Walk along lines instead of great circles.")
@DATA
@SEED
@out
@THREADS
def interpolate(seed: int, **options: Parsed) -> None:
    """Walk through the latent space, one walk in a row."""
    show(ptheta.interpolate(seed=seed if given("seed") else None, **options))


@cli.command()
@RUN
@click.argument("input", type=types.SOURCE, required=False)
@click.option("--to", metavar="DOMAIN", help="Domain that is wanted, where there are several.")
@whole("--styles", 1, "Number of answers to each, of a model that knows several.", types.LAYERED)
@click.option(
    *("-n", "--number", "n"),
    type=types.COUNT,
    help="Number of test inputs (8 by default), or of pictures of a folder (all by default).",
)
@click.option(
    "--size",
    type=types.SIDE,
    help="Pixels that the shorter side of a picture is brought to. By default it stays as it is.",
)
@click.option(
    "--tile",
    type=types.TILE,
    help="Side in pixels of the tiles that a picture of more than tile x tile pixels is worked at "
    "in.  [default: 1024]",
)
@WEIGHTS
@DATA
@SEED
@out
@THREADS
def translate(**options: Parsed) -> None:
    """Carry pictures over to what they were paired with, or to another domain.

    INPUT is a picture or a folder of pictures; the answers have their names, in the folder --out
    (or in a file, of one picture). The same command continues where it was stopped. Without INPUT,
    test inputs of the run's data are shown in a grid, each with its outputs, its target, and the
    training target that is nearest to the output.
    """
    show(ptheta.translate(**options))
