"""The use that trades precision for recall."""

from __future__ import annotations

import json

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import (
    DATA,
    FIGURE,
    JSON,
    RUN,
    SEED,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    number,
)
from ptheta.cli.help import MEASURE
from ptheta.cli.repairing import print_blocks
from ptheta.terminal.progress import shown


@cli.command(panel=MEASURE)
@RUN
@click.option(
    "--values",
    type=types.NAMES,
    default="",
    help="Values of truncation or temperature, with commas between them.  [default: seven usual "
    "ones]",
)
@number(1000, "Number of samples at each value, and of held-out examples, at most.")
@click.option("--extractor", help="Features of images, as for `ptheta evaluate`.")
@FIGURE
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@JSON
@WEIGHTS
@DATA
@SEED
@THREADS
def tradeoff(run: str, as_json: bool, values: tuple[str, ...], **options: Parsed) -> None:
    """Draw precision against recall as samples are made more alike.

    Of a GAN by truncation of its codes; of autoregressive models, flows and VAEs by temperature.
    Training examples in the place of samples say what there is to reach.

    Examples:
      ptheta tradeoff runs/pixelcnn --out curve.png
      ptheta tradeoff runs/gan --values 0.5,1,2 --out curve.png
    """
    chosen = [types.POSITIVE.convert(value, None, None) for value in values]
    with shown(run):
        found = ptheta.tradeoff(run, values=chosen, **options)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_blocks(found.blocks())
    if found.path is not None:
        click.echo(f"{found.path}", err=as_json)
