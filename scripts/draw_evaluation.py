"""Draw the figures of docs/evaluation.md: the sensitivity of each metric to degraded images.

    python scripts/draw_evaluation.py [--out docs/images] [--data digits] [--extractor NAME]

Held-out images are degraded with increasing strength (`ptheta.metrics.sensitivity`) and evaluated
like samples of a model. Takes about two minutes.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from ptheta.data import open_data
from ptheta.files.images import grid
from ptheta.measures.results import Evaluation
from ptheta.metrics.sensitivity import DAMAGES, Damage, Images, sensitivity
from ptheta.report.plots import COLOURS

SHOWN = 8  # number of example images per strength
# panels: title, metrics, logarithmic axis
PANELS: tuple[tuple[str, tuple[str, ...], bool], ...] = (
    ("distance (low is good)", ("fd_{x}", "fd_infinity_{x}", "fd_memorisation_{x}"), True),
    ("kernel distance (low is good)", ("kd_{x}",), False),
    ("score and classes (high is good)", ("score_{x}", "classes_{x}"), False),
    (
        "shares (high is good)",
        ("precision_{x}", "recall_{x}", "density_{x}", "coverage_{x}"),
        False,
    ),
    ("similarity of two samples", ("similarity",), False),
    ("copying test, z (below -3: copies)", ("copying_z", "copying_z_{x}"), False),
)


def draw(
    name: str, damage: Damage, x: list[torch.Tensor], found: list[Evaluation], by: str
) -> Figure:
    """Draw example images for each strength, and the metrics below them."""
    at = range(len(damage.strengths))
    figure = plt.figure(figsize=(11, 6.6), layout="constrained")
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.05, 4))[:, 0]
    for axis, images, strength in zip(
        top.subplots(1, len(x), squeeze=False)[0], x, damage.strengths, strict=True
    ):
        axis.imshow(grid(images[:SHOWN], 4), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.set_title(f"{strength:g}", fontsize=9)
        axis.set_axis_off()
    top.suptitle(f"{name} ({damage.unit})", fontsize=11)
    for axis, (title, metrics, log) in zip(bottom.subplots(2, 3).flat, PANELS, strict=True):
        for i, pattern in enumerate(metrics):
            results = [e.get(pattern.format(x=by)) for e in found]
            points = [
                (k, r.value, 2 * (r.error or 0))
                for k, r in zip(at, results, strict=True)
                if r is not None and r.value is not None
            ]
            if points:
                where, values, errors = zip(*points, strict=True)
                label = pattern.format(x="").rstrip("_").replace("_", " ")
                if pattern.startswith("copying"):
                    label = "in features" if "{x}" in pattern else "in pixels"
                axis.errorbar(
                    where, values, errors, color=COLOURS[i], marker="o", markersize=4, label=label
                )
        if log:
            axis.set_yscale("symlog", linthresh=10)
        if title.startswith("shares"):
            axis.set_ylim(0, 1.35)
        axis.set_xticks(list(at), [f"{s:g}" for s in damage.strengths])
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=7.5, frameon=False)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--data", default="digits")
    parser.add_argument("--extractor", default="digits")
    options = parser.parse_args()
    train, test = open_data(options.data), open_data(options.data, "test")
    half = len(test) // 2
    real, images = test.subset(slice(0, half)), Images.of(test.subset(slice(half, None)), train)
    for name, damage in DAMAGES.items():
        x = [damage.make(images, s) for s in damage.strengths]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = sensitivity(name, images, real, train, extractor=options.extractor)
        figure = draw(name, damage, x, found, options.extractor)
        file = options.out / f"sees-{name.replace(',', '').replace(' ', '-')}.png"
        figure.savefig(file, dpi=100)
        plt.close(figure)
        print(file, flush=True)
        for evaluation, strength in zip(found, damage.strengths, strict=True):
            line = {r.metric: round(r.value, 3) for r in evaluation.results if r.value is not None}
            print(f"{strength:g}", line, flush=True)


if __name__ == "__main__":
    main()
