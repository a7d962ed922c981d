"""The `data pack` command: write a data set as tar shards."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import IMAGE_COLUMN, Parsed, cli
from ptheta.cli.help import LIST
from ptheta.terminal.progress import shown


@cli.command("data pack", panel=LIST)
@click.argument("source", type=types.SOURCE)
@click.option("--out", type=types.FOLDER, required=True, help="Folder to write.")
@click.option(
    "--shard-size",
    default="256M",
    show_default=True,
    metavar="SIZE",
    help="Most bytes of a shard, such as 64M or 1G.",
)
@click.option("--images-per-shard", type=types.COUNT, help="Most images of a shard.")
@click.option(
    "--keep-order",
    is_flag=True,
    help="Keep the order of SOURCE. By default images are shuffled once, since training reads a "
    "few shards at a time.",
)
@IMAGE_COLUMN
@click.option("--label-column", metavar="NAME", help="Column of the labels.")
@click.option("--caption-column", metavar="NAME", help="Column of the captions.")
def pack(source: str, **options: Parsed) -> None:
    """Write the images of SOURCE as tar shards with an index.

    The folder, or its address on a server (https://, s3://, gs://), can be given wherever data are
    read: images are decoded when they are needed, and memory does not grow with their number.

    Examples:
      ptheta data pack photos --out shards
      ptheta data pack digits --out packed --images-per-shard 2000
    """
    with shown(source):
        found = ptheta.pack(source, **options)
    for note in found.notes:
        click.echo(note)
    click.echo(f"{found}")
