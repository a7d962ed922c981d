"""Uses that repair images and give them back, with how well they do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.asked import asked, asked_options
from ptheta.cli.common import DATA, JSON, RUN, SEED, THREADS, Parsed, cli, out_unless
from ptheta.cli.help import USE
from ptheta.cli.tables import print_flowing, print_table
from ptheta.errors import PthetaError
from ptheta.terminal.progress import shown

if TYPE_CHECKING:
    from pathlib import Path

    from ptheta.api.grid import Block, Grid

beside_pictures = partial(asked_options, without=("image",))
SHOWN = click.option(
    *("-n", "--number", "n"),
    type=types.COUNT,
    help="Number of test images in the picture.  [default: 8]",
)
MEASURED = click.option(
    "--measured",
    type=types.COUNT,
    help="Number of test images that the table is of.  [default: 1000, or all]",
)


@cli.command(panel=USE)
@RUN
@click.option(
    "--image",
    type=types.SOURCE,
    help="Picture to give back, or folder of them. By default test images.",
)
@beside_pictures
@SHOWN
@MEASURED
@JSON
@DATA
@out_unless
@THREADS
def reconstruct(run: str, as_json: bool, **options: Parsed) -> None:
    """Encode and decode images.

    Of test images each is written beside what its code gives back, and a table says how near that
    is, of training and of test images: PSNR and SSIM with their 95 % intervals, beside as many
    principal components as the code has numbers, and the mean image. Pictures of yours (--image)
    are written under their own names, into the folder --out.

    Examples:
      ptheta reconstruct runs/vae
      ptheta reconstruct runs/vae --image photos --out again
    """
    condition = asked(run, options)
    needs_place(options)
    with shown(run):
        found = ptheta.reconstruct(run, condition=condition, **options)
    say(found, as_json)


@cli.command(panel=USE)
@RUN
@click.option(
    "--image",
    type=types.SOURCE,
    help="Picture to repair, or folder of them, as they are: noise is added only where --noise is "
    "given. By default test images.",
)
@click.option(
    "--noise",
    multiple=True,
    help="Kind of damage (see `ptheta train dae --help`). May be repeated.  [default: gaussian]",
)
@click.option(
    "--level",
    type=types.Real(0),
    multiple=True,
    help="Strength of the damage (see `ptheta train dae --help`). May be repeated: each kind comes "
    "in each strength. Of pictures without --noise: how much Gaussian noise is in them, for a "
    "model that goes by it.  [default: 0.5]",
)
@beside_pictures
@SHOWN
@MEASURED
@JSON
@DATA
@SEED
@out_unless
@THREADS
def denoise(
    run: str, as_json: bool, noise: tuple[str, ...], level: tuple[float, ...], **options: Parsed
) -> None:
    """Repair damaged images.

    Of test images a table says how well, for each kind and strength of damage: PSNR and SSIM with
    their 95 % intervals, beside the damaged image, a median filter and principal components; each
    image is written beside the damaged one and all repairs. Pictures of yours (--image) are
    written under their own names, into the folder --out.

    Examples:
      ptheta denoise runs/dae
      ptheta denoise runs/dae --image photos --out repaired
    """
    condition = asked(run, options)
    needs_place(options)
    with shown(run):
        found = ptheta.denoise(run, noise or None, level or None, condition=condition, **options)
    say(found, as_json)


def needs_place(options: dict[str, Parsed]) -> None:
    """Raises PthetaError for pictures of a user that would be written nowhere."""
    if options["image"] is not None and options["out"] is None:
        raise PthetaError("--image: what is made of pictures is written: name a folder by --out")


def say(found: Grid, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_blocks(found.blocks())
    if found.path is not None:
        click.echo(f"{found.path}: {found.about}", err=as_json)


class Told(Protocol):
    """What a verb has found of examples. path, picture: where it was written; None for nowhere"""

    @property
    def path(self) -> Path | None: ...

    @property
    def picture(self) -> Path | None: ...

    def blocks(self) -> Sequence[Block]: ...

    def to_json(self) -> dict[str, object]: ...


def say_found(found: Told, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_blocks(found.blocks())
    for place in (found.path, found.picture):
        if place is not None:
            click.echo(f"{place}", err=as_json)


def print_blocks(blocks: Sequence[Block]) -> None:
    for i, block in enumerate(blocks):
        if i:
            click.echo()
        if block.title:
            print_flowing(block.title)
        if block.rows:
            print_table(block.rows)
        for line in block.lines:
            print_flowing(line)
