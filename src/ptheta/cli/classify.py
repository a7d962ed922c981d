"""Classification by Bayes' rule."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
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

SOME = click.option(
    *("-n", "--number", "n"),
    type=types.COUNT,
    help="Number of examples, drawn at random.  [default: all]",
)


@cli.command(panel=USE)
@RUN
@EXAMPLES
@SPLIT
@LABEL_COLUMN
@SOME
@click.option(
    "--prior",
    default="training",
    show_default=True,
    help="p(y): training, the shares of the classes in the run's training data, or uniform.",
)
@whole("--samples", 16, "Importance samples of a bound, where p(x | y) is not exact.")
@TABLE
@click.option(
    "--show",
    type=types.PICTURE,
    help="A .png to write: how often probabilities are right, and what is taken for what.",
)
@FORCE
@JSON
@WEIGHTS
@DATA
@SEED
@THREADS
def classify(run: str, as_json: bool, **options: Parsed) -> None:
    """Classify examples by a RUN that is conditional on labels.

    P(y | x) is proportional to p(x | y) p(y), by the exact likelihood of the model or its
    importance bound. SOURCE is anything that can be trained on; without it the run's held-out
    examples are taken. Where labels are known, a table says how good the probabilities are, beside
    the most frequent class, logistic regression and the nearest training example.

    Examples:
      ptheta classify runs/cvae --show reliability.png
      ptheta classify runs/cvae photos --out probs.csv
    """
    with shown(run):
        found = ptheta.classify(run, **options)
    say_found(found, as_json)
