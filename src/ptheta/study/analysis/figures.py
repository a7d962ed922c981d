"""The plots of an analysis as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ptheta.report.plots import COLOURS, GREY, inline, number, panels
from ptheta.report.text import label, plain_text
from ptheta.study.analysis.analyse import Analysis
from ptheta.study.analysis.estimates import Estimate
from ptheta.study.files import HYPE_TIME

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 6.4  # inches
LONGEST = 24  # characters of a name in a plot


class Figure(NamedTuple):
    svg: str
    caption: str


def main_figure(found: Analysis) -> Figure | None:
    """The number of each source with its interval."""
    if found.protocol == HYPE_TIME:
        known = [(t.source, t.ms) for t in found.thresholds if t.ms is not None]
        return _dots(known, "exposure, ms", None) if known else None
    if found.preferences is not None:
        named = [(s.name, s.strength) for s in found.preferences.strengths]
        return _dots(named, "strength, log-odds", 0.0)
    if found.ratings:
        return _dots([(r.name, r.mean) for r in found.ratings], "mean rating", None)
    named = [(r.name, r.both) for r in found.rates if r.both.n]
    return _dots(named, "errors, %", 50.0, scale=100) if named else None


@plain_text()
def _dots(
    named: Sequence[tuple[str, Estimate]], axis_label: str, chance: float | None, scale: float = 1
) -> Figure:
    """One line for each source, best on top."""
    figure, (axis,) = panels(1, WIDTH, 0.9 + 0.34 * len(named))
    said = []
    for place, (name, one) in enumerate(reversed(named)):
        between = "interval unknown"
        if one.interval is not None:
            low, high = (scale * end for end in one.interval)
            axis.plot([low, high], [place, place], color=COLOURS[0], linewidth=2)
            between = f"{number(low)} to {number(high)}"
        axis.plot([scale * one.value], [place], "o", color=COLOURS[0], markersize=7)
        said.append(f"{name} {number(scale * one.value)} ({between})")
    if chance is not None:
        axis.axvline(chance, color=GREY, linestyle="--", linewidth=1)
    names = [label(_short(name)) for name, _ in reversed(named)]
    axis.set_yticks(range(len(named)), names, fontsize=9)
    _plain(axis, axis_label)
    caption = "Dots: estimates; lines: 95 % intervals."
    if chance == 50:
        caption += " Dashed: people who guess."
    return Figure(inline(figure, f"{axis_label}: {'; '.join(reversed(said))}"), caption)


@plain_text()
def learning_figure(found: Analysis) -> Figure | None:
    """Errors in fifths of the trials."""
    if found.learning is None or found.protocol == HYPE_TIME:
        return None
    figure, (axis,) = panels(1, 4.2, 2.8)
    parts = [one for one in found.learning.parts if one.n]
    said = []
    for place, one in enumerate(parts, 1):
        if one.interval is not None:
            low, high = (100 * end for end in one.interval)
            axis.plot([place, place], [low, high], color=COLOURS[0], linewidth=2)
        said.append(f"{number(100 * one.value)} %")
    axis.plot(range(1, len(parts) + 1), [100 * one.value for one in parts], "o-", color=COLOURS[0])
    axis.set_ylim(bottom=0)
    axis.set_xticks(range(1, len(parts) + 1))
    _plain(axis, "fifth of the trials of a person")
    axis.set_ylabel("errors, %", fontsize=9)
    return Figure(
        inline(figure, f"Errors in fifths of the trials: {', '.join(said)}"),
        "Errors over the trials, with 95 % intervals.",
    )


@plain_text()
def agreement_figure(found: Analysis) -> Figure | None:
    """People against the metric that agrees best."""
    if not found.agreements:
        return None
    best = max(found.agreements, key=lambda one: one.tau)
    figure, (axis,) = panels(1, 4.2, 3.2)
    said = []
    for i, (name, (human, value)) in enumerate(best.values.items()):
        axis.plot([value], [human], "o", color=COLOURS[i % len(COLOURS)], markersize=7)
        axis.annotate(
            _short(name), (value, human), textcoords="offset points", xytext=(7, 4), fontsize=9
        )
        said.append(f"{name}: {number(value)}, {number(human)}")
    axis.margins(0.2)
    _plain(axis, best.metric)
    axis.set_ylabel("people", fontsize=9)
    return Figure(
        inline(figure, f"People over {best.metric}. {'; '.join(said)}"),
        f"People (higher is better) over {best.metric} ({best.better} is better).",
    )


def _plain(axis: Axes, text: str) -> None:
    axis.set_xlabel(text, fontsize=9)
    axis.tick_params(labelsize=9)
    axis.spines[["top", "right"]].set_visible(False)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
