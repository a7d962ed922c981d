"""Commands that evaluate: evaluate, compare, report, demo."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import (
    DATA,
    DEVICE,
    IMAGE_COLUMN,
    JSON,
    PROCESSES,
    SEED,
    THREADS,
    WEIGHTS,
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
    from pathlib import Path

    from ptheta.measures.results import Evaluation

OF_RUNS = ("is_k", "ais_images", "weights")  # options of a trained model
PREPROCESSING = ("size", "channels", "image_column")  # how a folder of images is preprocessed
SIZE = click.option(
    "--size",
    type=types.SIDE,
    help="Resize and crop IMAGES and --data to this many pixels on each side.",
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
    help="New location of the run's data, or other images to use instead. For IMAGES: the real "
    "images.",
)
@JSON
@number(1000, "Number of images to draw.", types.Whole(2))
@click.option(
    "--extractor",
    help="Feature extractor for distance metrics: digits, fashion, pixels, efficientnet-lite0, "
    "inception-2015, dinov2 or clip (default: digits or fashion if the images are known to "
    "be of that kind, else pixels).",
)
@SIZE
@CHANNELS
@IMAGE_COLUMN
@click.option(
    "--closest",
    type=types.PICTURE,
    help="Write the samples nearest to a training image to this .png file, above those images, "
    "and the same for test images.",
)
@PROCESSES
@whole("--is-k", 50, "Number of importance samples for a likelihood bound.")
@click.option(
    "--ais",
    "ais_images",
    type=types.Whole(0),
    default=0,
    show_default=True,
    help="Number of test images for annealed importance sampling.",
)
@WEIGHTS
@SEED
@DEVICE
@THREADS
def evaluate(run: str, data: str | None, as_json: bool, **options: Parsed) -> None:
    """Evaluate a trained RUN, or a folder of images of any origin.

    Results of a run are written to evaluation.json in its folder. A folder of images is compared
    with the test images of --data. `ptheta metrics` lists the metrics.

    Examples:
      ptheta evaluate runs/vae
      ptheta evaluate photos --data digits --closest pairs.png
    """
    preprocessing = {name: options.pop(name) for name in PREPROCESSING}
    foreign = not ptheta.api.is_run(run) and exists(expand(run))
    if foreign:
        _check_foreign(run, data)
        for name in OF_RUNS:
            del options[name]
    elif any(value is not None for value in preprocessing.values()):
        raise PthetaError(
            "--size, --channels and --image-column are for a folder of IMAGES: leave them out"
        )
    from ptheta.training.launchers import speaks

    first = speaks(os.environ)
    try:
        with shown(str(run)) if first else nullcontext():
            if foreign:
                result = ptheta.evaluate_images(run, str(data), **preprocessing, **options)
            else:
                result = ptheta.evaluate(run, data, **options)
    except ptheta.api.Unwritten as error:  # only writing failed: still print the numbers
        _print(error.evaluation, as_json)
        raise
    if first:
        _print(result, as_json)


def _check_foreign(images: str, data: str | None) -> None:
    """Raises PthetaError for options that do not apply to a folder of images, or are missing."""
    if any(given(name) for name in OF_RUNS):
        raise PthetaError(
            f"--is-k, --ais and --weights are of a run, and {images} is a folder of images: leave "
            "them out"
        )
    if data is None:
        raise PthetaError(
            f"{images} is not a run folder (no config.json): to evaluate it as a folder of "
            "images, give the real images by --data"
        )


def _print(result: Evaluation, as_json: bool) -> None:
    """Prints the metrics of an evaluation, and which direction is better."""
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
    click.echo("better: whether lower or higher is better; +- one standard error")


@cli.command(panel=MEASURE)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=types.SOURCE)
@click.option(
    "--out",
    type=types.FOLDER,
    required=True,
    help="Folder to write report.html, .md and .json into.",
)
@number(1000, "Number of images to draw from each run.", types.Whole(2))
@click.option(
    "--extractor",
    help="Feature extractor for distance metrics (see `ptheta evaluate --help`).",
)
@click.option(
    "--images",
    multiple=True,
    type=types.SOURCE,
    metavar="FOLDER",
    help="Folder of images from another program, to evaluate as well. May be repeated.",
)
@DATA
@SEED
@click.option(
    "--anew",
    is_flag=True,
    help="Evaluate everything again. By default results that are in a run's evaluation.json "
    "under the same protocol are reused.",
)
@DEVICE
@THREADS
def compare(**options: Parsed) -> None:
    """Evaluate several RUNs by one protocol and write a report.

    RUNS may be the folder of a sweep.

    Examples:
      ptheta compare runs/vae runs/dcgan --out report
      ptheta compare runs/vae --images photos --out report
    """
    with shown():
        page = ptheta.compare(**options)
    conclude(page)


def conclude(page: Path) -> None:
    """Prints the main results of a report, and where it is on a line of its own."""
    from ptheta.report import stored  # slow to import

    if lines := stored.read(page.parent).summary:
        print_wrapped([["-", line] for line in lines])
    click.echo(f"{page}")


@cli.command(panel=MEASURE)
@click.argument("folder", type=types.SOURCE)
def report(folder: str) -> None:
    """Rebuild a report from the results stored in FOLDER.

    Examples:
      ptheta report report
      ptheta report ./report
    """
    conclude(ptheta.write_report(folder))


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
    help="Divide every model's training time by this number.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="Use a twelfth of the training time and fewer samples: under 90 seconds on two cores.",
)
@THREADS
def demo(**options: Parsed) -> None:
    """Train one model of each family and write a report.

    Examples:
      ptheta demo --quick
      ptheta demo --data fashion --out tour
    """
    conclude(ptheta.demo(**options))
