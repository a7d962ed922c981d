"""Notebook display of a run: progress, last metrics and last samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ptheta.conditions import word
from ptheta.data.formats import opened
from ptheta.errors import PthetaError
from ptheta.files import html
from ptheta.training.checkpoint import latest
from ptheta.training.progress import Progress

if TYPE_CHECKING:
    from ptheta.runs.folder import Run

MOST = 20  # maximum number of values shown
ELSEWHERE = {"step", "seconds"}  # columns of metrics.jsonl that are shown elsewhere


def card(run: Run) -> str:
    """The display as HTML; reports damaged files."""
    about = {
        "model": f"{run.plan.model}, recipe {run.plan.recipe}",
        "data": run.plan.source,
        "condition": "" if run.condition is None else word(run.condition),
        "parameters": f"{run.about.parameters:,}",
        "trained": _or_error(lambda: _trained(run)),
        "best": _or_error(lambda: _best(run)),
        "last": _or_error(lambda: _last(run)),
    }
    return html.card(run, html.facts(about), _samples(run.path / "samples"))


def _or_error(describe: Callable[[], str]) -> str:
    """The description, or the error message."""
    try:
        return describe()
    except PthetaError as error:
        return str(error)


def _progress(run: Run) -> Progress:
    found = latest(run.path / "state")
    return Progress() if found is None else Progress.read(found / "progress.json")


def _trained(run: Run) -> str:
    where = run.unfinished()
    if where is not None:
        return where
    done = _progress(run)
    return f"{done.step:,} steps in {done.seconds / 60:.1f} minutes"


def _best(run: Run) -> str:
    done = _progress(run)
    if math.isnan(done.best_value):
        return ""
    return f"{done.best_metric} {done.best_value:.6g} at step {done.best_step:,}"


def _last(run: Run) -> str:
    """The last value of each logged metric."""
    last = {name: value for line in run.metrics() for name, value in line.items()}
    shown = [f"{name} {value:.4g}" for name, value in last.items() if name not in ELSEWHERE]
    return ", ".join(shown[:MOST])


def _samples(folder: Path) -> str:
    """The last sample grid; empty if none can be read."""
    last = max(folder.glob("step-*.png"), default=None)
    if last is None:
        return ""
    try:
        with opened(last) as picture:
            seen = np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # not an image
        return ""
    return html.picture(seen, f"samples, {last.stem}")
