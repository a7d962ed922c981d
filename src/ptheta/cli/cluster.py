"""The `cluster` command: group examples without labels."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.classify import SOME
from ptheta.cli.common import (
    DATA,
    DEVICE,
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
    help="Number of clusters, for a model without categorical codes.  [default: number of labels]",
)
@click.option(
    "--by",
    default="auto",
    show_default=True,
    help="own: the model's categorical code; kmeans or mixture (of Gaussians): clusters of its "
    "codes; auto: own if the model has categories, else kmeans.",
)
@whole("--restarts", 5, "Number of restarts; the best is kept.", types.LAYERED)
@SPLIT
@LABEL_COLUMN
@SOME
@TABLE
@click.option(
    "--show", type=types.SOURCE, help="Image to write, with a row of examples for each cluster."
)
@whole("--each", 10, "Number of examples in each row of the image.", types.LAYERED)
@FORCE
@JSON
@WEIGHTS
@DATA
@SEED
@DEVICE
@THREADS
def cluster(run: str, as_json: bool, **options: Parsed) -> None:
    """Group the examples of SOURCE without labels.

    Uses the categorical code of a model that has one (infogan), else clusters the codes of a model
    with an encoder. SOURCE is any data that can be trained on; by default the run's held-out
    examples. If labels are known, a table reports how well the clusters match them, compared with
    k-means on the data and with chance.

    Examples:
      ptheta cluster runs/infogan --show groups.png
      ptheta cluster runs/vae photos --clusters 8 --by mixture --out clusters.csv
    """
    with shown(run):
        found = ptheta.cluster(run, **options)
    say_found(found, as_json)
