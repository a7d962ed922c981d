"""Draw the figures of docs/families.md.

    python -m scripts.draw_families grey|colour RUNS [--out docs/images]

RUNS is the output folder of benchmarks/families.py, of which the first samples of seed 0 are
drawn; the numbers are those of benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from PIL import Image

from ptheta.report.plots import COLOURS, GREY
from scripts.seed_tables import RESULTS

SHOWN = 10  # images of a model, the first row of its picture
COLUMNS = 3
SPACE = 1  # pixels between images
Table = Mapping[str, Mapping[str, Any]]


def sheet(found: Table, runs: Path, out: Path, size: int) -> None:
    """The first samples of every model, nearest to the data first. size: pixels of an image"""
    order = sorted(found["models"], key=lambda name: found["models"][name]["kd"][0])
    columns = min(COLUMNS, -(-len(order) // 4))
    lines = -(-len(order) // columns)
    figure, axes = plt.subplots(
        *(lines, columns),
        figsize=(4.0 * columns, 0.55 * lines),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat:
        axis.axis("off")
    for name, axis in zip(order, axes.T.flat, strict=False):
        with Image.open(runs / f"{name}-0" / "first.png") as picture:
            width = SHOWN * (size + SPACE) - SPACE
            axis.imshow(picture.convert("RGB").crop((0, 0, width, size)), interpolation="nearest")
        axis.set_title(name, fontsize=8, loc="left", pad=2)
    figure.savefig(out, dpi=110)


def plane(axis: Axes, found: Table, x: str, y: str, x_label: str, y_label: str) -> None:
    """Means over seeds and their intervals, with a colour for each family and the floors in grey.
    The first model of a family from the left is named, so that names do not cover each other."""
    families: dict[str, str] = {}
    for name, row in sorted(found["models"].items(), key=lambda item: item[1]["kd"][0]):
        family = row["family"]
        first = family not in families
        colour = families.setdefault(family, COLOURS[len(families) % len(COLOURS)])
        (a, wide, _), (b, high, _) = row[x], row[y]
        axis.errorbar(
            *(a, b),
            xerr=wide,
            yerr=high,
            fmt="o",
            color=colour,
            ecolor=f"{colour}55",
            markersize=5,
            label=family if first else None,
        )
        if first:
            axis.annotate(name, (a, b), textcoords="offset points", xytext=(5, 4), fontsize=8)
    for name, row in found["floors"].items():
        if x in row and y in row:
            axis.plot(row[x][0], row[y][0], "s", color=GREY)
            axis.annotate(
                *(name, (row[x][0], row[y][0])),
                textcoords="offset points",
                xytext=(5, -10),
                fontsize=7,
                color=GREY,
            )
    axis.set(xlabel=x_label, ylabel=y_label)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def planes(found: Table, out: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5.2), layout="constrained")
    plane(left, found, "sampling_speed", "kd", "images sampled per second", "kernel distance")
    left.set(xscale="log", yscale="log")
    left.margins(0.15)
    plane(right, found, "recall", "precision", "recall", "precision")
    right.set(xlim=(-0.03, 1.1), ylim=(0, 1.05))
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=6)
    figure.savefig(out, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("comparison", choices=("grey", "colour"))
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    name = options.comparison
    found = json.loads((RESULTS / f"families_{name}.json").read_text(encoding="utf-8"))
    sheet(found, options.runs, options.out / f"families-{name}.png", 28 if name == "grey" else 32)
    if name == "grey":
        planes(found, options.out / "families-plane.png")


if __name__ == "__main__":
    main()
