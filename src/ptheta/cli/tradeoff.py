"""The `tradeoff` command: precision-recall curve over truncation or temperature."""

from __future__ import annotations

import json

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import (
    DATA,
    DEVICE,
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
    help="Comma-separated values of truncation or temperature.  [default: seven common values]",
)
@number(1000, "Maximum number of samples at each value, and of held-out examples.")
@click.option("--extractor", help="Feature extractor for images, as for `ptheta evaluate`.")
@FIGURE
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@JSON
@WEIGHTS
@DATA
@SEED
@DEVICE
@THREADS
def tradeoff(run: str, as_json: bool, values: tuple[str, ...], **options: Parsed) -> None:
    """Plot precision against recall over truncation or temperature.

    Varies the truncation of a GAN's codes, or the temperature of autoregressive models, flows and
    VAEs. Training examples in place of samples give the attainable values.

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
