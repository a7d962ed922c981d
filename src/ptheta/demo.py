"""The demo: one model of each family that has a "demo" recipe, trained, measured and compared."""

from __future__ import annotations

from pathlib import Path

import click

from ptheta import api
from ptheta.errors import PthetaError
from ptheta.files.atomic import locked
from ptheta.files.out import check_folder
from ptheta.models import registry
from ptheta.report.compare import compare
from ptheta.terminal.progress import shown


def run_demo(out: Path, data: str = "digits", speed: float = 1.0) -> Path:
    """Trains into out/MODEL (going on where an earlier call stopped) and writes out/report.html.

    speed: divides the minutes that each recipe trains for
    """
    out = check_folder(out)
    if speed <= 0:
        raise PthetaError(f"speed = {speed}: give a number above 0")
    with locked(out, "running the demo"):
        return _run(out, data, speed)


def _run(out: Path, data: str, speed: float) -> Path:
    every = {name: entry.recipes().get("demo") for name, entry in registry.MODELS.items()}
    recipes = {name: recipe for name, recipe in every.items() if recipe is not None}
    runs = []
    for i, (name, recipe) in enumerate(recipes.items(), 1):
        minutes = recipe["train"]["minutes"] / speed
        about = f"{name}: {recipe['about']} ({minutes:.2g} minutes)"
        click.echo(f"{i} of {len(recipes)}: {about}", err=True)
        runs.append(api.train(name, data, out / name, recipe="demo", resume=True, minutes=minutes))
    click.echo("measuring and comparing", err=True)
    with shown():
        return compare(runs, out)
