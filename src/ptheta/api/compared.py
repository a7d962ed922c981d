"""Outputs of a model for test images, with their scores and those of baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ptheta.api.grid import Block, Grid
from ptheta.measures.intervals import Difference
from ptheta.measures.results import Estimate
from ptheta.tasks.denoise.score import MEASURES, MODEL, Scored, better, ends


@dataclass(frozen=True)
class Comparison:
    """title: what is compared, such as "test images"; about: the same as JSON
    scores: of the model, then of the baselines
    """

    title: str
    about: Mapping[str, object]
    scores: tuple[Scored, ...]

    @property
    def model(self) -> Scored:
        return self.scores[0]

    def better(self) -> dict[str, dict[str, Difference]]:
        """The baselines that are significantly better than the model, with the measures."""
        found = {floor.name: better(floor, self.model) for floor in self.scores[1:]}
        return {name: apart for name, apart in found.items() if apart}

    def rows(self, called: str) -> list[list[str]]:
        """The table with column heads. called: name of the model."""
        there = list(self.model.values)
        heads = [f"{name.upper()}{unit and f', {unit}'}" for name, unit in map(_unit, there)]
        rows = [
            [
                ", ".join(filter(None, (called if one.name == MODEL else one.name, one.note))),
                *(_text(name, one.values[name]) for name in there),
            ]
            for one in self.scores
        ]
        return [["", *heads], *rows]

    def verdict(self, called: str) -> list[str]:
        """A line for each baseline that is better, with the measure."""
        return [
            f"{floor} is better than {called}: {name.upper()} by {_apart(name, gap)}"
            for floor, gaps in self.better().items()
            for name, gap in gaps.items()
        ]

    def first(self, n: int) -> Comparison:
        """The same scores, with only the first n output images."""
        kept = tuple(replace(one, images=one.images[:n].clone()) for one in self.scores)
        return replace(self, scores=kept)

    def to_json(self) -> dict[str, object]:
        return {
            **self.about,
            "scores": {one.name: one.to_json() for one in self.scores},
            "better_than_model": {
                floor: {
                    name: {"value": gap.value, "interval_95": [gap.low, gap.high]}
                    for name, gap in gaps.items()
                }
                for floor, gaps in self.better().items()
            },
        }


def _unit(name: str) -> tuple[str, str]:
    return name, MEASURES[name].unit


def _text(name: str, found: Estimate) -> str:
    """A mean with its interval, as text."""
    assert found.value is not None
    places, sides = MEASURES[name].places, ends(found)
    value = f"{found.value:.{places}f}"
    if sides is None:
        return value
    return f"{value} ({sides[0]:.{places}f} to {sides[1]:.{places}f})"


def _apart(name: str, gap: Difference) -> str:
    places = MEASURES[name].places
    return (
        f"{gap.value:.{places}f}{MEASURES[name].unit and f' {MEASURES[name].unit}'} "
        f"({gap.low:.{places}f} to {gap.high:.{places}f})"
    )


@dataclass(frozen=True, repr=False)
class Compared(Grid):
    """A grid of some images, with the scores of all evaluated ones.

    called: name of the model; measured: number of images evaluated; remarks: lines on how it was
        done
    """

    called: str = MODEL
    measured: int = 0
    comparisons: tuple[Comparison, ...] = field(default=(), repr=False)
    remarks: tuple[str, ...] = ()

    def blocks(self) -> list[Block]:
        """The tables of all comparisons, and the remarks."""
        tables = [
            Block(one.title, one.rows(self.called), one.verdict(self.called))
            for one in self.comparisons
        ]
        return [*tables, Block(lines=self.remarks)]

    def to_json(self) -> dict[str, object]:
        return {
            "model": self.called,
            "images": self.measured,
            "results": [one.to_json() for one in self.comparisons],
            "measures": {name: measure.about for name, measure in MEASURES.items()},
            "remarks": list(self.remarks),
            "path": None if self.path is None else str(self.path),
        }
