"""Groups of examples, without labels."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.classify import SOME
from ptheta.cli.common import (
    DATA,
    EXAMPLES,
    FORCE,
    JSON,
    LABEL_COLUMN,
    RUN,
    SEED,
    SPLIT,
    TABLE,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    whole,
)
from ptheta.cli.help import USE
from ptheta.cli.repairing import say_found
from ptheta.terminal.progress import shown


@cli.command(panel=USE)
@RUN
@EXAMPLES
@click.option(
    "--clusters",
    type=types.LAYERED,
    help="Number of clusters, of a model without categories of its own.  [default: as many as "
    "there are labels]",
)
@click.option(
    "--by",
    default="auto",
    show_default=True,
    help="own: the categories of the model; kmeans or mixture (of Gaussians): clusters of its "
    "codes; auto: its own where it has some, else kmeans.",
)
@whole("--restarts", 5, "Number of starts, of which the best is taken.", types.LAYERED)
@SPLIT
@LABEL_COLUMN
@SOME
@TABLE
@click.option(
    "--show", type=types.SOURCE, help="Picture to write, with a row of examples for each cluster."
)
@whole("--each", 10, "Number of examples in a row of it.", types.LAYERED)
@FORCE
@JSON
@WEIGHTS
@DATA
@SEED
@THREADS
def cluster(run: str, as_json: bool, **options: Parsed) -> None:
    """Group the examples of SOURCE without labels.

    By the categories of a model that has its own (infogan), else by clusters of the codes of a
    model that encodes. SOURCE is anything that can be trained on; without it the run's held-out
    examples are taken. Where labels are known, a table says how well clusters fit them, beside
    k-means without a model, and chance.

    Examples:
      ptheta cluster runs/infogan --show groups.png
      ptheta cluster runs/vae photos --clusters 8 --by mixture --out clusters.csv
    """
    with shown(run):
        found = ptheta.cluster(run, **options)
    say_found(found, as_json)
