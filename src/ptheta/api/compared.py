"""Images that a model makes of test images, with how good they are beside what needs no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ptheta.api.grid import Block, Grid
from ptheta.measures.intervals import Difference
from ptheta.measures.results import Estimate
from ptheta.tasks.denoise.score import MEASURES, MODEL, Scored, better, ends


@dataclass(frozen=True)
class Comparison:
    """title: what is compared, such as "test images"; told: the same for programs
    scores: of the model, and then of the floors
    """

    title: str
    about: Mapping[str, object]
    scores: tuple[Scored, ...]

    @property
    def model(self) -> Scored:
        return self.scores[0]

    def better(self) -> dict[str, dict[str, Difference]]:
        """The floors that are above the model by more than chance, with the measures in which."""
        found = {floor.name: better(floor, self.model) for floor in self.scores[1:]}
        return {name: apart for name, apart in found.items() if apart}

    def rows(self, called: str) -> list[list[str]]:
        """The table with its heads. called: what the model is"""
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
        """A line on each floor that wins, and in what."""
        return [
            f"{floor} is better than {called}: {name.upper()} by {_apart(name, gap)}"
            for floor, gaps in self.better().items()
            for name, gap in gaps.items()
        ]

    def first(self, n: int) -> Comparison:
        """With the first n of the images that were made; the numbers stay those of all."""
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
    """A mean with its interval, for a reader."""
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
    """A picture of some images, and the numbers of all that were measured.

    called: the name of the model; measured: how many images; remarks: lines on how it was done
    """

    called: str = MODEL
    measured: int = 0
    comparisons: tuple[Comparison, ...] = field(default=(), repr=False)
    remarks: tuple[str, ...] = ()

    def blocks(self) -> list[Block]:
        """The table of each comparison, and the remarks."""
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
