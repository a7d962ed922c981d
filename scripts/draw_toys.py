"""Draw the figure of docs/toys.md: samples of each family trained on the same toy data.

    python -m scripts.draw_toys RUNS [--out docs/images/toys.png]

RUNS is the output folder of benchmarks/toys.py; the figure shows the run with seed 0 of each model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
from benchmarks.toys import MODELS, TOYS
from matplotlib import pyplot as plt
from torch import Tensor

from ptheta import tasks
from ptheta.runs.folder import Run

SHOWN, COLUMNS, SIDE, BEYOND = (
    1500,
    6,
    1.55,
    0.15,
)  # points, panels per row, size of a panel in inches


def panels(runs: Path, toy: str) -> dict[str, Tensor]:
    """Title -> points (N, 2), with the true ones first."""
    folders = {name: runs / toy / f"{name}-0" for name in MODELS}
    there = {name: Run.open(folder) for name, folder in folders.items() if folder.exists()}
    real = next(iter(there.values())).data("test").batch(slice(0, SHOWN)).x
    return {"data": real} | {
        name: tasks.sample(run.model(), SHOWN, seed=0) for name, run in there.items()
    }


def draw(runs: Path, toy: str, out: Path) -> None:
    found = panels(runs, toy)
    low, high = found["data"].amin(0), found["data"].amax(0)
    low, high = low - BEYOND * (high - low), high + BEYOND * (high - low)
    rows = -(-len(found) // COLUMNS)
    figure, axes = plt.subplots(
        rows, COLUMNS, figsize=(SIDE * COLUMNS, (SIDE + 0.2) * rows), layout="constrained"
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, (title, x) in zip(axes.flat, found.items(), strict=False):
        axis.scatter(*x.T, s=0.6, color="#3b6fb6" if title != "data" else "#1d2733", linewidths=0)
        axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
        axis.set_title(title, fontsize=8)
    figure.savefig(out, dpi=100)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    matplotlib.use("agg")
    for toy in TOYS:
        if not (options.runs / toy).exists():
            continue
        draw(options.runs, toy, options.out / f"toys-{toy.removeprefix('points-')}.png")


if __name__ == "__main__":
    main()
