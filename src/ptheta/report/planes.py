"""Scatter plots of codes in two dimensions, coloured by class, with posteriors and prior."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ptheta.data.names import shortened
from ptheta.measures.planes import Density
from ptheta.report.figures import saved
from ptheta.report.plots import panels
from ptheta.report.text import label, plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path as Outline

# ten colours that are distinguishable with any colour vision deficiency (Petroff 2021,
# arXiv:2107.02270)
COLOURS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
SHAPES = "os^DvP*Xpd<h>"  # their number is coprime to that of the colours
MOST = 20  # maximum number of classes; the rarest others are merged
OTHERS = "others"
MASSES = (0.5, 0.95)  # probability mass inside the outlines of the prior
CELLS = 120  # of the grid of a density, to a side
SIDE = 3.0  # of a panel, inches
LINE, LEGEND_WIDTH = 0.21, 2.2  # of the legend: of a line, and across, inches
MARGIN = 0.06  # of the axes, around what is drawn


@dataclass(frozen=True, eq=False)
class Panel:
    """One panel: the codes of a model.

    points: (N, 2); labels: int64 (N,), indices into the names of all panels; None if unknown
    ellipses: covariances of the posteriors of the points at these places: (K, 2, 2) and (K,) prior,
    aggregate: densities of p(z) and q(z) in the plane
    """

    title: str
    x_label: str
    y_label: str
    points: Tensor
    labels: Tensor | None
    ellipses: tuple[Tensor, Tensor] | None
    prior: Density | None
    aggregate: Density


@dataclass(frozen=True)
class Look:
    """std: standard deviations at which an ellipse is drawn
    reach: of the axes on either side of 0; own_axes: whether each panel has axes of its own
    """

    std: float = 1.0
    reach: float | None = None
    own_axes: bool = False


@plain_text()
def planes(shown: Sequence[Panel], names: Sequence[str], look: Look, out: str | Path) -> Path:
    """Draws panels side by side, on shared axes by default. names: of the labels."""
    marks = _Marks.of([panel.labels for panel in shown], names)
    height = max(SIDE + 0.1, LINE * (len(marks.each) + 4))
    figure, axes = panels(len(shown), SIDE * len(shown) + LEGEND_WIDTH, height)
    boxes = [_box(panel, look) for panel in shown]
    whole = np.stack(boxes)
    for axis, panel, own in zip(axes, shown, boxes, strict=True):
        _draw(axis, panel, marks, look)
        box = own if look.own_axes else np.stack([whole[:, 0].min(0), whole[:, 1].max(0)])
        axis.set_xlim(*_square(box)[:, 0])
        axis.set_ylim(*_square(box)[:, 1])
        axis.set_aspect("equal")
        outside = _outside(panel.points, _square(box))
        beyond = f" ({100 * outside:.0f} % outside)" if outside else ""
        axis.set_title(shortened(panel.title, 40) + beyond, fontsize=12)
        axis.set_xlabel(panel.x_label, fontsize=10)
        axis.set_ylabel(panel.y_label, fontsize=10)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    _legend(figure, shown, marks, look)
    return saved(figure, out)


# -- classes


@dataclass(frozen=True)
class _Marks:
    """How each class is drawn: name, colour, marker, and label indices."""

    each: tuple[tuple[str, str, str | Outline, tuple[int, ...]], ...]

    @classmethod
    def of(cls, labels: Sequence[Tensor | None], names: Sequence[str]) -> _Marks:
        known = [some for some in labels if some is not None]
        if not known or not names:
            return cls(())
        counts = torch.cat(known).bincount(minlength=len(names))
        most = len(names) if len(names) <= MOST else MOST - 1
        kept = sorted(counts.argsort(descending=True, stable=True)[:most].tolist())
        letters = all(len(names[k]) == 1 and names[k].isprintable() for k in kept)
        each = [
            (
                names[k],
                COLOURS[i % len(COLOURS)],
                _letter(names[k]) if letters else SHAPES[i % len(SHAPES)],
                (k,),
            )
            for i, k in enumerate(kept)
        ]
        rest = tuple(k for k in range(len(names)) if k not in kept)
        return cls((*each, (OTHERS, "#d9d9d9", "o", rest)) if rest else tuple(each))


def _letter(text: str) -> Outline:
    """A letter as a marker: its centred outline, of height 1."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path as Outline
    from matplotlib.textpath import TextPath

    drawn = TextPath((0, 0), text, size=10, prop=FontProperties(weight="bold"))
    box = drawn.get_extents()
    middle = np.array([box.x0 + box.width / 2, box.y0 + box.height / 2])
    return Outline((drawn.vertices - middle) / max(box.height, box.width, 1e-9), drawn.codes)


# -- a panel


def _draw(axis: Axes, panel: Panel, marks: _Marks, look: Look) -> None:
    x, y, f = (one.numpy() for one in panel.aggregate.grid(CELLS))
    if (level := panel.aggregate.level(MASSES[-1])) < f.max():
        axis.contourf(x, y, f, [level, f.max()], colors=["#efefef"], zorder=0)
    size = _size_of(len(panel.points))
    if panel.labels is None or not marks.each:
        across, down = panel.points.T.numpy()
        axis.scatter(across, down, s=size / 2, color=COLOURS[0], linewidths=0, alpha=0.7)
    else:
        for _, colour, mark, numbers in marks.each:
            mine = panel.points[torch.isin(panel.labels, torch.tensor(numbers))]
            across, down = mine.T.numpy()
            axis.scatter(across, down, s=size, color=colour, marker=mark, linewidths=0, alpha=0.8)
    if panel.ellipses is not None and look.std > 0:
        _ellipses(axis, panel, marks, look.std)
    if panel.prior is not None:
        x, y, f = (one.numpy() for one in panel.prior.grid(CELLS))
        levels = sorted({panel.prior.level(mass) for mass in MASSES})
        axis.contour(x, y, f, levels, colors="black", linewidths=1.2, linestyles="--", zorder=4)


def _size_of(n: int) -> float:
    """Marker size in points squared; smaller for many points."""
    return max(6.0, min(26.0, 26 * math.sqrt(300 / n)))


def _ellipses(axis: Axes, panel: Panel, marks: _Marks, std: float) -> None:
    """Ellipses of the Gaussian posteriors at `std` standard deviations."""
    from matplotlib.collections import EllipseCollection

    assert panel.ellipses is not None
    covariances, places = panel.ellipses
    values, vectors = torch.linalg.eigh(covariances)
    widths = 2 * std * values.clamp_min(0).sqrt()
    angles = torch.rad2deg(torch.atan2(vectors[:, 1, 1], vectors[:, 0, 1]))
    colours = dict.fromkeys(range(len(places)), COLOURS[0])
    if panel.labels is not None:
        of = {number: colour for _, colour, _, numbers in marks.each for number in numbers}
        colours = {i: of[k] for i, k in enumerate(panel.labels[places].tolist())}
    axis.add_collection(
        EllipseCollection(
            widths[:, 1].numpy(),
            widths[:, 0].numpy(),
            angles.numpy(),
            units="xy",
            offsets=panel.points[places].numpy(),
            offset_transform=axis.transData,
            facecolors="none",
            edgecolors=list(colours.values()),
            linewidths=0.8,
            zorder=3,
        )
    )


# -- axes


def _box(panel: Panel, look: Look) -> np.ndarray:
    """Bounding box of a panel's contents: ((left, low), (right, high))."""
    if look.reach is not None:
        return np.array([[-look.reach] * 2, [look.reach] * 2])
    found = [panel.points]
    if panel.ellipses is not None and look.std > 0:
        covariances, places = panel.ellipses
        half = look.std * covariances.diagonal(dim1=1, dim2=2).sqrt()
        found += [panel.points[places] - half, panel.points[places] + half]
    if panel.prior is not None:
        x, y, f = panel.prior.grid(CELLS)
        inside = (f >= panel.prior.level(MASSES[-1])).nonzero()
        found.append(torch.stack([x[inside[:, 1]], y[inside[:, 0]]], 1))
    every = torch.cat(found)
    return np.stack([every.min(0).values.numpy(), every.max(0).values.numpy()])


def _outside(points: Tensor, box: np.ndarray) -> float:
    """Fraction of the points (N, 2) outside the axes."""
    beyond = (points < torch.from_numpy(box[0])) | (points > torch.from_numpy(box[1]))
    return float(beyond.any(1).double().mean())


def _square(box: np.ndarray) -> np.ndarray:
    """The box made square, with a margin."""
    half = (box[1] - box[0]).max() / 2 * (1 + MARGIN) or 1.0
    middle = box.mean(0)
    return np.stack([middle - half, middle + half])


def _legend(figure: Figure, shown: Sequence[Panel], marks: _Marks, look: Look) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    found: list[Line2D | Patch] = [
        Line2D(
            *([], []),
            linestyle="",
            marker=mark if isinstance(mark, str) else "o",  # letters are labelled by themselves
            color=colour,
            markeredgewidth=0,
            markersize=7,
        )
        for _, colour, mark, _ in marks.each
    ]
    texts = [label(shortened(name, 18)) for name, *_ in marks.each]
    if any(panel.ellipses is not None for panel in shown) and look.std > 0:
        ring = Line2D([], [], linestyle="", marker="o", color="black", markersize=8)
        ring.set_markerfacecolor("none")
        found.append(ring)
        texts.append(f"q(z | x), {look.std:g} sd")
    if any(panel.prior is not None for panel in shown):
        found.append(Line2D([], [], color="black", linestyle="--", linewidth=1.2))
        texts.append(f"p(z), {' and '.join(f'{100 * mass:.0f}' for mass in MASSES)} %")
    found.append(Patch(facecolor="#efefef", edgecolor="#cccccc"))
    texts.append(f"q(z), {100 * MASSES[-1]:.0f} %")
    figure.legend(found, texts, loc="outside right center", fontsize=10, frameon=False)
