"""Pictures of vectors: points with their marginals, and contours of a density if there is one."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from ptheta.files.atomic import SOFTWARE
from ptheta.specs import Column, VectorSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LogDensity = Callable[[Tensor], Tensor]  # float32 (N, D) -> (N,) nats

SHOWN = 5  # columns of a table that are drawn against one another
SIDE = 1.9  # of such a panel, inches
DPI = 110
DRAWN, REAL, LINES = "#3b6fb6", "#9aa5b1", "#b04a2f"
CELLS = 160  # of the grid of a density, to a side
BINS = 60
MASSES = (0.95, 0.75, 0.5, 0.25)  # shares of the mass that the contours hold
MOST_WORDS = 12  # of a category, along an axis; of more, every second, third, ... is named
SLANTED = 8  # of these, no more than which are slanted under an axis, not upright
TICKS = 4  # intervals of numbers along the side of a panel
WORD = 9  # letters of a word, likewise
JITTER = 0.28  # of cells that are words, which would else lie on one another


@dataclass(frozen=True)
class Scatter:
    """Vectors to plot.

    x: float32 (N, D); real: others to plot behind them, such as the data
    log_density: log-density of the model in one or two dimensions, plotted as a curve or contours
    names: names of real and of x, for the legend
    """

    spec: VectorSpec
    x: Tensor
    real: Tensor | None = None
    log_density: LogDensity | None = None
    names: tuple[str, str] = ("data", "model")

    def png(self) -> bytes:
        """The picture."""
        with _style():
            return _saved(_PICTURES.get(self.spec.dims, _matrix)(self))

    def column(self, k: int) -> tuple[Column, np.ndarray, np.ndarray | None]:
        """A column, its cells in x and in real, missing ones left out."""
        real = None if self.real is None else _there(self.real[:, k])
        return self.spec.columns[k], _there(self.x[:, k]), real

    def limits(self, k: int) -> tuple[float, float]:
        """The range of a column's axis: all real cells, and nearly all of the others."""
        column, x, real = self.column(k)
        if column.values:
            return -0.6, column.width - 0.4
        # a model that is off must not be cut off, and one point must not rule
        ends = [np.quantile(some, (0.005, 0.995)) for some in (x[np.isfinite(x)],) if len(some)]
        if real is not None and len(real):
            ends.append(np.array([real.min(), real.max()]))
        low = min((float(at[0]) for at in ends), default=0.0)
        high = max((float(at[1]) for at in ends), default=0.0)
        margin = 0.06 * (high - low) or 0.5
        return low - margin, high + margin


# -- one, two or more columns


def _line(of: Scatter) -> Figure:
    """One number: a histogram, with the density over it."""
    figure = _figure(5.0, 3.2)
    axis = figure.subplots()
    _marginal(axis, of, 0)
    if of.log_density is not None and of.spec.columns[0].continuous:
        at = torch.linspace(*of.limits(0), 8 * CELLS)
        with torch.no_grad():
            p = of.log_density(at[:, None]).double().exp()
        axis.plot(at.numpy(), p.numpy(), color=LINES, lw=1.4, label="density of the model")
    axis.set_xlabel(_short(of.spec.columns[0].name, 40))
    axis.legend(frameon=False, fontsize=8)
    return figure


def _plane(of: Scatter) -> Figure:
    """Two columns: a scatter plot with contours, and the marginals at its sides."""
    figure = _figure(5.0, 5.0)
    axes = figure.subplots(
        2, 2, sharex="col", gridspec_kw={"width_ratios": (4, 1), "height_ratios": (1, 4)}
    )
    (top, corner), (plane, right) = axes
    corner.set_axis_off()
    _points(plane, of, 0, 1, size=5.0)
    _contours(plane, of)
    _marginal(top, of, 0)
    _marginal(right, of, 1, upright=True)
    right.set_ylim(plane.get_ylim())
    for axis in (top, right):
        axis.set_axis_off()
    _named(plane, of, 0, 1)
    handles, names = plane.get_legend_handles_labels()
    corner.legend(handles, names, frameon=False, fontsize=7, loc="center", markerscale=2)
    return figure


def _matrix(of: Scatter) -> Figure:
    """Columns against one another, with the marginals on the diagonal."""
    k = min(of.spec.dims, SHOWN)
    figure = _figure(SIDE * k, SIDE * k)
    axes = figure.subplots(k, k, squeeze=False)
    for i in range(k):
        for j in range(k):
            axis = axes[i][j]
            if j > i:
                axis.set_axis_off()
            elif i == j:
                _marginal(axis, of, i)
                axis.set_yticks([])
            else:
                _points(axis, of, j, i, size=3.0)
            _edges(axis, of, i, j, k)
    names, handles = axes[0][0].get_legend_handles_labels()[::-1]
    note = f"the first {k} of {of.spec.dims} columns" if of.spec.dims > k else ""
    figure.legend(handles, names, frameon=False, fontsize=8, loc="upper right", title=note or None)
    return figure


_PICTURES: dict[int, Callable[[Scatter], Figure]] = {1: _line, 2: _plane}


# -- parts of a picture


def _marginal(axis: Axes, of: Scatter, k: int, *, upright: bool = False) -> None:
    """How the cells of a column are distributed: bars for words, else a histogram."""
    column, x, real = of.column(k)
    low, high = of.limits(k)
    along: Literal["horizontal", "vertical"] = "horizontal" if upright else "vertical"
    edges = np.arange(column.width + 1) - 0.5 if column.values else _edges_of(column, low, high)
    for cells, colour, name in ((real, REAL, of.names[0]), (x, DRAWN, of.names[1])):
        if cells is None or not len(cells):
            continue
        axis.hist(
            cells,
            edges.tolist(),
            density=True,
            orientation=along,
            rwidth=0.8 if column.values else None,
            color=colour,
            alpha=0.55,
            label=name,
        )
    if not upright:
        axis.set_xlim(low, high)


def _edges_of(column: Column, low: float, high: float) -> np.ndarray:
    """Edges of the histogram bars: around whole numbers if there are few of them."""
    if column.whole and high - low <= BINS:
        return np.arange(np.floor(low), np.ceil(high) + 1) - 0.5
    return np.linspace(low, high, BINS + 1)


def _points(axis: Axes, of: Scatter, i: int, j: int, *, size: float) -> None:
    """Column j over column i."""
    rng = np.random.default_rng(0)
    for x, colour, name in ((of.real, REAL, of.names[0]), (of.x, DRAWN, of.names[1])):
        if x is None:
            continue
        a, b = (_spread(of.spec.columns[k], x[:, k].double().numpy(), rng) for k in (i, j))
        axis.scatter(a, b, s=size, color=colour, alpha=0.7, linewidths=0, label=name)
    axis.set_xlim(of.limits(i))
    axis.set_ylim(of.limits(j))


def _spread(column: Column, cells: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cells of words apart from one another."""
    return cells + rng.uniform(-JITTER, JITTER, len(cells)) if column.values else cells


def _contours(axis: Axes, of: Scatter) -> None:
    """Lines that hold shares of the model's mass."""
    if of.log_density is None or not all(column.continuous for column in of.spec.columns):
        return
    a, b = (torch.linspace(*of.limits(k), CELLS) for k in (0, 1))
    points = torch.cartesian_prod(a, b)
    with torch.no_grad():
        log_p = torch.cat([of.log_density(part).double() for part in points.tensor_split(16)])
    most = log_p.max()
    if log_p.isnan().any() or most == math.inf:  # drawn as a hole it would be overlooked
        axis.plot([], [], color=LINES, lw=0.8, label="density: not a number")
        return
    if most == -math.inf:  # all of the mass lies elsewhere
        return
    # of a sharp density exp would be infinite: only its shares are drawn
    p = (log_p - most).exp().view(CELLS, CELLS).T.numpy()
    falling = np.sort(p.flatten())[::-1]
    share = np.cumsum(falling) / max(falling.sum(), 1e-300)
    at = np.minimum(np.searchsorted(share, MASSES), p.size - 1)
    levels = sorted(set(falling[at].tolist()))
    if len(levels) > 1 and levels[0] > 0:
        axis.contour(a.numpy(), b.numpy(), p, levels, colors=LINES, linewidths=0.8)
        axis.plot([], [], color=LINES, lw=0.8, label="model's density")


def _edges(axis: Axes, of: Scatter, i: int, j: int, k: int) -> None:
    """Show labels and ticks only at the outer edges of a matrix of panels."""
    column = of.spec.columns[j]
    if i == k - 1:
        axis.set_xlabel(_short(column.name, 16), fontsize=8)
    if j == 0 and i > 0:
        axis.set_ylabel(_short(of.spec.columns[i].name, 16), fontsize=8)
    if not column.values:
        axis.locator_params("x", nbins=TICKS)
    if i != j and not of.spec.columns[i].values:
        axis.locator_params("y", nbins=TICKS)
    _words(axis, of, j, i if i != j else None)
    axis.tick_params(labelsize=6, labelbottom=i == k - 1, labelleft=j == 0 and i > 0)


def _named(axis: Axes, of: Scatter, i: int, j: int) -> None:
    axis.set_xlabel(_short(of.spec.columns[i].name, 40))
    axis.set_ylabel(_short(of.spec.columns[j].name, 40))
    _words(axis, of, i, j)


def _words(axis: Axes, of: Scatter, across: int, up: int | None) -> None:
    """Label ticks with words instead of their numbers."""
    columns = of.spec.columns
    if words := columns[across].values:
        rotation = 30 if len(words) <= SLANTED else 90
        axis.set_xticks(*_ticks(words), rotation=rotation)
    if up is not None and (words := columns[up].values):
        axis.set_yticks(*_ticks(words))


def _ticks(words: tuple[str, ...]) -> tuple[range, list[str]]:
    """Positions and labels of the ticks of words."""
    at = range(0, len(words), -(-len(words) // MOST_WORDS))
    return at, [_short(words[k], WORD) for k in at]


def _there(cells: Tensor) -> np.ndarray:
    return cells[~cells.isnan()].double().numpy()


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", dpi=DPI)


def _saved(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": SOFTWARE})
    return buffer.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    """Escape a text, so that `$` in a column name does not start a formula."""
    from matplotlib import rc_context

    with rc_context(
        {"text.parse_math": False, "axes.spines.top": False, "axes.spines.right": False}
    ):
        yield
