"""The `compare`, `write_report` and `demo` functions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import click

from ptheta.api.training import train
from ptheta.compute.precise import without_tf32
from ptheta.data.request import DataSettings
from ptheta.data.sources import open_image_set
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.files.atomic import locked
from ptheta.files.out import check_folder
from ptheta.files.paths import expand
from ptheta.models import registry
from ptheta.report.compare import compare as compare_runs
from ptheta.report.compare import write
from ptheta.runs.folder import Run
from ptheta.runs.sweeps import runs_of, unfinished
from ptheta.terminal.progress import shown


def compare(
    runs: Sequence[str | Path | Run],
    out: str | Path,
    *,
    n: int = 1000,
    seed: int = 0,
    extractor: str | Extractor | None = None,
    images: Sequence[str | Path] = (),
    data: str | None = None,
    anew: bool = False,
    device: str | None = None,
) -> Path:
    """Evaluate several runs by the same protocol and write report.html, .md and .json.

    Args:
        runs: run folders, folders of sweeps (all their runs), or `Run`s
        out: folder to write the report into
        n: number of images to draw from each model
        seed: random seed
        extractor: as for `ptheta.evaluate`
        images: folders of images from other programs, evaluated as well
        data: data to evaluate on: the new location of the runs' data, or other images
        anew: evaluate everything again; by default results in a run's evaluation.json are reused if
            the protocol is identical (weights, images, samples, seed, extractor, versions). Speed
            is always measured
        device: "cpu", "cuda", "mps" or "auto": where all models and features are computed; by
            default where the runs were opened, which is the CPU unless they are `Run`s of another
            device. Results of another device are not reused

    Returns:
        Path of the HTML page.

    Raises:
        PthetaError: if the runs' images differ in size or levels, if they were trained on different
            images and no `data` is given, if two rows would have the same name, if the device is
            not available, or if the runs are on several and none is given
    """
    folder = check_folder(out)
    opened = [Run.open(path, device=device) for run in runs for path in _runs_in(run)]
    if not opened:
        raise PthetaError("no run to compare: give at least one")
    if len(places := sorted({str(run.device) for run in opened})) > 1:
        raise PthetaError(
            f"the runs are on {' and '.join(places)}, and are compared on one device: give device="
        )
    read = opened[0].plan.data  # images are preprocessed as the runs' data
    alike = DataSettings(size=read.size, channels=read.channels)
    others = {expand(place).resolve().name: open_image_set(place, alike) for place in images}
    with without_tf32(opened[0].device):
        return compare_runs(
            opened, folder, n=n, seed=seed, extractor=extractor, images=others, data=data, anew=anew
        )


def write_report(folder: str | Path) -> Path:
    """Rebuild report.html, .md and .json from the results and images stored in a report folder.

    Nothing is measured again.

    Args:
        folder: folder that `compare` wrote

    Returns:
        Path of the HTML page.

    Raises:
        PthetaError: if the folder holds no comparison, or a damaged one
    """
    return write(expand(folder))


def _runs_in(run: str | Path | Run) -> Sequence[str | Path | Run]:
    if isinstance(run, Run):
        return [run]
    found = runs_of(run)
    if behind := unfinished(run):
        warnings.warn(
            f"{run}: {len(behind)} of the sweep's runs, such as {behind[0]}, have not ended and "
            "are left out: the same `ptheta sweep` goes on with them",
            stacklevel=3,
        )
    return found


SAMPLES = 1000  # samples of each model
QUICK_SPEED, QUICK_SAMPLES = 12.0, 300  # for a demo of 90 seconds


def demo(
    out: str | Path = "runs/demo",
    data: str = "digits",
    *,
    speed: float = 1.0,
    quick: bool = False,
) -> Path:
    """Train one model of each family that has a recipe "demo", compare them, and write a report.

    Runs are written to out/MODEL; interrupted ones are resumed. The report is out/report.html.

    Args:
        out: folder to write the runs and the report into
        data: data to train on
        speed: divides the training minutes of each recipe
        quick: use a twelfth of these minutes, and 300 samples of each model instead of 1,000

    Returns:
        Path of the HTML page.
    """
    folder = check_folder(out)
    if speed <= 0:
        raise PthetaError(f"speed = {speed}: give a number above 0")
    with locked(folder, "running the demo"):
        if quick:
            return _demo(folder, data, speed * QUICK_SPEED, QUICK_SAMPLES)
        return _demo(folder, data, speed, SAMPLES)


def _demo(out: Path, data: str, speed: float, n: int) -> Path:
    every = {name: entry.recipes().get("demo") for name, entry in registry.MODELS.items()}
    recipes = {name: recipe for name, recipe in every.items() if recipe is not None}
    runs = []
    for i, (name, recipe) in enumerate(recipes.items(), 1):
        minutes = recipe["train"]["minutes"] / speed
        about = f"{name}: {recipe['about']} ({minutes:.2g} minutes)"
        click.echo(f"{i} of {len(recipes)}: {about}", err=True)
        runs.append(train(name, data, out / name, recipe="demo", resume=True, minutes=minutes))
    click.echo("evaluating and comparing", err=True)
    with shown():
        return compare_runs(runs, out, n=n)
