"""The `outliers` command: find examples unlike the training data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import (
    DATA,
    DEVICE,
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
    number,
    whole,
)
from ptheta.cli.help import USE
from ptheta.cli.tables import print_table
from ptheta.terminal.progress import shown

if TYPE_CHECKING:
    from ptheta.api.found import Found

SHOWN = 10  # number of examples to print
COLUMNS = 3  # further scores to print, so that a table fits the terminal


@cli.command(panel=USE)
@RUN
@click.argument("source", type=types.SOURCE)
@SPLIT
@click.option(
    "--score",
    multiple=True,
    help="Score that ranks and flags the examples: a name from docs/outliers.md. May be "
    "repeated, for further columns; `all` computes every score that the run supports.  "
    "[default: combined]",
)
@click.option(
    "--background",
    type=types.SOURCE,
    help="Run of a background model, for the likelihood ratio of the background score.",
)
@click.option(
    "--extractor",
    help="Features for the neighbours and mahalanobis scores: an extractor (see `ptheta evaluate "
    "--help`; also gradients), or codes (the model's latent codes). By default pixels, or "
    "the standardised columns of a table.",
)
@click.option(
    "--false-alarms",
    type=types.POSITIVE,
    default=0.05,
    show_default=True,
    help="Allowed false-alarm rate: fraction of examples like the training data that may be "
    "flagged.",
)
@click.option(
    "--outlier-where",
    type=types.NAMES,
    default="",
    help="Known outliers, by attributes or labels: NAME=VALUE,... such as label=shoe.",
)
@LABEL_COLUMN
@click.option(
    "--normal",
    type=types.SOURCE,
    help="A second source, of examples that are not outliers; then all of SOURCE counts as "
    "outliers.",
)
@whole("--samples", 16, "Number of importance samples of a bound.")
@TABLE
@click.option(
    "--show", type=types.SOURCE, help="Image to write, with the highest-scoring examples."
)
@number(text="Number of examples in the image.")
@FORCE
@JSON
@WEIGHTS
@DATA
@SEED
@DEVICE
@THREADS
def outliers(run: str, as_json: bool, score: tuple[str, ...], **options: Parsed) -> None:
    """Find examples that are unlike the training data of RUN.

    Scores are higher for examples less like the training data. The threshold is set on held-out
    examples of the run's data, so that at most a fraction --false-alarms of such examples is
    flagged.

    Examples:
      ptheta outliers runs/vae photos --out scores.csv --show worst.png
      ptheta outliers runs/vae digits --outlier-where label=3
    """
    if score:
        options["score"] = score
    with shown(run):
        found = ptheta.outliers(run, **options)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        _print(found)
    for place in (found.path, found.picture):
        if place is not None:
            click.echo(f"{place}", err=as_json)


def _print(result: Found) -> None:
    found = result.found
    own, at = found.scores[found.chosen], found.threshold
    others = list(found.scores)[1:]
    rows = [["", "example", found.chosen, "flagged", *others[:COLUMNS]]]
    for place in found.worst(SHOWN):
        flag = "yes" if found.flagged[place] else ""
        further = [f"{found.scores[name][place]:.4g}" for name in others[:COLUMNS]]
        name, score = result.names[place], f"{own[place]:.4g}"
        rows.append([f"{found.rank[place]}", name, score, flag, *further])
    print_table(rows)
    if len(others) > COLUMNS and result.path is None:
        click.echo(f"{', '.join(others[COLUMNS:])}: written by --out FILE.csv")
    if at is not None:
        click.echo(
            f"{int(found.flagged.sum()):,} of {len(own):,} flagged, above {at.value:.4g}: "
            f"requested false-alarm rate {at.rate:.3g}, 95 % interval at this threshold "
            f"{at.low:.3g} to {at.high:.3g}"
        )
    for line in result.remarks:
        click.echo(line)
    if table := result.detected():
        print_table(table)
