"""Figures as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from ptheta.data.names import shortened
from ptheta.errors import PthetaError
from ptheta.files.atomic import SOFTWARE, make_folder, write_atomic
from ptheta.files.paths import expand
from ptheta.measures.classification import calibration_error, confusion, reliability
from ptheta.measures.results import NORMAL
from ptheta.metrics.latent import LatentReport
from ptheta.metrics.layers import LayerKL
from ptheta.report.plots import COLOURS, GREY, panels, plain_number
from ptheta.report.text import plain_text
from ptheta.tasks.context import Context
from ptheta.tasks.probe import WAYS, Probe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

LEAST = 1e-4  # of the strongest gradient, at which the colours of a context end
FAINT = ("#bcd6f0", "#0a2a5c")  # from the weakest gradient to the strongest
BLIND = "#d99a9a"
FEW_CLASSES = 20  # below this many classes, the matrix cells show counts


@plain_text()
def latents(report: LatentReport, out: str | Path) -> Path:
    """KL of each dimension, and the aggregate posterior with the prior: the histogram of all
    dimensions, and the two dimensions with the largest KL."""
    figure, (bars, histogram, plane) = panels(3, 10, 3)
    order = report.order()
    bars.bar(range(len(order)), report.kl[order], color=COLOURS[0])
    bars.set_xlabel("dimension, by KL")
    bars.locator_params(axis="x", integer=True)
    bars.set_ylabel("KL to N(0, 1), nats")
    bars.set_title(f"{report.active} of {len(order)} active", fontsize=10)
    _histogram(histogram, report)
    _plane(plane, report, order[0], order[min(1, len(order) - 1)])
    return saved(figure, out)


@plain_text()
def layers(found: Sequence[LayerKL], out: str | Path) -> Path:
    """The KL of each layer, a group of bars for each run, with 95 % intervals."""
    figure, (axis,) = panels(1, 2.2 + 1.05 * len(found), 3.4)
    depth = max(len(each.kl) for each in found)
    width = 0.8 / depth
    for i in range(depth):
        at = [j for j, each in enumerate(found) if i < len(each.kl)]
        axis.bar(
            [j + (i + 0.5 - len(found[j].kl) / 2) * width for j in at],
            [found[j].kl[i] for j in at],
            width,
            yerr=[NORMAL * found[j].errors[i] for j in at],
            color=COLOURS[i % len(COLOURS)],
            capsize=2,
            label=f"layer {i + 1}",
        )
    axis.set_xticks(range(len(found)), [shortened(each.name, 16) for each in found])
    axis.set_ylabel("KL, nats")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, title="from x up", fontsize=8)
    return saved(figure, out)


@plain_text()
def context(found: Context, out: str | Path) -> Path:
    """The pixels that a prediction depends on, and how strongly."""
    figure, (axis,) = panels(1, 5.4, 4.2)
    pixels = draw_context(axis, found)
    bar = figure.colorbar(pixels, ax=axis, shrink=0.7, format=plain_number)
    bar.set_label("gradient, nats from black to white", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    seen, before = int(found.seen.sum()), int(found.before.sum())
    axis.set_title(f"{seen} of {before} earlier pixels are seen", fontsize=10)
    return saved(figure, out)


def draw_context(axis: Axes, found: Context) -> AxesImage:
    """Draws the pixels in their places: seen ones by the logarithm of the gradient, blind spots,
    and the pixel itself. Returns the image of the strengths."""
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgb  # slow to import
    from matplotlib.patches import Patch, Rectangle

    height, width = found.before.shape
    others = (found.seen | found.after).numpy()
    strength = np.where(others, found.strength.numpy(), np.nan)
    top = np.nanmax(strength) if others.any() else 1.0
    norm = LogNorm(top * LEAST, top)
    blank = np.full((height, width, 3), 0.93)
    blank[found.blind.numpy()] = to_rgb(BLIND)
    axis.imshow(blank)
    # a pixel that only random images show is the faintest
    shown = np.where(others, np.maximum(strength, top * LEAST), np.nan)
    pixels = axis.imshow(shown, cmap=LinearSegmentedColormap.from_list("seen", FAINT), norm=norm)
    corner = (found.column - 0.5, found.row - 0.5)
    axis.add_patch(Rectangle(corner, 1, 1, fc=COLOURS[1], ec="black", lw=0.6))
    axis.set(xticks=(), yticks=())
    axis.legend(
        handles=[
            Patch(fc=COLOURS[1], label="predicted pixel"),
            Patch(fc=BLIND, label="blind spot"),
            Patch(fc="0.93", label="after it"),
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.01),
        ncols=3,
        fontsize=8,
        frameon=False,
    )
    return pixels


def _histogram(axis: Axes, report: LatentReport) -> None:
    edges = np.linspace(-4, 4, 61).tolist()
    axis.hist(
        report.codes.flatten(), edges, density=True, color=COLOURS[0], alpha=0.6, label="q(z)"
    )
    if report.drawn is not None:
        drawn = report.drawn.flatten()
        axis.hist(drawn, edges, density=True, histtype="step", color="black", label="p(z)")
    axis.legend(frameon=False)
    axis.set_title("all dimensions", fontsize=10)


def _plane(axis: Axes, report: LatentReport, a: int, b: int) -> None:
    """Dimension b over dimension a."""
    axis.scatter(report.codes[:, a], report.codes[:, b], s=3, color=COLOURS[0], label="q(z)")
    if report.drawn is not None:
        x, y = report.drawn[:, a], report.drawn[:, b]
        axis.scatter(x, y, s=3, color="black", alpha=0.3, label="p(z)")
    axis.set_xlabel(f"z{a}")
    axis.set_ylabel(f"z{b}")
    axis.legend(frameon=False, markerscale=3)


@plain_text()
def probes(found: Sequence[Probe], out: str | Path) -> Path:
    """Test accuracy against the number of labels, one line per method."""
    figure, (axis,) = panels(1, 5.2, 3.4)
    ways = [way for way in WAYS if any(p.way == way for p in found)]
    for way, colour in zip(ways, COLOURS, strict=False):
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
    axis.xaxis.set_major_formatter(plain_number)
    axis.set_xlabel("labelled images")
    axis.set_ylabel("test accuracy, %")
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    return saved(figure, out)


@plain_text()
def classified(log_p: Tensor, y: Tensor, names: Sequence[str], out: str | Path) -> Path:
    """Reliability diagram and confusion matrix. log_p: float64 (N, K); y: int64 (N,)"""
    figure, (diagram, matrix) = panels(2, 9.5, 4.2)
    _reliability(diagram, log_p, y)
    counts = confusion(log_p, y)
    shares = counts / counts.sum(1, keepdim=True).clamp_min(1)
    matrix.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    if len(names) <= FEW_CLASSES:
        for i, j in counts.nonzero().tolist():
            count, dark = str(counts[i, j].item()), "white" if shares[i, j] > 0.5 else "black"
            matrix.text(j, i, count, ha="center", va="center", color=dark, fontsize=7)
        short = [shortened(name, 12) for name in names]
        matrix.set_xticks(range(len(names)), short, rotation=90 if max(map(len, short)) > 2 else 0)
        matrix.set_yticks(range(len(names)), short)
    matrix.set_xlabel("taken for")
    matrix.set_ylabel("is")
    return saved(figure, out)


def _reliability(axis: Axes, log_p: Tensor, y: Tensor) -> None:
    bins = reliability(log_p, y)
    axis.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle=":")
    for one in bins:
        value, low, high = one.accuracy
        axis.errorbar(
            one.confidence,
            value,
            [[value - low], [high - value]],
            color=COLOURS[0],
            marker="o",
            markersize=5,
            capsize=3,
        )
        axis.annotate(
            f"{one.examples:,}",
            (one.confidence, value),
            textcoords="offset points",
            xytext=(7, -10) if one.confidence < 0.9 else (-9, -14),
            ha="left" if one.confidence < 0.9 else "right",
            fontsize=7,
            color=GREY,
        )
    axis.set_xlim(0, 1.03)
    axis.set_ylim(0, 1.03)
    axis.set_xlabel("probability of the most probable class")
    axis.set_ylabel("fraction correct")
    axis.set_title(f"calibration error {calibration_error(log_p, y):.3f}", fontsize=10)
    axis.grid(alpha=0.3)


def saved(figure: Figure, out: str | Path) -> Path:
    """Writes a figure. Raises PthetaError if the suffix is not .png."""
    path = expand(out)
    if path.suffix != ".png":
        raise PthetaError(f"--out {path}: want a .png")
    make_folder(path.parent)
    write_atomic(
        path,
        lambda temporary: figure.savefig(
            temporary, dpi=130, format="png", metadata={"Software": SOFTWARE}
        ),
    )
    return path
