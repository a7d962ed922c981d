"""Uses that give the codes of examples, and examples of codes."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.asked import asked, asked_options
from ptheta.cli.classify import SOME
from ptheta.cli.common import (
    DATA,
    JSON,
    LABEL_COLUMN,
    RUN,
    SEED,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    out,
    show,
)
from ptheta.cli.help import USE
from ptheta.cli.repairing import beside_pictures, say_found
from ptheta.terminal.progress import shown

FORCE = click.option("--force", is_flag=True, help="Overwrite a file that is there.")


@cli.command(panel=USE)
@RUN
@click.argument("source", type=types.SOURCE, required=False)
@click.option(
    "--image",
    type=types.SOURCE,
    help="In the place of SOURCE: a picture of the model's size, or a folder of them.",
)
@beside_pictures
@click.option(
    "--split",
    help="Part of the run's data, or of SOURCE: train, val or test.  [default: test; of a SOURCE "
    "that has no parts all of it]",
)
@LABEL_COLUMN
@SOME
@click.option(
    "--sample", is_flag=True, help="Draw each code from q(z | x), in the place of its mean."
)
@click.option(
    "--std", is_flag=True, help="Write the standard deviations of q(z | x) as well: std0, std1, ..."
)
@click.option(
    "--out",
    type=types.File(".npy", ".csv", ".parquet"),
    help="File to write: a .npy of the codes (float32, N,L), or a table (.csv, .parquet) with the "
    "file or row of each example, its label where that is known, and z0, z1, ...",
)
@FORCE
@JSON
@WEIGHTS
@DATA
@SEED
@THREADS
def encode(run: str, as_json: bool, **options: Parsed) -> None:
    """Give the code of each example.

    Of the run's test examples, of those of another --split, or of SOURCE: anything that can be
    trained on. The code is what the encoder gives; of a model with a posterior q(z | x) its mean,
    of a flow the latent z = f(x), of an RBM the probabilities of its hidden units, of a mixture
    those of its components.

    Examples:
      ptheta encode runs/vae --out codes.csv
      ptheta encode runs/vae --image photos --std --out codes.csv
    """
    condition = asked(run, options)
    with shown(run):
        found = ptheta.encode(run, condition=condition, **options)
    say_found(found, as_json)


@cli.command(panel=USE)
@RUN
@click.argument("codes", type=types.SOURCE)
@asked_options
@FORCE
@WEIGHTS
@out
@THREADS
def decode(run: str, codes: str, **options: Parsed) -> None:
    """Make the examples of CODES.

    CODES is a file that `ptheta encode` or `ptheta invert --codes` wrote: a .npy, or a .csv or
    .parquet with columns z0, z1, ... A conditional model is asked for the labels in that table, or
    for what --label and the like say.

    Examples:
      ptheta decode runs/vae codes.csv --out grid.png
      ptheta decode runs/gan codes.npy --out pictures
    """
    condition = asked(run, options)
    with shown(run):
        found = ptheta.decode(run, codes, condition=condition, **options)
    show(found)
