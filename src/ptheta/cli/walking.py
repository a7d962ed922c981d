"""The `interpolate` and `traverse` commands."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.asked import asked
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
    given,
    out_or_film,
    whole,
)
from ptheta.cli.help import LOOK
from ptheta.cli.repairing import condition_options, say
from ptheta.terminal.progress import shown


@cli.command(panel=LOOK)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=types.SOURCE)
@click.option(
    *("--from", "start"),
    metavar="WHAT",
    help="Start of the walks: an image, a folder of images, or test images by index "
    "(image=3,17). For a conditional model also a label, a caption or another condition, "
    "which is interpolated with fixed noise. For an unconditional model also a class (7), "
    "or NAME=VALUE,..., to select test images.",
)
@click.option(
    *("--to", "end"), metavar="WHAT", help="End of the walks, in the same form as --from."
)
@click.option(
    *("-n", "--number", "n"), type=types.COUNT, help="Maximum number of walks.  [default: 8]"
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
    "between images if the model has an encoder.",
)
@click.option(
    "--straight", is_flag=True, help="Interpolate linearly instead of along great circles (slerp)."
)
@condition_options
@click.option(
    "--measured",
    type=types.COUNT,
    help="Number of walks between test images whose midpoints are compared with all training "
    "images.  [default: 100 for several runs, 0 for one]",
)
@WEIGHTS
@JSON
@DATA
@SEED
@out_or_film
@DEVICE
@THREADS
def interpolate(runs: tuple[str, ...], as_json: bool, seed: int, **options: Parsed) -> None:
    """Interpolate in the latent space, one row per walk, or a film.

    --out walk.gif writes a film. The ends are decoded from the codes of images, of test images, or
    of draws from the prior. For a model without an encoder, codes are found by optimisation
    (`ptheta invert`). Between two conditions the result is that of `ptheta sample --between`.

    Several runs interpolate between the same images, one row per run, above a pixel cross-fade; a
    table reports the distance of the midpoints to the nearest training images.

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
    help="Number of dimensions to traverse: named parts first, then the most active on test "
    "images, or, without an encoder, those that change images most.  [default: 8]",
)
@click.option(
    "--dims",
    type=types.NAMES,
    default="",
    help="Dimensions to traverse instead, by index or name: 0,3 or c0,c1,z5.",
)
@click.option(
    "--code",
    "codes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Fix a part of the code at this value in all rows, such as c0=3, category 3 (counted "
    "from 0) of InfoGAN. Without a value it is added to --dims. May be repeated.",
)
@click.option(
    "--steps",
    type=types.COUNT,
    help="Number of images in a row.  [default: 9, in a film 16; for a category, all its values]",
)
@click.option(
    "--reach",
    type=types.Real(),
    default=3.0,
    show_default=True,
    help="Range of each row, from -REACH to REACH. Named parts cover their full range.",
)
@click.option(
    "--image",
    type=types.IMAGE,
    help="Starting point: the index of a test image, an image file, or a folder of images. By "
    "default test image 0, or, for a model without an encoder, a code drawn from the prior.",
)
@whole(
    "--starts", 1, "Number of images or codes to start from, each with its own rows.", types.LAYERED
)
@condition_options
@WEIGHTS
@DATA
@SEED
@out_or_film
@DEVICE
@THREADS
def traverse(run: str, seed: int, dims: tuple[str, ...], **options: Parsed) -> None:
    """Vary one dimension of a latent code at a time, one row for each.

    --out rows.gif writes a film. The traversal starts from the code of an image, or with --seed
    from a code of the prior. Some models name parts of their codes: InfoGAN has a category c0,
    which takes each of its values, and continuous codes c1, c2, ..., which cover their range.

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
