"""The `reconstruct` and `denoise` commands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.asked import asked, asked_options
from ptheta.cli.common import (
    DATA,
    DEVICE,
    JSON,
    RUN,
    SEED,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    out_unless,
)
from ptheta.cli.help import USE
from ptheta.cli.tables import plain, print_flowing, print_table
from ptheta.errors import PthetaError
from ptheta.terminal.progress import shown

if TYPE_CHECKING:
    from pathlib import Path

    from ptheta.api.grid import Block, Grid

condition_options = partial(asked_options, without=("image",))
SHOWN = click.option(
    *("-n", "--number", "n"),
    type=types.COUNT,
    help="Number of test images in the image grid.  [default: 8]",
)
MEASURED = click.option(
    "--measured",
    type=types.COUNT,
    help="Number of test images in the table.  [default: 1000, or all]",
)


@cli.command(panel=USE)
@RUN
@click.option(
    "--image",
    type=types.SOURCE,
    help="Image to reconstruct, or folder of images. By default test images.",
)
@condition_options
@SHOWN
@MEASURED
@JSON
@WEIGHTS
@DATA
@out_unless
@DEVICE
@THREADS
def reconstruct(run: str, as_json: bool, **options: Parsed) -> None:
    """Encode and decode images.

    Each test image is written next to its reconstruction. A table reports PSNR and SSIM of training
    and test images with 95 % intervals, compared with PCA of the code's dimension and with the mean
    image. Images given by --image are written under their own names, into the folder --out.

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
    help="Image to denoise, or folder of images; noise is added only with --noise. By default "
    "test images.",
)
@click.option(
    "--noise",
    multiple=True,
    help="Kind of corruption (see `ptheta train dae --help`). May be repeated.  [default: "
    "gaussian]",
)
@click.option(
    "--level",
    type=types.Real(0),
    multiple=True,
    help="Strength of the corruption (see `ptheta train dae --help`). May be repeated: each kind "
    "is applied at each strength. With --image and without --noise: the level of Gaussian "
    "noise in the images, for a model that takes it as input.  [default: 0.5]",
)
@condition_options
@SHOWN
@MEASURED
@JSON
@WEIGHTS
@DATA
@SEED
@out_unless
@DEVICE
@THREADS
def denoise(
    run: str, as_json: bool, noise: tuple[str, ...], level: tuple[float, ...], **options: Parsed
) -> None:
    """Denoise images.

    A table for test images reports PSNR and SSIM with 95 % intervals for each kind and strength of
    corruption, compared with the corrupted image, a median filter and PCA. Each image is written
    next to its corrupted version and all restorations. Images given by --image are written under
    their own names, into the folder --out.

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
    """Raises PthetaError if --image is given without --out."""
    if options["image"] is not None and options["out"] is None:
        raise PthetaError("--image needs a folder for the results: give --out")


def say(found: Grid, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_blocks(found.blocks())
    if found.path is not None:
        click.echo(f"{found.path}: {found.about}", err=as_json)


class Found(Protocol):
    """Result of a command about examples, with the paths of the table and the image (None if not
    written)."""

    @property
    def path(self) -> Path | None: ...

    @property
    def picture(self) -> Path | None: ...

    def blocks(self) -> Sequence[Block]: ...

    def to_json(self) -> dict[str, object]: ...


def say_found(found: Found, as_json: bool) -> None:
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
            print_flowing(plain(block.title))
        if block.rows:
            print_table(block.rows)
        for line in block.lines:
            print_flowing(plain(line))
