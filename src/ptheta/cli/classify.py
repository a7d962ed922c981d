"""Classification by Bayes' rule."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
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

SOME = click.option(
    *("-n", "--number", "n"),
    type=types.COUNT,
    help="Number of examples, chosen at random.  [default: all]",
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
    help="Class prior p(y): training (class frequencies in the run's training data) or uniform.",
)
@whole("--samples", 16, "Importance samples for the bound, if p(x | y) is not exact.")
@TABLE
@click.option(
    "--show",
    type=types.PICTURE,
    help="Plot the reliability diagram and the confusion matrix to this .png file.",
)
@FORCE
@JSON
@WEIGHTS
@DATA
@SEED
@DEVICE
@THREADS
def classify(run: str, as_json: bool, **options: Parsed) -> None:
    """Classify examples by Bayes' rule with a class-conditional RUN.

    p(y | x) is proportional to p(x | y) p(y), where p(x | y) is the model's exact likelihood or its
    importance-weighted bound. SOURCE is any data that can be trained on; by default the run's
    held-out examples. If labels are known, a table evaluates the probabilities and compares them
    with three baselines: the most frequent class, logistic regression and the nearest training
    example.

    Examples:
      ptheta classify runs/cvae --show reliability.png
      ptheta classify runs/cvae photos --out probs.csv
    """
    with shown(run):
        found = ptheta.classify(run, **options)
    say_found(found, as_json)
