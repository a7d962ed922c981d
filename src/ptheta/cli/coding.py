"""The `encode` and `decode` commands."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.asked import asked, asked_options
from ptheta.cli.classify import SOME
from ptheta.cli.common import (
    DATA,
    DEVICE,
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
from ptheta.cli.repairing import condition_options, say_found
from ptheta.terminal.progress import shown

FORCE = click.option("--force", is_flag=True, help="Overwrite an existing file.")


@cli.command(panel=USE)
@RUN
@click.argument("source", type=types.SOURCE, required=False)
@click.option(
    "--image",
    type=types.SOURCE,
    help="Image of the model's size, or a folder of images, instead of SOURCE.",
)
@condition_options
@click.option(
    "--split",
    help="Split of the run's data, or of SOURCE: train, val or test.  [default: test; all of a "
    "SOURCE that has no splits]",
)
@LABEL_COLUMN
@SOME
@click.option(
    "--sample", is_flag=True, help="Sample each code from q(z | x) instead of taking the mean."
)
@click.option(
    "--std", is_flag=True, help="Also write the standard deviations of q(z | x): std0, std1, ..."
)
@click.option(
    "--out",
    type=types.File(".npy", ".csv", ".parquet"),
    help="File to write: a .npy of the codes (float32, N,L), or a table (.csv, .parquet) with "
    "the file or row of each example, its label if known, and z0, z1, ...",
)
@FORCE
@JSON
@WEIGHTS
@DATA
@SEED
@DEVICE
@THREADS
def encode(run: str, as_json: bool, **options: Parsed) -> None:
    """Encode examples: write the latent code of each.

    Encodes the run's test examples, those of another --split, or SOURCE: any data that can be
    trained on. The code is the encoder's output; for a model with a posterior q(z | x) its mean,
    for a flow the latent z = f(x), for an RBM the probabilities of the hidden units, for a mixture
    those of the components.

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
@DEVICE
@THREADS
def decode(run: str, codes: str, **options: Parsed) -> None:
    """Decode CODES into examples.

    CODES is a file written by `ptheta encode` or `ptheta invert --codes`: a .npy, or a .csv or
    .parquet with columns z0, z1, ... A conditional model is conditioned on the labels in that
    table, or on --label and similar options.

    Examples:
      ptheta decode runs/vae codes.csv --out grid.png
      ptheta decode runs/gan codes.npy --out pictures
    """
    condition = asked(run, options)
    with shown(run):
        found = ptheta.decode(run, codes, condition=condition, **options)
    show(found)
