"""Measuring: one run or folder, several runs, the demo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ptheta.cli import types
from ptheta.cli.common import (
    DATA,
    IMAGE_COLUMN,
    JSON,
    SEED,
    THREADS,
    cli,
    given,
    number,
    open_run,
)
from ptheta.cli.tables import print_wrapped
from ptheta.errors import PthetaError
from ptheta.files.paths import exists, expand

if TYPE_CHECKING:
    from ptheta.measures.results import Evaluation

REAL: tuple[Literal["train", "test"], ...] = ("train", "test")  # what samples may be copies of


@cli.command()
@click.argument("run", metavar="RUN|IMAGES", type=types.SOURCE)
@click.option(
    "--data",
    type=types.SOURCE,
    help="Where the run's data lies now, or other images in place of it; the real ones for IMAGES.",
)
@JSON
@number(1000, "Images to draw.", types.Whole(2))
@click.option(
    "--extractor",
    help="Feature extractor of the distances: digits, fashion, pixels, efficientnet-lite0, "
    "inception-2015, dinov2 or clip (default: digits or fashion where the images are known to be "
    "of that kind, else pixels).",
)
@click.option(
    "--size", type=types.SIDE, help="Side in pixels that IMAGES and --data are brought to."
)
@click.option("--channels", type=types.COUNT, help="1 or 3, that both are brought to.")
@IMAGE_COLUMN
@click.option(
    "--closest",
    type=types.PICTURE,
    help="Write the samples nearest to a training image above those, and so for the test images, "
    "as a .png.",
)
@click.option(
    "--processes",
    type=types.PROCESSES,
    default=1,
    show_default=True,
    help="That share the features.",
)
@click.option(
    "--is-k", type=types.COUNT, default=50, show_default=True, help="Importance samples of a bound."
)
@click.option(
    "--ais",
    type=types.Whole(0),
    default=0,
    show_default=True,
    help="Test images for annealed importance sampling.",
)
@SEED
@THREADS
def evaluate(
    run: str,
    data: str | None,
    as_json: bool,
    number: int,
    extractor: str | None,
    size: int | None,
    channels: int | None,
    image_column: str | None,
    closest: Path | None,
    processes: int,
    is_k: int,
    ais: int,
    seed: int,
) -> None:
    """Measure a trained RUN and write its evaluation.json; or a folder of images of any origin
    against the test images of --data."""
    from ptheta import api
    from ptheta.runs.folder import is_run
    from ptheta.terminal.progress import shown

    foreign = not is_run(run) and exists(expand(run))
    if foreign and (given("is_k") or given("ais")):
        raise PthetaError(
            f"--is-k and --ais measure the likelihood of a run, and {run} is a folder of images: "
            "leave them out"
        )
    if foreign and data is None:
        raise PthetaError(
            f"{run} is no run (it holds no config.json): to measure the images in it, give "
            "--data with the real ones"
        )
    if not foreign and any(value is not None for value in (size, channels, image_column)):
        raise PthetaError(
            "--size, --channels and --image-column are for a folder of IMAGES: leave them out"
        )
    read: dict[str, Any] = {"size": size, "channels": channels, "image_column": image_column}
    shared: dict[str, Any] = {"n": number, "extractor": extractor}
    shared |= {"seed": seed, "processes": processes}
    try:
        with shown(str(run)):
            if closest is not None:
                rows = [api.closest(run, data, of=of, **read) for of in REAL]
                _write_closest(closest, [images for pair in rows for images in pair])
            if foreign:
                result = api.score(run, str(data), **read, **shared)
            else:
                result = api.evaluate(run, data, is_k=is_k, ais_images=ais, **shared)
    except api.Unwritten as error:  # the numbers are there all the same
        _print(error.evaluation, as_json)
        raise
    _print(result, as_json)


def _print(result: Evaluation, as_json: bool) -> None:
    """The numbers of an evaluation, and which way is better."""
    if as_json:
        click.echo(json.dumps(result.to_json(), indent=2))
        return
    print_wrapped([[r.metric, r.better, r.text()] for r in result.results], ["", "better", ""])
    about = result.protocol
    click.echo(f"\nextractor {about['extractor']}: {about['extractor_chosen']}")
    click.echo("better: whether lower or higher numbers are; +- one standard error")


def _write_closest(path: Path, rows: list[Any]) -> None:
    """A row of samples, and below each the training image that it is nearest to; then of test
    images."""
    import torch

    from ptheta.tasks.export import write_images

    write_images(torch.cat(rows), path, len(rows[0]))


@cli.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=types.SOURCE)
@click.option(
    "--out", type=types.FOLDER, required=True, help="Folder for report.html, .md and .json."
)
@number(1000, "Images to draw of each.", types.Whole(2))
@click.option("--extractor", help="Of the distances (see `ptheta evaluate --help`).")
@click.option(
    "--images",
    multiple=True,
    type=types.SOURCE,
    metavar="FOLDER",
    help="Images of another program, measured as well.",
)
@DATA
@SEED
@THREADS
def compare(
    runs: tuple[str, ...],
    out: Path,
    number: int,
    extractor: str | None,
    images: tuple[str, ...],
    data: str | None,
    seed: int,
) -> None:
    """Measure several RUNs (or the folder of a sweep) alike and write one report."""
    from ptheta.data.request import DataSettings
    from ptheta.data.sources import open_image_set
    from ptheta.report.compare import compare as write_report
    from ptheta.runs.sweeps import runs_of
    from ptheta.terminal.progress import shown

    paths = [path for run in runs for path in runs_of(run)]
    opened = [open_run(path) for path in paths]
    d = opened[0].plan.data  # read as the runs' own images are
    others = {}
    for folder in images:
        made = open_image_set(folder, DataSettings(size=d.size, channels=d.channels))
        others[expand(folder).resolve().name] = made
    with shown():
        page = write_report(
            opened, out, n=number, seed=seed, extractor=extractor, images=others, data=data
        )
    click.echo(f"{page}: open it in a browser")


@cli.command()
@click.option(
    "--out",
    type=types.FOLDER,
    default="runs/demo",
    show_default=True,
    help="Folder for runs and report.",
)
@click.option(
    "--data", type=types.SOURCE, default="digits", show_default=True, help="What to learn."
)
@click.option(
    "--speed",
    type=types.Real(0, above=True),
    default=1.0,
    show_default=True,
    help="Divides the training time of every model.",
)
@THREADS
def demo(out: Path, data: str, speed: float) -> None:
    """Train one model of each family, compare them, and write report.html."""
    from ptheta.demo import run_demo

    page = run_demo(out, data, speed)
    click.echo(f"{page}")
