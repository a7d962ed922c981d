"""The `push` command: upload a run to the Hugging Face hub."""

from __future__ import annotations

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import RUN, WEIGHTS, Parsed, cli
from ptheta.cli.help import MEASURE
from ptheta.terminal.progress import shown


@cli.command(panel=MEASURE)
@RUN
@click.argument("to", metavar="ORG/NAME")
@click.option("--private", is_flag=True, help="A repository that is created is yours to see only.")
@click.option("--license", default="", metavar="ID", help="Licence of the weights, such as mit.")
@click.option(
    "--out",
    type=types.FOLDER,
    help="Write the files into this folder instead of uploading them.",
)
@WEIGHTS
def push(run: str, to: str, **options: Parsed) -> None:
    """Upload RUN to the Hugging Face hub, with a model card.

    The card states the model, the data, the training and the stored evaluation with its protocol.
    Weights and records are JSON and safetensors. Every command then takes hf://ORG/NAME in place of
    a run folder, and downloads it once. The extra is hub: pip install 'ptheta[hub]'. `hf auth
    login` or HF_TOKEN gives the right to write, and HF_ENDPOINT names another server.

    Examples:
      ptheta push runs/vae my-team/digits-vae --out shared
      ptheta push runs/vae my-team/digits-vae --license mit --out shared-mit
    """
    with shown(run):
        found = ptheta.push(run, to, **options)
    click.echo(f"{found}")
