"""Draw the figures of docs/families.md.

    python scripts/draw_families.py RUNS [--out docs/images]

RUNS is the output folder of benchmarks/families.py.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

from ptheta import tasks
from ptheta.files.images import grid, write_png
from ptheta.report.plots import COLOURS
from ptheta.runs.folder import Run

COLUMNS, ROWS = 10, 4
FAMILIES = ("adversarial", "variational", "autoencoder", "hybrid", "autoregressive")


def value(evaluation: dict[str, Any], metric: str) -> tuple[float, float] | None:
    """A result and two standard errors."""
    for result in evaluation["results"]:
        if result["metric"] == metric and result["value"] is not None:
            return result["value"], 2 * (result["error"] or 0.0)
    return None


def plane(axis: Any, report: dict[str, Any], x: str, y: str, others: bool) -> None:
    """Scatter plot of two metrics, with one point per run in the colour of its family."""
    points = {name: (run["evaluation"], run["family"]) for name, run in report["runs"].items()}
    if others:
        held = {**report["baselines"], "real images": report["real"]}
        points |= {name: (evaluation, "") for name, evaluation in held.items()}
    found = []
    for name, (evaluation, family) in points.items():
        a, b = value(evaluation, x), value(evaluation, y)
        if a is not None and b is not None:
            found.append((a, b, name, family))
    for i, (a, b, name, family) in enumerate(sorted(found)):
        colour = COLOURS[FAMILIES.index(family)] if family else "#9aa5b1"
        axis.errorbar(
            a[0], b[0], xerr=a[1], yerr=b[1], fmt="o" if family else "s", color=colour, capsize=2
        )
        # alternate labels above and below the points to avoid overlaps
        place = (6, 4) if i % 2 else (6, -11)
        axis.annotate(
            name, (a[0], b[0]), textcoords="offset points", xytext=place, fontsize=8, color=colour
        )
    axis.set_xlabel(x.replace("_", " "))
    axis.set_ylabel(y.replace("_", " "))
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    report = json.loads((options.runs / "report" / "report.json").read_text())
    for name in report["runs"]:
        x = tasks.sample(Run.open(options.runs / name).model(), COLUMNS * ROWS, seed=0)
        write_png(options.out / f"family-{name}.png", grid(x, COLUMNS), 1)
    test = Run.open(options.runs / next(iter(report["runs"]))).data("test")
    real = test.batch(slice(0, COLUMNS * ROWS)).x
    write_png(options.out / "family-real.png", grid(real, COLUMNS), 1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    plane(left, report, "sampling_speed", "kd_digits", others=False)
    left.set(xscale="log", yscale="log")
    left.margins(0.15)
    plane(right, report, "coverage_digits", "precision_digits", others=True)
    right.set(xlim=(-0.03, 1.1), ylim=(0, 1.05))
    figure.savefig(options.out / "families-plane.png", dpi=100)


if __name__ == "__main__":
    main()
