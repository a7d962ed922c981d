"""Measuring: one run or folder, several runs, the demo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ptheta.cli.common import SEED, cli, open_run, print_table
from ptheta.errors import PthetaError


@cli.command()
@click.argument("run", metavar="RUN|IMAGES")
@click.option("--data", help="Evaluate on this data instead of the run's own test images.")
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
    "--closest", help="Write the samples nearest to a training image above those, as a .png."
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
    if foreign:
        if data is None:
            raise PthetaError(
                f"{run} is no run (it holds no config.json): to measure the images in it, give "
                "--data with the real ones"
            )
        how = {"size": size, "channels": channels, "processes": processes}
        result = api.score(run, data, n=number, extractor=extractor, seed=seed, **how)
    else:
        if size is not None or channels is not None:
            raise PthetaError("--size and --channels are for a folder of IMAGES: leave them out")
        result = api.evaluate(
            run,
            data,
            n=number,
            extractor=extractor,
            is_k=is_k,
            ais_images=ais,
            seed=seed,
            processes=processes,
        )
    if closest is not None:
        real = data if foreign else None
        _write_closest(Path(closest), *api.closest(run, real, size=size, channels=channels))
    if as_json:
        click.echo(json.dumps(result.to_json(), indent=2))
    else:
        print_table([[r.metric, r.text()] for r in result.results])
        about = result.protocol
        click.echo(f"\nextractor {about['extractor']}: {about['extractor_chosen']}")


def _write_closest(path: Path, samples: Any, originals: Any) -> None:
    """A row of samples, and below each the training image that it is nearest to."""
    import torch

    from ptheta.files import make_folder
    from ptheta.images import grid, write_png

    make_folder(path.expanduser().parent)
    canvas = grid(torch.cat([samples, originals]), len(samples))
    write_png(path.expanduser(), canvas, max(1, 64 // samples.shape[-1]))


@cli.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--out", required=True, help="Folder for report.html, .md and .json.")
@click.option("-n", "--number", default=1000, show_default=True, help="Images to draw of each.")
@click.option("--extractor", help="Of the distances (see `ptheta evaluate --help`).")
@click.option(
    "--images", multiple=True, metavar="FOLDER", help="Images of another program, measured as well."
)
@SEED
def compare(
    runs: tuple[str, ...],
    out: str,
    number: int,
    extractor: str | None,
    images: tuple[str, ...],
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
    page = write_report(opened, Path(out), n=number, seed=seed, extractor=extractor, images=others)
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
