"""The use that watches a model's Markov chain."""

from __future__ import annotations

import json

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import DATA, JSON, RUN, SEED, THREADS, WEIGHTS, Parsed, cli, whole
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
    help="Steps between two states of the film.  [default: as many as give 20 states]",
)
@whole("--burn", 0, "Number of steps before the first that is looked at.", types.Whole(0))
@click.option(
    "--extractor",
    help="Classifier by whose classes the chain is watched as well, such as digits or fashion. By "
    "default the one that was trained on such images, where there is one.",
)
@WEIGHTS
@JSON
@DATA
@SEED
@click.option(
    "--out",
    type=types.SOURCE,
    help="Film to write: a picture (film.png), an array or a folder, in which each row is a chain; "
    "or film.gif, which moves.",
)
@click.option(
    "--scale",
    type=types.COUNT,
    help="Pixels of the film, across and down, for one pixel of an image. By default small images "
    "are enlarged to about 64 pixels.",
)
@THREADS
def chain(run: str, as_json: bool, **options: Parsed) -> None:
    """Watch the Markov chain by which a model draws.

    A film shows some chains, step by step. A table says how quickly they forget where they were:
    autocorrelation, effective sample size and split R-hat of the energy (of a model that has one),
    of the mean over the elements of an example, and of the class that a classifier sees.

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
