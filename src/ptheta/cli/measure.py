"""Measuring: one run or folder, several runs, the demo."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import (
    DATA,
    IMAGE_COLUMN,
    JSON,
    SEED,
    THREADS,
    Parsed,
    cli,
    given,
    number,
    whole,
)
from ptheta.cli.help import MEASURE, TRAIN
from ptheta.cli.tables import print_wrapped
from ptheta.errors import PthetaError
from ptheta.files.paths import exists, expand
from ptheta.terminal.progress import shown

if TYPE_CHECKING:
    from ptheta.measures.results import Evaluation

BROUGHT = ("size", "channels", "image_column")  # how a folder of images is read
SIZE = click.option(
    "--size",
    type=types.SIDE,
    help="Resize and crop IMAGES and --data to this many pixels across and down.",
)
CHANNELS = click.option(
    "--channels",
    type=types.COUNT,
    help="Convert IMAGES and --data to this many channels (1 or 3).",
)


@cli.command(panel=MEASURE)
@click.argument("run", metavar="RUN|IMAGES", type=types.SOURCE)
@click.option(
    "--data",
    type=types.SOURCE,
    help="Where the run's data lies now, or other images to use in its place. For IMAGES: the real "
    "images.",
)
@JSON
@number(1000, "Number of images to draw.", types.Whole(2))
@click.option(
    "--extractor",
    help="Feature extractor for distance metrics: digits, fashion, pixels, efficientnet-lite0, "
    "inception-2015, dinov2 or clip (default: digits or fashion where the images are known to be "
    "of that kind, else pixels).",
)
@SIZE
@CHANNELS
@IMAGE_COLUMN
@click.option(
    "--closest",
    type=types.PICTURE,
    help="A .png to write the samples nearest to a training image into, above those images, and "
    "the same for the test images.",
)
@whole("--processes", 1, "Worker processes for feature extraction.", types.PROCESSES)
@whole("--is-k", 50, "Number of importance samples of a likelihood bound.")
@click.option(
    "--ais",
    "ais_images",
    type=types.Whole(0),
    default=0,
    show_default=True,
    help="Number of test images for annealed importance sampling.",
)
@SEED
@THREADS
def evaluate(run: str, data: str | None, as_json: bool, **options: Parsed) -> None:
    """Measure a trained RUN, or a folder of images of any origin.

    Of a run, evaluation.json is written into its folder. A folder of images is measured against
    the test images of --data. `ptheta metrics` lists the numbers.

    Examples:
      ptheta evaluate runs/vae
      ptheta evaluate photos --data digits --closest pairs.png
    """
    brought = {name: options.pop(name) for name in BROUGHT}
    foreign = not ptheta.api.is_run(run) and exists(expand(run))
    if foreign:
        _check_foreign(run, data)
        del options["is_k"], options["ais_images"]
    elif any(value is not None for value in brought.values()):
        raise PthetaError(
            "--size, --channels and --image-column are for a folder of IMAGES: leave them out"
        )
    try:
        with shown(str(run)):
            if foreign:
                result = ptheta.evaluate_images(run, str(data), **brought, **options)
            else:
                result = ptheta.evaluate(run, data, **options)
    except ptheta.api.Unwritten as error:  # the numbers are there all the same
        _print(error.evaluation, as_json)
        raise
    _print(result, as_json)


def _check_foreign(images: str, data: str | None) -> None:
    """Raises PthetaError for options that a folder of images cannot have, or has to have."""
    if given("is_k") or given("ais_images"):
        raise PthetaError(
            f"--is-k and --ais measure the likelihood of a run, and {images} is a folder of "
            "images: leave them out"
        )
    if data is None:
        raise PthetaError(
            f"{images} is no run (it holds no config.json): to measure the images in it, give "
            "--data with the real ones"
        )


def _print(result: Evaluation, as_json: bool) -> None:
    """The numbers of an evaluation, and which way is better."""
    if as_json:
        click.echo(json.dumps(result.to_json(), indent=2))
        return
    there = [r for r in result.results if r.value is not None]
    print_wrapped([[r.metric, r.better, r.text()] for r in there], ["", "better", ""])
    missing: dict[str, list[str]] = {}
    for r in result.results:
        if r.value is None:
            missing.setdefault(r.reason, []).append(r.metric)
    if missing:
        click.echo()
    for reason, names in missing.items():
        print_wrapped([[f"not defined ({reason}): {', '.join(names)}"]])
    about = result.protocol
    click.echo(f"\nextractor {about['extractor']}: {about['extractor_chosen']}")
    click.echo("better: which numbers are; +- one standard error")


@cli.command(panel=MEASURE)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=types.SOURCE)
@click.option(
    "--out",
    type=types.FOLDER,
    required=True,
    help="Folder to write report.html, .md and .json into.",
)
@number(1000, "Number of images to draw of each.", types.Whole(2))
@click.option(
    "--extractor",
    help="Feature extractor for distance metrics (see `ptheta evaluate --help`).",
)
@click.option(
    "--images",
    multiple=True,
    type=types.SOURCE,
    metavar="FOLDER",
    help="Folder of images of another program, to measure as well. May be repeated.",
)
@DATA
@SEED
@click.option(
    "--anew",
    is_flag=True,
    help="Measure everything. By default numbers that a run's evaluation.json holds by the same "
    "protocol are not measured again.",
)
@THREADS
def compare(**options: Parsed) -> None:
    """Measure several RUNs alike and write one report.

    RUNS may be the folder of a sweep.

    Examples:
      ptheta compare runs/vae runs/dcgan --out report
      ptheta compare runs/vae --images photos --out report
    """
    with shown():
        page = ptheta.compare(**options)
    click.echo(f"{page}: open it in a browser")


@cli.command(panel=MEASURE)
@click.argument("folder", type=types.SOURCE)
def report(folder: str) -> None:
    """Write a report again from what `compare` has stored in FOLDER.

    Examples:
      ptheta report report
      ptheta report ./report
    """
    page = ptheta.write_report(folder)
    click.echo(f"{page}: open it in a browser")


@cli.command(panel=TRAIN)
@click.option(
    "--out",
    type=types.FOLDER,
    default="runs/demo",
    show_default=True,
    help="Folder to write the runs and the report into.",
)
@click.option(
    "--data",
    type=types.SOURCE,
    default="digits",
    show_default=True,
    help="Data to train on.",
)
@click.option(
    "--speed",
    type=types.Real(0, above=True),
    default=1.0,
    show_default=True,
    help="Divisor of every model's training time.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="A twelfth of the training time, and fewer samples: under 90 seconds on two cores.",
)
@THREADS
def demo(**options: Parsed) -> None:
    """Train one model of each family, and write a report of them.

    Examples:
      ptheta demo --quick
      ptheta demo --data fashion --out tour
    """
    click.echo(f"{ptheta.demo(**options)}")
