"""The use that draws codes in a plane, coloured by class."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.coding import FORCE
from ptheta.cli.common import (
    DATA,
    JSON,
    LABEL_COLUMN,
    SEED,
    SPLIT,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    number,
    whole,
)
from ptheta.cli.help import LOOK
from ptheta.cli.latent import two_dimensions
from ptheta.cli.repairing import say_found
from ptheta.terminal.progress import shown


@cli.command(panel=LOOK)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=types.SOURCE)
@click.option(
    "--source",
    type=types.SOURCE,
    help="Examples to encode: anything that can be trained on.  [default: the runs' held-out ones]",
)
@SPLIT
@LABEL_COLUMN
@number(2000, "Largest number of examples, drawn at random.", types.Whole(3))
@click.option(
    "--dims",
    help="Dimensions across and down, such as 0,1. By default of more than two their first two "
    "principal components.",
)
@click.option("--title", multiple=True, help="Title of each RUN, in turn.  [default: its folder]")
@whole("--ellipses", 100, "Examples whose posterior q(z | x) is drawn.", types.Whole(0))
@click.option(
    "--std",
    type=types.Real(0),
    default=1.0,
    show_default=True,
    help="Standard deviations of q(z | x) at which its ellipse is drawn.",
)
@click.option("--reach", type=types.POSITIVE, help="The axes go from -REACH to REACH.")
@click.option("--own-axes", is_flag=True, help="Give each RUN axes of its own.")
@click.option("--out", type=types.PICTURE, help="A .png to write.")
@FORCE
@JSON
@WEIGHTS
@DATA
@SEED
@THREADS
def scatter(runs: tuple[str, ...], as_json: bool, dims: str | None, **options: Parsed) -> None:
    """Draw codes in a plane, coloured by class.

    Of several RUNs side by side, on the same axes. Codes of two numbers are drawn as they are, of
    more by their principal components, with the ellipses of posteriors q(z | x), the regions of
    highest density that hold 50 and 95 % of the prior p(z), and the one that holds 95 % of the
    aggregate posterior q(z) = E_x q(z | x). Tables say how well the nearest neighbour tells the
    class, beside principal components of the examples, and how far p(z) and q(z) overlap.

    Examples:
      ptheta scatter runs/vae --out codes.png
      ptheta scatter runs/ae runs/vae runs/aae --out three.png
    """
    pair = None if dims is None else two_dimensions(dims)
    with shown(runs[0]):
        found = ptheta.scatter(runs, dims=pair, **options)
    say_found(found, as_json)
