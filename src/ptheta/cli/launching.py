"""The `launch` command: print a job script for a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import Parsed, cli
from ptheta.cli.help import TRAIN, Verb
from ptheta.cli.train import options_given, train
from ptheta.files.paths import expand


class Passing(Verb):
    """A command that passes on the options it does not have."""

    ignore_unknown_options = True


@cli.command(panel=TRAIN, cls=Passing)
@click.argument("scheduler", metavar="slurm")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="MODEL [OPTIONS OF TRAIN]...")
@click.option("--nodes", type=types.LAYERED, default=1, show_default=True, help="Machines.")
@click.option(
    "--gpus",
    type=types.PROCESSES_OR_NONE,
    default=0,
    show_default=True,
    help="GPUs of a machine, on which the processes train (--device cuda).",
)
@click.option(
    "--tasks", type=types.PROCESSES, help="Processes of a machine.  [default: one for each GPU]"
)
@click.option(
    "--cpus",
    type=types.PROCESSES,
    help="Cores of a process.  [default: that of the cluster, often one]",
)
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
      ptheta launch slurm vae --data digits --out runs/vae --nodes 2 --gpus 4
      ptheta launch slurm vae --data digits --out runs/vae --time 4:00:00
    """
    script = ptheta.launch(scheduler, command, **options)
    _check(command, options)
    click.echo(script, nl=False)


def _check(words: tuple[str, ...], job: Mapping[str, Parsed]) -> None:
    """Raises the errors that `ptheta train` would, before the job waits in a queue for them."""
    parent = click.Context(train, info_name="ptheta train")
    name, found, rest = train.resolve_command(parent, list(words))
    if found is None or name is None:
        return
    params = found.make_context(name, rest, parent=parent).params
    from ptheta.api.training import no_data  # and torch
    from ptheta.runs import plan
    from ptheta.runs.config_file import has_config
    from ptheta.runs.folder import Run
    from ptheta.training.sampler import check_share

    data, recipe, out = (params.pop(name) for name in ("data", "recipe", "out"))
    for other in ("resume", "more_data", "dry_run"):
        params.pop(other)
    if data is None and not has_config(expand(out)):
        raise no_data(expand(out), True)
    given = options_given(params)
    if has_config(expand(out)):  # a run goes on with its own batches
        made = plan.extend(Run.open(expand(out)).plan, given)
    else:
        made = plan.make(name, data, given, recipe)
    batch = made.train.batch_size
    each = job["tasks"] or max(1, cast(int, job["gpus"]))
    check_share(batch, cast(int, job["nodes"]) * cast(int, each))
