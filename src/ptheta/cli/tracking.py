"""The `log` command: write a trained run to an experiment tracker."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import RUN, Parsed, cli
from ptheta.cli.help import MEASURE
from ptheta.terminal.progress import shown


@cli.command(panel=MEASURE)
@RUN
@click.option(
    "--to",
    required=True,
    help="Tracker: tensorboard, trackio, wandb or mlflow. Each needs the extra of its name.",
)
@click.option(
    "--out",
    type=types.FOLDER,
    help="Folder for trackers that write files.  [default: a folder in RUN]",
)
@click.option("--project", default="ptheta", show_default=True, help="Project in the tracker.")
@click.option("--name", help="Name of the run in the tracker.  [default: that of the folder]")
def log(run: str, **options: Parsed) -> None:
    """Write the metrics of RUN to TensorBoard or another tracker.

    The options, the metrics of each step, the sample grids and the stored evaluation are read from
    the run folder. `ptheta train --track NAME` writes to a tracker while it trains.

    Examples:
      ptheta log runs/vae --to tensorboard --out events
      ptheta log runs/vae --to tensorboard
    """
    with shown(run):
        found = ptheta.log(run, **options)
    click.echo(f"{found}")
