"""Measuring: one run or folder, several runs, the demo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import click

from ptheta.cli.common import OTHER_DATA, SEED, cli, given, open_run, print_table
from ptheta.errors import PthetaError

REAL: tuple[Literal["train", "test"], ...] = ("train", "test")  # what samples may be copies of


@cli.command()
@click.argument("run", metavar="RUN|IMAGES")
@click.option(
    "--data",
    help="Where the run's data lies now, or other images in place of it; the real ones for IMAGES.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("-n", "--number", default=1000, show_default=True, help="Images to draw.")
@click.option(
    "--extractor",
    help="Feature extractor of the distances: digits, fashion, pixels, efficientnet-lite0, "
    "inception-2015, dinov2 or clip (default: digits or fashion where the images are known to be "
    "of that kind, else pixels).",
)
@click.option("--size", type=int, help="Side in pixels that IMAGES and --data are brought to.")
@click.option("--channels", type=int, help="1 or 3, that both are brought to.")
@click.option(
    "--closest",
    help="Write the samples nearest to a training image above those, and so for the test images, "
    "as a .png.",
)
@click.option("--processes", default=1, show_default=True, help="That share the features.")
@click.option("--is-k", default=50, show_default=True, help="Importance samples of a bound.")
@click.option(
    "--ais", default=0, show_default=True, help="Test images for annealed importance sampling."
)
@SEED
def evaluate(
    run: str,
    data: str | None,
    as_json: bool,
    number: int,
    extractor: str | None,
    size: int | None,
    channels: int | None,
    closest: str | None,
    processes: int,
    is_k: int,
    ais: int,
    seed: int,
) -> None:
    """Measure a trained RUN and write its evaluation.json; or a folder of images of any origin
    against the test images of --data."""
    from ptheta import api
    from ptheta.runs import is_run

    if closest is not None and Path(closest).suffix != ".png":
        raise PthetaError(f"--closest {closest}: want a .png")
    foreign = not is_run(run) and Path(run).exists()
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
    if not foreign and (size is not None or channels is not None):
        raise PthetaError("--size and --channels are for a folder of IMAGES: leave them out")
    if closest is not None:
        rows = [api.closest(run, data, of=of, size=size, channels=channels) for of in REAL]
        _write_closest(Path(closest), [images for pair in rows for images in pair])
    shared = {"n": number, "extractor": extractor, "seed": seed, "processes": processes}
    if foreign:
        result = api.score(run, str(data), size=size, channels=channels, **shared)
    else:
        result = api.evaluate(run, data, is_k=is_k, ais_images=ais, **shared)
    if as_json:
        click.echo(json.dumps(result.to_json(), indent=2))
    else:
        print_table([[r.metric, r.text()] for r in result.results])
        about = result.protocol
        click.echo(f"\nextractor {about['extractor']}: {about['extractor_chosen']}")


def _write_closest(path: Path, rows: list[Any]) -> None:
    """A row of samples, and below each the training image that it is nearest to; then of test
    images."""
    import torch

    from ptheta.files import make_folder
    from ptheta.images import grid, write_png

    make_folder(path.expanduser().parent)
    canvas = grid(torch.cat(rows), len(rows[0]))
    write_png(path.expanduser(), canvas, max(1, 64 // rows[0].shape[-1]))


@cli.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--out", required=True, help="Folder for report.html, .md and .json.")
@click.option("-n", "--number", default=1000, show_default=True, help="Images to draw of each.")
@click.option("--extractor", help="Of the distances (see `ptheta evaluate --help`).")
@click.option(
    "--images", multiple=True, metavar="FOLDER", help="Images of another program, measured as well."
)
@OTHER_DATA
@SEED
def compare(
    runs: tuple[str, ...],
    out: str,
    number: int,
    extractor: str | None,
    images: tuple[str, ...],
    data: str | None,
    seed: int,
) -> None:
    """Measure several RUNs (or the folder of a sweep) alike and write one report."""
    from ptheta.data.sources import open_whole
    from ptheta.report.compare import compare as write_report
    from ptheta.sweep import runs_of

    paths = [path for run in runs for path in runs_of(run)]
    opened = [open_run(path) for path in paths]
    d = opened[0].plan.data  # read as the runs' own images are
    others = {
        Path(folder).resolve().name: open_whole(folder, size=d.size, channels=d.channels)
        for folder in images
    }
    page = write_report(
        opened, Path(out), n=number, seed=seed, extractor=extractor, images=others, data=data
    )
    click.echo(f"{page}: open it in a browser")


@cli.command()
@click.option("--out", default="runs/demo", show_default=True, help="Folder for runs and report.")
@click.option("--data", default="digits", show_default=True, help="What to learn.")
@click.option(
    "--speed", default=1.0, show_default=True, help="Divides the training time of every model."
)
def demo(out: str, data: str, speed: float) -> None:
    """Train one model of each family, compare them, and write report.html."""
    from ptheta.demo import run_demo

    page = run_demo(Path(out), data, speed)
    click.echo(f"{page}")
