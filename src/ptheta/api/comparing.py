"""Verbs that measure several models alike: the comparison of runs, and the demo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ptheta.api.training import train
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
from ptheta.runs.sweeps import runs_of
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
) -> Path:
    """Measures every run in the same way and writes report.html, .md and .json into the folder
    `out`. Returns the page.

    runs: run folders, folders of sweeps (all runs in them), or `Run`s
    n: images drawn of each model; extractor: as for `ptheta.evaluate`
    images: folders of images that another program made, measured as well
    data: what to measure on: where the runs' data lies now, or other images
    anew: measure everything; by default not what the evaluation.json of a run holds by the very
        same protocol (weights, images, samples, seed, extractor, versions). A speed is always
        measured
    Raises PthetaError where the runs' images differ in size or levels, or were other images and no
    `data` is given, and where two rows would have the same name.
    """
    folder = check_folder(out)
    opened = [Run.open(path) for run in runs for path in _runs_in(run)]
    if not opened:
        raise PthetaError("no run to compare: give at least one")
    read = opened[0].plan.data  # images are read as the runs' own are
    alike = DataSettings(size=read.size, channels=read.channels)
    others = {expand(place).resolve().name: open_image_set(place, alike) for place in images}
    return compare_runs(
        opened, folder, n=n, seed=seed, extractor=extractor, images=others, data=data, anew=anew
    )


def write_report(folder: str | Path) -> Path:
    """Writes report.html, .md and .json of a comparison again, from measured.json and the pictures
    that it stored in its folder; nothing is measured. Returns the page.

    Raises PthetaError where the folder holds no comparison, or a damaged one.
    """
    return write(expand(folder))


def _runs_in(run: str | Path | Run) -> Sequence[str | Path | Run]:
    return [run] if isinstance(run, Run) else runs_of(run)


SAMPLES = 1000  # of each model that is measured
QUICK_SPEED, QUICK_SAMPLES = 12.0, 300  # of a demo in a minute and a half


def demo(
    out: str | Path = "runs/demo",
    data: str = "digits",
    *,
    speed: float = 1.0,
    quick: bool = False,
) -> Path:
    """Trains one model of each family that has a recipe "demo" into out/MODEL (going on where an
    earlier call stopped), compares them, and writes out/report.html. Returns the page.

    speed: divides the minutes that each recipe trains for
    quick: a twelfth of these minutes, and 300 samples of each model measured and not 1,000
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
    click.echo("measuring and comparing", err=True)
    with shown():
        return compare_runs(runs, out, n=n)
