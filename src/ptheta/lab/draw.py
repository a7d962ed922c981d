"""Figures of the lab: small axes in the colours of the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from torch import Tensor

from ptheta.lab.parts import Picture
from ptheta.report.plots import COLOURS, GREY, inline, panels

Values = np.ndarray | Tensor | Sequence[float]


def figure(
    draw: Callable[[Sequence[Axes]], None],
    about: str,
    *,
    count: int = 1,
    width: float = 4.6,
    height: float = 3.2,
) -> Picture:
    """A figure of plots side by side, drawn as an `<svg>` element when the page is written.

    Args:
        draw: Draws into the axes.
        about: What the figure shows, for readers who cannot see it.
        count: Number of plots.
        width: Of the whole, in inches.
        height: Of the whole, in inches.
    """

    def drawn() -> str:
        # text as text, which takes the colour of the page in dark mode
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "ptheta"}):
            whole, axes = panels(count, width, height)
            for axis in axes:
                axis.tick_params(labelsize=8)
                axis.spines[["top", "right"]].set_visible(False)
            draw(axes)
            return inline(whole, about)

    return drawn


def label(axis: Axes, x: str, y: str, title: str = "") -> None:
    """The names of the axes, and a title."""
    axis.set_xlabel(x, fontsize=9)
    axis.set_ylabel(y, fontsize=9)
    axis.set_title(title, fontsize=9)


def square(axis: Axes, limit: float, *, grid: bool = True) -> None:
    """Axes from -limit to limit of equal scale, with lines through 0."""
    axis.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    if grid:
        axis.axhline(0, color=GREY, lw=0.6)
        axis.axvline(0, color=GREY, lw=0.6)


__all__ = ["COLOURS", "GREY", "figure", "label", "square"]
