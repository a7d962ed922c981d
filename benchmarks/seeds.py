"""Numbers of several runs that differ in their seed alone."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from scipy.stats import t as student

from ptheta.measures.results import LEVEL

Summary = list[object]  # mean, half of Student's interval or None, the value of each seed


def over_seeds(rows: Sequence[dict[str, float]]) -> dict[str, Summary]:
    """Of each number that every seed has, by its name."""
    names = [name for name in rows[0] if all(name in row for row in rows)]
    return {name: summary([row[name] for row in rows]) for name in names}


def summary(values: list[float]) -> Summary:
    half = None
    if len(values) > 1:
        error = statistics.stdev(values) / len(values) ** 0.5
        half = float(student.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    return [statistics.fmean(values), half, values]


# steps of short trainings; the first only warms up, the others time a step
PROBES = (30, 30, 230)
PASSES = (1, 1, 3)  # the same of what is fitted in passes over the data


def steps_within(
    seconds: float, train: Callable[[Path, int], object], probes: tuple[int, int, int] = PROBES
) -> int:
    """How many steps take about so many seconds of processor time, whatever else the machine does.

    train: trains into a new folder for a number of steps; what it takes to begin and to end is the
    same for few and for many
    """
    taken = []
    for steps in probes:
        with tempfile.TemporaryDirectory() as folder:
            start = time.process_time()
            train(Path(folder) / "run", steps)
            taken.append(time.process_time() - start)
    _, few, many = taken
    each = (many - few) / (probes[2] - probes[1])
    assert each > 0, f"a step took no time: {taken} seconds for {probes} steps"
    return max(1, round(seconds / each))
