"""The `log` function: write a trained run to an experiment tracker."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ptheta.callbacks import options_of, pictures
from ptheta.config import brief
from ptheta.errors import PthetaError
from ptheta.files.atomic import there
from ptheta.files.paths import expand
from ptheta.measures.results import Evaluation
from ptheta.runs.folder import Run
from ptheta.trackers.sink import Place, Sink
from ptheta.trackers.table import entry
from ptheta.training.metric_logger import read_metrics

EVALUATION = "evaluation.json"


@dataclass(frozen=True)
class Replayed:
    """How much of a run was written: lines of metrics, pictures and results."""

    lines: int
    pictures: int
    results: int


@dataclass(frozen=True)
class Logged:
    """Result of `ptheta.log`.

    Attributes:
        tracker: Name of the tracker.
        name, project: Those of the run in the tracker.
        folder: Folder of trackers that write files.
        written: How many lines of metrics, pictures and results were written.
    """

    tracker: str
    name: str
    project: str
    folder: Path
    written: Replayed

    def __str__(self) -> str:
        w = self.written
        return (
            f"{self.name} in {self.tracker}, project {self.project}: {w.lines:,} lines of metrics, "
            f"{w.pictures:,} sample grid{'s' * (w.pictures != 1)}, {w.results:,} results of its "
            "evaluation"
        )


def log(
    run: str | Path | Run,
    to: str,
    *,
    out: str | Path | None = None,
    project: str = "ptheta",
    name: str | None = None,
) -> Logged:
    """Write the options, metrics, sample grids and evaluation of a run to an experiment tracker.

    Everything is read from the run folder, so that a run may be logged at any time after its
    training, and to several trackers. `ptheta.train(..., track=[to])` writes while it trains.

    Args:
        run: run folder, or a `Run`
        to: name of the tracker, from `ptheta.trackers.TRACKERS`
        out: folder for trackers that write files; default: the folder of this name in the run
            folder
        project: name of the project, or experiment, in the tracker
        name: name of the run in the tracker; default: the name of the run folder

    Raises:
        PthetaError: for an unknown tracker, one whose package is not installed or that fails, or a
            run that has logged nothing
    """
    make, opened = entry(to).ready(), Run.open(run)
    folder = opened.path / to if out is None else expand(out)
    place = Place(opened.name if name is None else name, folder, project)
    try:
        written = replay(opened.path, lambda: make(place))
    except PthetaError:
        raise
    except Exception as error:  # of the tracker's package, such as a server that cannot be reached
        raise PthetaError(
            f"tracker {to} failed ({type(error).__name__}: {brief(str(error))}): the run folder "
            "is unchanged; mend it and log the run again"
        ) from error
    return Logged(to, place.name, project, folder, written)


def replay(folder: Path, make: Callable[[], Sink]) -> Replayed:
    """Write the options, metrics, sample grids and evaluation of a run folder, in the order of
    their steps.

    Args:
        folder: the run folder
        make: opens the run in the tracker; called when all files have been read

    Raises:
        PthetaError: if the run has logged nothing yet
    """
    rows = read_metrics(folder) if there(folder / "metrics.jsonl") else []
    if not rows:
        raise PthetaError(f"{folder} has no line of metrics yet: train it first")
    grids = list(pictures(folder, set()))
    results, sink, last = results_of(folder), make(), 0
    try:
        sink.options(options_of(folder))
        for step, values, files in by_step(rows, grids):
            if values:
                sink.values(step, values)
            for file in files:
                sink.picture(step, file)
            last = step
        if results:
            sink.results(last, results)
    finally:
        sink.close()
    return Replayed(len(rows), len(grids), len(results))


def by_step(
    rows: list[dict[str, float]], grids: list[tuple[int, Path]]
) -> Iterator[tuple[int, dict[str, float], list[Path]]]:
    """(step, metrics, sample grids) of each step, in order: trackers refuse or drop a step that is
    before the last one."""
    values: dict[int, dict[str, float]] = {}
    for row in rows:
        own = {name: value for name, value in row.items() if name != "step" and _finite(value)}
        values.setdefault(int(row["step"]), {}).update(own)
    files: dict[int, list[Path]] = {}
    for step, file in grids:
        files.setdefault(step, []).append(file)
    for step in sorted({*values, *files}):
        yield step, values.get(step, {}), files.get(step, [])


def results_of(folder: Path) -> Mapping[str, float]:
    """The results of the evaluation stored in a run folder that are defined; none if there is no
    evaluation."""
    if not there(folder / EVALUATION):
        return {}
    found = Evaluation.read(folder / EVALUATION)
    return {
        r.metric: float(r.value)
        for r in found.results
        if r.value is not None and math.isfinite(r.value)
    }


def _finite(value: float) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
