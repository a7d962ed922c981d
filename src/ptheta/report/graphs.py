"""Drawings of graphical models, in the usual notation."""

from __future__ import annotations

import io
from collections.abc import Mapping

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from ptheta.models.graph import Arrow, Graph, Variable

RADIUS = 0.32
ACROSS, DOWN = 2.3, 1.35  # between the centres of two variables
OUTSIDE = 0.45  # vertical offset of a variable for each plate that it is outside of
BEND = -0.35  # of a line of inference, as a share of its length
LETTER = 0.042  # width of a letter below a variable
MARGIN = 0.28  # margin of a plate around its contents, per nested plate
FILLS = {"observed": "#d5dbe3", "latent": "white", "deterministic": "white", "given": "#f2ead3"}
INK, INFERENCE, GREY = "#222222", "#b0413e", "#555555"

Place = tuple[float, float]


def places(graph: Graph) -> dict[str, Place]:
    """Positions of the variables: parents to the left, equal depths in one column."""
    depth: dict[str, int] = {}
    for name in graph.order():
        depth[name] = max((depth[p] + 1 for p in graph.parents(name)), default=0)
    for name in graph.order(
        "inference"
    ):  # variables reached only by inference go before their target
        alone = not graph.parents(name) and not any(a.source == name for a in graph.arrows)
        depth[name] = 0 if alone else depth[name]
    found = {}
    for level in sorted(set(depth.values())):
        column = [v for v in graph.variables if depth[v.name] == level]
        column.sort(key=lambda v: len(v.plates))  # variables outside of a plate go above it
        deepest = max(len(v.plates) for v in graph.variables)
        for row, variable in enumerate(column):
            outside = OUTSIDE * (deepest - len(variable.plates))
            height = ((len(column) - 1) / 2 - row) * DOWN + outside
            found[variable.name] = (level * ACROSS, height)
    return found


def draw(graph: Graph, suffix: str = ".svg") -> bytes:
    """The drawing as bytes in this format (.svg, .png or .pdf).

    Shaded circles are observed variables, open ones latent, double ones deterministic, tinted ones
    conditions; dashed red arrows are inference.
    """
    at = places(graph)
    xs, ys = zip(*at.values(), strict=True)
    below = max([1.15, *(_sag(arrow, at) + 0.35 for arrow in graph.arrows)])
    side = max([1.3, *(LETTER * len(v.what) / 2 + 0.4 for v in graph.variables)])
    width, height = max(xs) - min(xs) + 2 * side, max(ys) - min(ys) + 1.05 + below
    figure = Figure(figsize=(1.1 * width, 1.1 * height))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(min(xs) - side, max(xs) + side)
    axes.set_ylim(min(ys) - below, max(ys) + 1.05)
    axes.set_aspect("equal")
    axes.axis("off")
    _plates(axes, graph, at)
    for arrow in graph.arrows:
        _arrow(axes, arrow, at)
    for variable in graph.variables:
        _variable(axes, variable, at[variable.name])
    out = io.BytesIO()
    # without a date, so that the same graph is the same file
    about = {"Date": None} if suffix == ".svg" else None
    with rc_context({"svg.hashsalt": "ptheta"}):
        figure.savefig(out, format=suffix.removeprefix("."), metadata=about, dpi=160)
    return out.getvalue()


def _variable(axes: Axes, variable: Variable, place: Place) -> None:
    axes.add_patch(Circle(place, RADIUS, fc=FILLS[variable.role], ec=INK, lw=1.2, zorder=3))
    if variable.role == "deterministic":
        axes.add_patch(Circle(place, RADIUS - 0.05, fc="none", ec=INK, lw=0.8, zorder=3))
    x, y = place
    axes.text(x, y, f"${variable.name}$", ha="center", va="center", fontsize=13, zorder=4)
    axes.text(x, y - RADIUS - 0.04, variable.what, ha="center", va="top", fontsize=6.5, color=INK)


def _arrow(axes: Axes, arrow: Arrow, at: Mapping[str, Place]) -> None:
    infers = arrow.part == "inference"
    colour, bend = (INFERENCE, BEND) if infers else (INK, 0.0)
    line = FancyArrowPatch(
        at[arrow.source],
        at[arrow.target],
        arrowstyle="-|>",
        mutation_scale=11,
        shrinkA=26,
        shrinkB=26,
        color=colour,
        linestyle="--" if infers else "-",
        connectionstyle=f"arc3,rad={bend}",
        zorder=2,
    )
    axes.add_patch(line)
    if arrow.law:
        (x0, y0), (x1, y1) = at[arrow.source], at[arrow.target]
        # a bent line passes half-way to its control point
        x = (x0 + x1) / 2 + bend / 2 * (y1 - y0)
        y = (y0 + y1) / 2 - bend / 2 * (x1 - x0)
        back = {"fc": "white", "ec": "none", "pad": 0.6}
        text = axes.text(x, y, arrow.law, ha="center", va="center", bbox=back, zorder=2.5)
        text.set(fontsize=6.5, color=colour)


def _sag(arrow: Arrow, at: Mapping[str, Place]) -> float:
    """How far a bent line hangs below its ends."""
    across = at[arrow.source][0] - at[arrow.target][0]
    return -BEND / 2 * across if arrow.part == "inference" else 0.0


def _plates(axes: Axes, graph: Graph, at: Mapping[str, Place]) -> None:
    """Draws the innermost plates first, since each outer one depends on those inside."""
    names = list(dict.fromkeys(p for v in graph.variables for p in v.plates))
    inside = {name: [v for v in graph.variables if name in v.plates] for name in names}
    for name in names:
        deeper = max(len(v.plates) - 1 - v.plates.index(name) for v in inside[name])
        pad = RADIUS + MARGIN + 0.16 * deeper
        wide = [max(pad, LETTER * len(v.what) / 2 + 0.16 * (deeper + 1)) for v in inside[name]]
        xs, ys = zip(*(at[v.name] for v in inside[name]), strict=True)
        left = min(x - w for x, w in zip(xs, wide, strict=True))
        right = max(x + w for x, w in zip(xs, wide, strict=True))
        corner = (left, min(ys) - pad - 0.14)
        box = FancyBboxPatch(
            corner,
            right - left,
            max(ys) - min(ys) + 2 * pad + 0.14,
            boxstyle="round,pad=0,rounding_size=0.12",
            fc="none",
            ec="#777777",
            lw=0.9,
            zorder=1,
        )
        axes.add_patch(box)
        axes.text(
            right - 0.06, corner[1] + 0.03, name, ha="right", va="bottom", fontsize=6.5, color=GREY
        )
