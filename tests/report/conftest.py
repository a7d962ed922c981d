"""A report that several tests read."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest
from filelock import FileLock

from ptheta import api
from ptheta.data import open_data
from ptheta.data.sources import ImageSet
from ptheta.report.compare import compare
from ptheta.runs.folder import Run
from tests.conftest import TINY
from tests.training.test_runs import QUIET

COMMON = {**QUIET, "steps": 6, "levels": 2}


@pytest.fixture(scope="session")
def report(strokes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an unconditional model, of three that are each another thing, and of a game: made once,
    whatever number of processes the tests have."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    place = place / "shared-report"
    with FileLock(f"{place}.lock"):
        if not (place / "out" / "report.html").exists():
            _made(strokes, place)
    return place / "out"


def _made(strokes: Path, place: Path) -> None:
    def run(name: str, model: str, **options: object) -> Run:
        return api.train(model, strokes, place / name, **{**TINY[model], **COMMON, **options})

    runs = [
        run("plain", "vae"),
        run("again", "vae", seed=1),
        run("afresh", "vae", dynamic=True),
        run("labelled", "cvae"),
        run("fitted", "ae"),
        run("game", "gan", evaluate_every=3, log_every=1),
    ]
    api.fit(place / "fitted", components=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = open_data(strokes).batch(slice(0, 50)).x
        made, few = ImageSet(x, ()), ImageSet(x[:30], (), resized=True)
        compare(runs, place / "out", n=40, images={"elsewhere": made, "few": few})
