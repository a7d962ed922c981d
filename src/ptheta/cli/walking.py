"""The uses that walk through a latent space: from one place to another, and along one dimension."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.asked import asked
from ptheta.cli.common import (
    DATA,
    JSON,
    RUN,
    SEED,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    given,
    out_or_film,
    whole,
)
from ptheta.cli.help import LOOK
from ptheta.cli.repairing import beside_pictures, say
from ptheta.terminal.progress import shown


@cli.command(panel=LOOK)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=types.SOURCE)
@click.option(
    *("--from", "start"),
    metavar="WHAT",
    help="Where the walks begin: a picture, a folder of pictures, or test images by number "
    "(image=3,17). Of a conditional model also a label, a caption or other condition: it walks, "
    "and the noise stays. Of an unconditional one also a class (7), or NAME=VALUE,...: test images "
    "that are so.",
)
@click.option(*("--to", "end"), metavar="WHAT", help="Where they end, in the same words.")
@click.option(
    *("-n", "--number", "n"), type=types.COUNT, help="Number of walks, at most.  [default: 8]"
)
@click.option(
    "--steps",
    type=types.Whole(2),
    help="Number of images in a walk.  [default: 10, in a film 16]",
)
@click.option(
    "--images/--codes",
    default=None,
    help="Without --from, walk between test images, or between codes of the prior. By default "
    "between images where the model encodes.",
)
@click.option(
    "--straight", is_flag=True, help="Walk along lines instead of great circles, which keep norms."
)
@beside_pictures
@click.option(
    "--measured",
    type=types.COUNT,
    help="Number of walks between test images whose middles are looked for among the training "
    "images.  [default: 100 of several runs, none of one]",
)
@WEIGHTS
@JSON
@DATA
@SEED
@out_or_film
@THREADS
def interpolate(runs: tuple[str, ...], as_json: bool, seed: int, **options: Parsed) -> None:
    """Walk through the latent space, a row or a film for each walk.

    With --out walk.gif it is a film. The ends are the images that the model makes of the two codes:
    of pictures, of test images, of draws from the prior. A model without an encoder finds codes by
    a search (`ptheta invert`). Between two conditions it draws what `ptheta sample --between`
    draws.

    Several runs walk between the same images, a row each, above a cross-fade of pixels; and a
    table says how far the middles are from all training images.

    Examples:
      ptheta interpolate runs/vae --from 1 --to 2 --out walk.gif
      ptheta interpolate runs/ae runs/vae --out page.png
      ptheta interpolate runs/cvae --from 1 --to 7 --out walks.png
    """
    between = options.pop("images")  # `asked` would take it for conditions
    condition = asked(runs[0], options)
    with shown(runs[0]):
        found = ptheta.interpolate(
            runs,
            images=between,
            condition=condition,
            seed=seed if given("seed") else None,
            **options,
        )
    say(found, as_json)


@cli.command(panel=LOOK)
@RUN
@click.option(
    *("-n", "--number", "n"),
    type=types.COUNT,
    help="Number of dimensions: the most used ones on test images, or without an encoder those "
    "that change images most, after the parts with a name.  [default: 8]",
)
@click.option(
    "--dims",
    type=types.NAMES,
    default="",
    help="Dimensions in their place, by number or name: 0,3 or c0,c1,z5.",
)
@click.option(
    "--code",
    "codes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Part of the code that has this value in all rows, such as c0=3, category 3 (they count "
    "from 0) of InfoGAN. Without a value it is one of --dims. May be repeated.",
)
@click.option(
    "--steps",
    type=types.COUNT,
    help="Number of images in a row.  [default: 9, in a film 16; of a category as many as it has]",
)
@click.option(
    "--reach",
    type=types.Real(),
    default=3.0,
    show_default=True,
    help="Ends of a row, on either side of 0. Parts with a name go over all of their range.",
)
@click.option(
    "--image",
    type=types.IMAGE,
    help="What to start from: the number of a test image, a picture, or a folder of pictures. By "
    "default test image 0, or of a model without an encoder a code that is drawn.",
)
@whole("--starts", 1, "Number of images or codes to start from, rows for each.", types.LAYERED)
@beside_pictures
@WEIGHTS
@DATA
@SEED
@out_or_film
@THREADS
def traverse(run: str, seed: int, dims: tuple[str, ...], **options: Parsed) -> None:
    """Change one dimension of a code at a time, in a row of its own.

    With --out rows.gif it is a film. It starts from the code of an image, or with --seed from a
    code of the prior. Some models name parts of their codes: InfoGAN its category c0, which takes
    each of its values, and its numbers c1, c2, ..., which go over their range.

    Examples:
      ptheta traverse runs/vae --image 5 --out rows.png
      ptheta traverse runs/infogan --code c0=3 --dims c1,c2 --out rows.png
    """
    options["condition"] = asked(run, options)
    with shown(run):
        found = ptheta.traverse(
            run, dims=dims or None, seed=seed if given("seed") else None, **options
        )
    click.echo(f"{found.path}: {found.about}")
