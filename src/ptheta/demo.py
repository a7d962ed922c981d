"""The demo: one model of each family that has a "demo" recipe, trained, measured and compared."""

from __future__ import annotations

from pathlib import Path

import click

from ptheta import api, registry
from ptheta.errors import PthetaError
from ptheta.files import make_folder
from ptheta.report.compare import compare


def run_demo(out: Path, data: str = "digits", speed: float = 1.0) -> Path:
    """Trains into out/MODEL (going on where an earlier call stopped) and writes out/report.html.

    speed: divides the minutes that each recipe trains for
    """
    if speed <= 0:
        raise PthetaError(f"speed = {speed}: give a number above 0")
    make_folder(out)
    runs = []
    for name, entry in registry.MODELS.items():
        recipe = entry.recipes().get("demo")
        if recipe is None:
            continue
        minutes = recipe["train"]["minutes"] / speed
        about = f"{name}: {recipe['about']} ({minutes:.2g} minutes)"
        click.echo(about, err=True)
        runs.append(api.train(name, data, out / name, recipe="demo", resume=True, minutes=minutes))
    click.echo("measuring and comparing", err=True)
    return compare(runs, out)
