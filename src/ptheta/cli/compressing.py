"""The `compress` and `decompress` commands."""

from __future__ import annotations

import json

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.classify import SOME
from ptheta.cli.common import FORCE, JSON, RUN, SEED, SPLIT, WEIGHTS, Parsed, cli, show, whole
from ptheta.cli.help import USE
from ptheta.cli.repairing import print_blocks
from ptheta.terminal.progress import shown


@cli.command(panel=USE)
@RUN
@click.argument("source", type=types.SOURCE)
@click.option("--out", type=types.File(".ptc"), required=True, help="The .ptc file to write.")
@SPLIT
@SOME
@whole("--batch", 100, "Batch size of the encoder; decoding uses the same.", types.LAYERED)
@FORCE
@JSON
@WEIGHTS
@SEED
def compress(run: str, as_json: bool, **options: Parsed) -> None:
    """Compress images losslessly with a trained RUN.

    An image takes about -log2 p(x) bits: the more likely it is under RUN, the fewer. RUN must be an
    unconditional autoregressive model. Images are preprocessed as the run's data was, and `ptheta
    decompress` with the same run restores the preprocessed images bit for bit. A table compares the
    size in bytes with PNG, WebP, zlib and lzma.

    Examples:
      ptheta compress runs/pixelcnn photos --out images.ptc
      ptheta compress runs/made digits --split test -n 100 --out test.ptc
    """
    with shown(run):
        found = ptheta.compress(run, **options)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_blocks(found.blocks())
    click.echo(f"{found.path}", err=as_json)


@cli.command(panel=USE)
@RUN
@click.argument("file", type=types.SOURCE)
@click.option(
    "--out",
    type=types.SOURCE,
    required=True,
    help="Folder of images to write, or an array (x.npy, x.npz: uint8 N,C,H,W).",
)
@FORCE
def decompress(run: str, **options: Parsed) -> None:
    """Restore images from a .ptc file, with the RUN that wrote it.

    Examples:
      ptheta decompress runs/pixelcnn images.ptc --out back
      ptheta decompress runs/pixelcnn images.ptc --out back.npy
    """
    with shown(run):
        found = ptheta.decompress(run, **options)
    show(found)
