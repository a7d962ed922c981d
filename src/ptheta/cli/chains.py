"""The `chain` command: diagnostics of a model's Markov chain."""

from __future__ import annotations

import json

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import DATA, DEVICE, JSON, RUN, SEED, THREADS, WEIGHTS, Parsed, cli, whole
from ptheta.cli.help import LOOK
from ptheta.cli.repairing import print_blocks
from ptheta.terminal.progress import shown


@cli.command(panel=LOOK)
@RUN
@whole("--steps", 1000, "Number of steps of each chain.", types.Whole(2))
@whole("--chains", 8, "Number of chains.", types.LAYERED)
@click.option(
    "--every",
    type=types.COUNT,
    help="Steps between two recorded states of the film.  [default: chosen to record 20 states]",
)
@whole("--burn", 0, "Number of burn-in steps, which are discarded.", types.Whole(0))
@click.option(
    "--extractor",
    help="Classifier whose predicted classes are also tracked along the chain, such as digits or "
    "fashion. By default the one trained on images of this kind, if there is one.",
)
@WEIGHTS
@JSON
@DATA
@SEED
@click.option(
    "--out",
    type=types.SOURCE,
    help="File or folder to write: an image with a row for each chain (film.png), an array, a "
    "folder, or an animation (film.gif).",
)
@click.option(
    "--scale",
    type=types.COUNT,
    help="Integer factor by which images are enlarged. By default small images are enlarged to "
    "about 64 pixels.",
)
@DEVICE
@THREADS
def chain(run: str, as_json: bool, **options: Parsed) -> None:
    """Show and diagnose the Markov chain from which a model samples.

    A film shows several chains step by step. A table reports how well they mix: autocorrelation,
    effective sample size and split R-hat of the energy (if the model defines one), of the mean over
    the elements of an example, and of the class that a classifier predicts.

    Examples:
      ptheta chain runs/rbm --out film.gif
      ptheta chain runs/gsn --steps 100 --out chains.png
    """
    with shown(run):
        found = ptheta.chain(run, **options)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_blocks(found.blocks())
    if found.path is not None:
        click.echo(f"{found.path}: {found.about}", err=as_json)
