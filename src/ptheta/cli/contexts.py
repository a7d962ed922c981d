"""The `context` command: which pixels a prediction depends on."""

from __future__ import annotations

import json

import click

import ptheta
from ptheta.cli.common import (
    DATA,
    DEVICE,
    FIGURE,
    JSON,
    NUMBER,
    RUN,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    integers,
)
from ptheta.cli.help import LOOK
from ptheta.cli.repairing import print_blocks
from ptheta.errors import PthetaError


@cli.command(panel=LOOK)
@RUN
@click.option(
    "--pixel",
    metavar="ROW,COLUMN",
    help="The predicted pixel, counted from 0 at the top left.  [default: the middle]",
)
@NUMBER
@WEIGHTS
@JSON
@DATA
@FIGURE
@DEVICE
@THREADS
def context(as_json: bool, pixel: str | None, **options: Parsed) -> None:
    """Map the pixels that the prediction of one pixel depends on.

    For an autoregressive model: by the gradient of the pixel's log-probability in all pixels. A
    blind spot is a pixel that comes earlier in the order and has no effect.

    Examples:
      ptheta context runs/pixelcnn --out context.png
      ptheta context runs/made --pixel 20,4 --out context.png
    """
    found = ptheta.context(pixel=None if pixel is None else _pixel(pixel), **options)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_blocks(found.blocks())
    if found.path is not None:
        click.echo(f"{found.path}", err=as_json)


def _pixel(text: str) -> tuple[int, int]:
    """Parses --pixel. Raises PthetaError if it is not a row and a column."""
    pair = integers(text, "--pixel")
    if len(pair) != 2:
        raise PthetaError(f"--pixel {text}: want a row and a column, such as 14,14")
    return pair[0], pair[1]
