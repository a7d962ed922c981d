"""Training curves of a run, and its loss plotted with the quality of its samples.

Curves of different magnitude have separate axes; the value at equilibrium is drawn as a line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ptheta.measures.results import Evaluation
from ptheta.report.comparison import Measured
from ptheta.report.plots import COLOURS, GREY, STYLES, inline, number, stacked
from ptheta.report.references import named
from ptheta.report.text import label, plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# logged columns that are not learning curves
OTHER = {"step", "seconds", "images_per_s", "epoch"}
HELD_OUT = "held_out"  # name part of metrics on held-out examples
GAP = "critic_gap"
ALIKE = 6.0  # maximum ratio of the magnitudes of curves that share an axis
NORM = "gradient_norm"  # not comparable with any loss
FEW = 15  # below this many points, each has a marker

Lines = Sequence[Mapping[str, float]]
Points = list[tuple[float, float]]


class Curve(NamedTuple):
    """name: logged name; reference: value at equilibrium, or the score of real examples"""

    name: str
    points: Points
    reference: float | None = None
    called: str = ""

    @property
    def player(self) -> str:
        return self.name.partition("/")[0]

    @property
    def what(self) -> str:
        return (self.name.partition("/")[2] or self.name).replace("_", " ")

    @property
    def size(self) -> float:
        """Median absolute value."""
        values = sorted(abs(y) for _, y in self.points)
        return values[len(values) // 2]

    @property
    def shares(self) -> bool:
        """Whether all values are between 0 and 1."""
        return all(0 <= y <= 1 for _, y in self.points)

    @property
    def description(self) -> str:
        """Alternative text."""
        (_, first), (step, last) = self.points[0], self.points[-1]
        line = "" if self.reference is None else f", with a line at {self.line}"
        return f"{self.player} {self.what} from {number(first)} to {number(last)} at step " + (
            f"{step:,.0f}{line}"
        )

    @property
    def line(self) -> str:
        """Label of the reference line."""
        assert self.reference is not None
        return self.called or named(self.reference) or number(self.reference)


class Panel(NamedTuple):
    """A plot, as an <svg> element."""

    title: str
    svg: str


def curves_of(m: Measured, real: Evaluation) -> list[Curve]:
    """All logged series with several values. real: the scores of real examples."""
    found: dict[str, Points] = {}
    for line in m.logged:
        for name, value in line.items():
            if name not in OTHER and math.isfinite(value):
                found.setdefault(name, []).append((line["step"], value))
    made = []
    for name, points in found.items():
        reference, called = m.references.get(name), ""
        if name.startswith(f"{HELD_OUT}/") and (r := real.get(name.partition("/")[2])):
            reference, called = r.value, "real"
        if len(points) > 1:
            made.append(Curve(name, points, reference, called))
    return made


def panels(curves: Sequence[Curve], colour: str) -> list[Panel]:
    """All curves: one plot for each group of curves of one player with similar magnitude."""
    players: dict[str, list[Curve]] = {}
    for curve in curves:
        players.setdefault(curve.player, []).append(curve)
    return [
        Panel(_title(player, group), _plot([group], colour))
        for player, own in players.items()
        for group in grouped(own)
    ]


def _title(player: str, group: Sequence[Curve]) -> str:
    return f"{player.replace('_', ' ')}: {', '.join(curve.what for curve in group)}"


def grouped(curves: Sequence[Curve]) -> list[list[Curve]]:
    """Groups of curves that can share an axis: fractions, or similar magnitudes. Gradient norms get
    their own axis."""
    groups: list[list[Curve]] = []
    for curve in curves:
        fitting = (group for group in groups if all(_fit(curve, other) for other in group))
        group = next(fitting, None)
        if group is None:
            groups.append([curve])
        else:
            group.append(curve)
    return groups


def _fit(a: Curve, b: Curve) -> bool:
    if NORM in (a.what.replace(" ", "_"), b.what.replace(" ", "_")):
        return False
    if a.shares or b.shares:
        return a.shares and b.shares
    small, large = sorted((a.size, b.size))
    return large <= ALIKE * small


def story(curves: Sequence[Curve], colour: str) -> Panel | None:
    """Losses, the critic gap and the held-out quality on one time axis; None if quality was not
    measured during training."""
    quality = [c for c in curves if c.player == HELD_OUT][:1]
    if not quality:
        return None
    gaps = [c for c in curves if c.name.endswith(f"/{GAP}")][:1]
    losses: dict[str, Curve] = {}
    for curve in curves:
        if curve.player != HELD_OUT:
            losses.setdefault(curve.player, curve)
    rows = [[curve] for curve in (*losses.values(), *gaps, *quality)]
    title = "Loss, critic gap and quality" if gaps else "Loss and quality"
    return Panel(title, _plot(rows, colour, named_axes=True))


@plain_text()
def _plot(rows: Sequence[Sequence[Curve]], colour: str, *, named_axes: bool = False) -> str:
    """Groups of curves, stacked, over training steps. named_axes: label the axes."""
    height = 1.25 * len(rows) + 0.5 if named_axes else 2.4
    figure, axes = stacked(len(rows), 4.4 if named_axes else 3.3, height)
    for axis, group in zip(axes, rows, strict=True):
        _curves(axis, group, colour)
        if named_axes:
            first = group[0]
            text = first.what if first.player == HELD_OUT else f"{first.player}\n{first.what}"
            axis.set_ylabel(text, fontsize=8)
        elif len(group) > 1:
            axis.legend(fontsize=7, frameon=False)
    axes[-1].set_xlabel("step", fontsize=8)
    description = "; ".join(curve.description for group in rows for curve in group)
    return inline(figure, description)


def tick(value: float, position: object = None) -> str:
    """Label of a tick, with enough digits to differ from its neighbours."""
    text = number(value, 3)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def _curves(axis: Axes, group: Sequence[Curve], colour: str) -> None:
    for i, curve in enumerate(group):
        axis.plot(
            *zip(*curve.points, strict=True),
            STYLES[i % len(STYLES)],
            color=colour if i < len(STYLES) else COLOURS[i % len(COLOURS)],
            alpha=max(0.4, 1 - 0.3 * i),
            marker="o" if len(curve.points) < FEW else None,
            markersize=3,
            label=label(curve.what),
        )
    lines = {c.reference: c.line for c in group if c.reference is not None}
    for value, text in lines.items():
        axis.axhline(value, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axis.annotate(
            text,
            (1, value),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            fontsize=7,
            va="center",
        )
    axis.tick_params(labelsize=7)
    axis.yaxis.set_major_formatter(tick)
    axis.spines[["top", "right"]].set_visible(False)
