"""The `scatter` command: scatter plot of latent codes, coloured by class."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.coding import FORCE
from ptheta.cli.common import (
    DATA,
    DEVICE,
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
    help="Examples to encode: any data that can be trained on.  [default: held-out examples of "
    "the runs]",
)
@SPLIT
@LABEL_COLUMN
@number(2000, "Maximum number of examples, chosen at random.", types.Whole(3))
@click.option(
    "--dims",
    help="Dimensions across and down, such as 0,1. By default the first two principal "
    "components, if there are more than two dimensions.",
)
@click.option(
    "--title", multiple=True, help="Titles of the RUNs, in order.  [default: the folder names]"
)
@whole("--ellipses", 100, "Number of examples whose posterior q(z | x) is drawn.", types.Whole(0))
@click.option(
    "--std",
    type=types.Real(0),
    default=1.0,
    show_default=True,
    help="Standard deviations of q(z | x) at which its ellipse is drawn.",
)
@click.option("--reach", type=types.POSITIVE, help="The axes go from -REACH to REACH.")
@click.option("--own-axes", is_flag=True, help="Give each RUN its own axes.")
@click.option("--out", type=types.PICTURE, help="The .png file to write.")
@FORCE
@JSON
@WEIGHTS
@DATA
@SEED
@DEVICE
@THREADS
def scatter(runs: tuple[str, ...], as_json: bool, dims: str | None, **options: Parsed) -> None:
    """Plot the codes in two dimensions, coloured by class.

    Several RUNs are drawn side by side, on the same axes. Two-dimensional codes are drawn directly,
    others by their first two principal components, with ellipses of posteriors q(z | x), the
    highest-density regions that contain 50 and 95 % of the prior p(z), and the one that contains 95
    % of the aggregate posterior q(z) = E_x q(z | x). Tables report the accuracy of
    nearest-neighbour classification, compared with PCA of the examples, and the overlap of p(z) and
    q(z).

    Examples:
      ptheta scatter runs/vae --out codes.png
      ptheta scatter runs/ae runs/vae runs/aae --out three.png
    """
    pair = None if dims is None else two_dimensions(dims)
    with shown(runs[0]):
        found = ptheta.scatter(runs, dims=pair, **options)
    say_found(found, as_json)
