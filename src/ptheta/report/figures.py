"""Figures as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.errors import PthetaError
from ptheta.files.atomic import SOFTWARE, make_folder, write_atomic
from ptheta.files.paths import expand
from ptheta.metrics.latent import LatentReport
from ptheta.report.plots import COLOURS, number
from ptheta.report.text import plain_text
from ptheta.tasks.probe import WAYS, Probe


@plain_text()
def latents(report: LatentReport, out: str | Path) -> Path:
    """KL of each dimension, and the aggregate posterior beside the prior: the histogram of all
    dimensions, and the two dimensions with the largest KL."""
    import matplotlib.pyplot as plt

    order = report.order()
    figure, (bars, histogram, plane) = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
    bars.bar(range(len(order)), report.kl[order], color=COLOURS[0])
    bars.set_xlabel("dimension, by KL")
    bars.set_ylabel("KL to N(0, 1), nats")
    bars.set_title(f"{report.active} of {len(order)} active", fontsize=10)
    edges = np.linspace(-4, 4, 61)
    histogram.hist(
        report.codes.flatten(), edges, density=True, color=COLOURS[0], alpha=0.6, label="q(z)"
    )
    if report.drawn is not None:
        histogram.hist(
            report.drawn.flatten(),
            edges,
            density=True,
            histtype="step",
            color="black",
            label="p(z)",
        )
    histogram.legend(frameon=False)
    histogram.set_title("all dimensions", fontsize=10)
    a, b = order[0], order[min(1, len(order) - 1)]
    plane.scatter(report.codes[:, a], report.codes[:, b], s=3, color=COLOURS[0], label="q(z)")
    if report.drawn is not None:
        x, y = report.drawn[:, a], report.drawn[:, b]
        plane.scatter(x, y, s=3, color="black", alpha=0.3, label="p(z)")
    plane.set_xlabel(f"z{a}")
    plane.set_ylabel(f"z{b}")
    plane.legend(frameon=False, markerscale=3)
    return _save(figure, out)


@plain_text()
def probes(found: Sequence[Probe], out: str | Path) -> Path:
    """Test accuracy against the number of labels, a line for each way of using them."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter

    figure, axis = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    for way, colour in zip(WAYS, COLOURS, strict=False):
        mine = [p for p in found if p.way == way]
        axis.errorbar(
            [p.labels for p in mine],
            [100 * p.mean for p in mine],
            [100 * p.spread for p in mine],
            color=colour,
            marker="o",
            markersize=4,
            capsize=3,
            label=way,
        )
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, 2)))
    axis.set_xlabel("labelled images")
    axis.set_ylabel("test accuracy, %")
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    return _save(figure, out)


def _save(figure: Any, out: str | Path) -> Path:
    import matplotlib.pyplot as plt

    path = expand(out)
    if path.suffix != ".png":
        raise PthetaError(f"--out {path}: want a .png")
    make_folder(path.parent)
    write_atomic(
        path,
        lambda beside: figure.savefig(
            beside, dpi=130, format="png", metadata={"Software": SOFTWARE}
        ),
    )
    plt.close(figure)
    return path
