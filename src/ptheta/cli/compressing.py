"""Images in few bytes, and back."""

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
@click.option("--out", type=types.File(".ptc"), required=True, help="The .ptc to write.")
@SPLIT
@SOME
@whole("--batch", 100, "Images that are coded together. Decoding takes as many.", types.LAYERED)
@FORCE
@JSON
@WEIGHTS
@SEED
def compress(run: str, as_json: bool, **options: Parsed) -> None:
    """Compress images without loss, by what RUN has learned.

    An image takes about -log2 p(x) bits, so the fewer, the likelier RUN finds it. RUN is of an
    autoregressive model without conditions. Images are read as the run's data was, and what comes
    back by `ptheta decompress`, with the same run, is these to the bit. A table says how many bytes
    they take, as PNG, WebP, zlib and lzma as well.

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
    help="Folder of pictures to write, or an array (x.npy, x.npz: uint8 N,C,H,W).",
)
@FORCE
def decompress(run: str, **options: Parsed) -> None:
    """Read a .ptc that `ptheta compress` wrote with the same RUN.

    Examples:
      ptheta decompress runs/pixelcnn images.ptc --out back
      ptheta decompress runs/pixelcnn images.ptc --out back.npy
    """
    with shown(run):
        found = ptheta.decompress(run, **options)
    show(found)
