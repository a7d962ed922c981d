"""Plots as inline SVG, and image grids as inline PNG: the report is one file."""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from ptheta.files.html import png_uri
from ptheta.files.images import grid, to_png
from ptheta.report.text import label, plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (
    *("#3b6fb6", "#d1603d", "#3d9a6b", "#8a5fb0", "#b8963e", "#5b7083"),
    *("#c0567f", "#4aa3a3", "#2f4b7c", "#8f9a2e", "#e08e3c", "#7a5a46"),
)
GREY = "#9aa5b1"
FEW = 5  # up to this many points are labelled directly; more get a legend
GROUP = re.compile(r'<g id="[^"]*"')
COLOUR = re.compile(r"(stroke|fill): (#[0-9a-f]{6})\b")
LEGIBLE = 0.75  # of its size, below which a figure on a narrow page is scrolled
STYLES = ("-", "--", ":", "-.")


def picture(
    x: Tensor,
    columns: int,
    width: int = 448,
    captions: Sequence[str] = (),
    headings: Sequence[str] = (),
) -> str:
    """Image batch (N, C, H, W) as a data URI about `width` pixels wide, enlarged by an integer
    factor. captions, headings: texts of the rows and columns."""
    canvas = grid(x, columns, gap=1, background=128)
    scale = max(1, round(width / canvas.shape[1]))
    return png_uri(to_png(canvas, scale, captions=captions, headings=headings))


def panels(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with `count` plots side by side. width, height: of the figure, inches."""
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def stacked(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with `count` stacked plots that share an axis. width, height: of the figure,
    inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(count, 1, squeeze=False, sharex=True)[:, 0])


class Point(NamedTuple):
    """error: standard error of y"""

    name: str
    x: float
    y: float
    error: float = 0.0


@plain_text()
def scatter(
    points: Sequence[tuple[str, float, float, float]],
    x_label: str,
    y_label: str,
    *,
    log: bool = True,
    grey: Collection[str] = (),
) -> str:
    """Named points (name, x, y, error of y) on logarithmic axes, or on axes from 0 to 1.

    grey: names of the points that are not models
    """
    from matplotlib.ticker import LogLocator

    few = len(points) <= FEW
    figure, (axis,) = panels(1, 4.6, 3.2 if few else 4.0)
    _points(axis, [Point(*point) for point in points], grey, named=few)
    if not few:
        figure.legend(loc="outside lower center", fontsize=8, frameon=False, ncols=3)
    if log:
        axis.set_xscale("log")
    if log and all(y > 0 for _, _, y, _ in points):
        axis.set_yscale("log")
        # within a decade a log axis would have at most one tick label
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_formatter(plain_number)
        side.set_minor_formatter("")
    axis.margins(0.25)
    if not log:
        axis.set(xlim=(0, 1.02), ylim=(0, 1.02))
    axis.set_xlabel(x_label, fontsize=9)
    axis.set_ylabel(y_label, fontsize=9)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    values = "; ".join(f"{name}: {number(x)}, {number(y)}" for name, x, y, _ in points)
    return inline(figure, f"{y_label} over {x_label}. {values}")


def _points(axis: Axes, points: Sequence[Point], grey: Collection[str], named: bool) -> None:
    """named: label the points directly"""
    shapes = iter("sD^vP*")
    for i, p in enumerate(points):
        colour, shape = COLOURS[i % len(COLOURS)], "o"
        if p.name in grey:
            colour, shape = GREY, next(shapes, "s")
        axis.errorbar(
            *(p.x, p.y),
            yerr=p.error,
            fmt=shape,
            color=colour,
            markersize=7,
            capsize=3,
            label=label(p.name),
        )
        if named:
            axis.annotate(p.name, (p.x, p.y), textcoords="offset points", xytext=(8, 5), fontsize=9)


def inline(figure: Figure, about: str) -> str:
    """The figure as an <svg> element, in the colours of the page's scheme; deterministic. about:
    alternative text. `--least` is the width down to which it can be read, for pages that scroll."""
    least = LEGIBLE * 72 * figure.get_figwidth()
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(
        "<svg", f'<svg role="img" aria-label="{_label(about)}" style="--least: {least:.0f}pt"', 1
    )
    text = GROUP.sub("<g", text)  # ids would clash on a page with several figures
    return COLOUR.sub(_scheme, text)


def _label(about: str) -> str:
    return html.escape(" ".join(about.split()))


def _scheme(found: re.Match[str]) -> str:
    """Replaces a colour by a CSS variable, for dark mode."""
    how, colour = found.groups()
    if colour == "#000000":
        return f"{how}: currentColor"
    which = "grey" if colour == GREY else str(COLOURS.index(colour)) if colour in COLOURS else ""
    return f"{how}: var(--plot-{which}, {colour})" if which else found.group()


def plain_number(value: float, position: object = None) -> str:
    """Label of an axis tick: two digits, without zeros at the end of a fraction."""
    text = number(value, 2)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def number(value: float, digits: int = 3) -> str:
    """Formats a number: 1,234 or 0.0123, never 1e+04."""
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size >= digits - 1:
        return f"{round(value, digits - 1 - size):,.0f}"
    return f"{value:.{digits - 1 - size}f}" if size > -6 else f"{value:.{digits - 1}e}"
