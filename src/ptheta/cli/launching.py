"""The `launch` command: print a job script for a cluster."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import Parsed, cli
from ptheta.cli.help import TRAIN, Verb
from ptheta.cli.train import train


class Passing(Verb):
    """A command that passes on the options it does not have."""

    ignore_unknown_options = True


@cli.command(panel=TRAIN, cls=Passing)
@click.argument("scheduler", metavar="slurm")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="MODEL [OPTIONS OF TRAIN]...")
@click.option("--nodes", type=types.LAYERED, default=1, show_default=True, help="Machines.")
@click.option(
    "--gpus", type=types.PROCESSES_OR_NONE, default=0, show_default=True, help="GPUs of a machine."
)
@click.option(
    "--tasks", type=types.PROCESSES, help="Processes of a machine.  [default: one for each GPU]"
)
@click.option("--cpus", type=types.PROCESSES, help="Cores of a process.")
@click.option(
    "--time", default="1:00:00", show_default=True, help="Limit of each part, as sbatch reads it."
)
@click.option(
    "--grace",
    type=types.LAYERED,
    default=120,
    show_default=True,
    help="Seconds before the limit in which the checkpoint is written.",
)
@click.option(
    "--setup",
    multiple=True,
    metavar="LINE",
    help="Line of shell before the training, such as 'source .venv/bin/activate'. May be repeated.",
)
@click.option(
    "--sbatch",
    "directives",
    multiple=True,
    metavar="OPTION",
    help="Further option of sbatch, such as --sbatch=--partition=gpu. May be repeated.",
)
def launch(scheduler: str, command: tuple[str, ...], **options: Parsed) -> None:
    """Print a job script that trains MODEL on several machines.

    The job writes a checkpoint before its time is over, queues itself again and goes on from there.
    Options of `ptheta train` follow the model.

    Examples:
      ptheta launch slurm vae --data digits --out runs/vae --steps 9000 --nodes 2 --gpus 4
      ptheta launch slurm vae --data digits --out runs/vae --epochs 90 --time 4:00:00
    """
    script = ptheta.launch(scheduler, command, **options)
    _parse(command)
    click.echo(script, nl=False)


def _parse(words: tuple[str, ...]) -> None:
    """Raises the error that `ptheta train` would."""
    parent = click.Context(train, info_name="ptheta train")
    name, found, rest = train.resolve_command(parent, list(words))
    if found is not None:
        found.make_context(name, rest, parent=parent)
