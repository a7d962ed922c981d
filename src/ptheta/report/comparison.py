"""What a comparison holds: everything that the page, the Markdown and the JSON are written from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from ptheta.capabilities import (
    EstimatesPartition,
    HasBound,
    HasChain,
    Samples,
)
from ptheta.data.dataset import Dataset
from ptheta.extractors.base import Extractor
from ptheta.measures.results import Evaluation
from ptheta.models.taxonomy import Path
from ptheta.report.pairs import Pair
from ptheta.report.pictures import Picture
from ptheta.report.ranking import Rank
from ptheta.report.tables import metrics_of
from ptheta.tasks.log_p import known_log_p

FLOORS = ("real images", "real rows")  # the rows of what real examples score
EXACT, DENSITY = "explicit, exact", "explicit, exact density"  # of values; of real numbers
BOUND, ESTIMATE = "explicit, bound", "explicit, estimate"
CHAIN, IMPLICIT, NONE = "implicit, by a chain", "implicit", "none"
UNKNOWN = "not known"  # of images that another program made


@dataclass(frozen=True)
class Measuring:
    """How every row is measured: on n images of each, drawn by one seed.

    extractor: as `ptheta.metrics.evaluate.evaluate` takes it
    anew: whatever earlier evaluations hold
    """

    n: int = 1000
    seed: int = 0
    extractor: str | Extractor | None = None
    anew: bool = False


class Cost(NamedTuple):
    """Of training."""

    seconds: float
    steps: int


@dataclass(frozen=True)
class Measured:
    """A run, or images that another program made, with numbers and pictures.

    path: of either; family, about: what made it; density: one of `DENSITIES`, or that nothing is
    known of it; cost: of a run; curves: of its training, SVG
    taken: the numbers that an earlier evaluation held by the same protocol
    """

    name: str
    path: str
    family: str
    about: str
    evaluation: Evaluation
    density: str
    pictures: list[Picture]
    place: Path = ()
    cost: Cost | None = None
    curves: str = ""
    taken: Sequence[str] = ()


@dataclass(frozen=True)
class Comparison:
    """Everything that a report says.

    groups: the runs of each setting, which differ in their seed alone
    ranked: metric -> the settings over their seeds, best first, where there are several seeds
    pairs: metric -> every two rows that have it
    remarks: of each row, in what it is not comparable to the others
    baselines, floor: what all rows are compared with
    chance: of these the numbers that a row must be better than to be called the best
    """

    measured: list[Measured]
    groups: dict[str, list[Measured]]
    ranked: dict[str, list[Rank]]
    pairs: dict[str, list[Pair]]
    remarks: dict[str, list[str]]
    baselines: dict[str, Evaluation]
    chance: dict[str, Evaluation]
    floor: Evaluation
    test: Dataset
    how: Measuring

    @property
    def runs(self) -> dict[str, Evaluation]:
        return {m.name: m.evaluation for m in self.measured}

    @property
    def others(self) -> dict[str, Evaluation]:
        return {**self.baselines, f"real {self.test.examples}": self.floor}

    @property
    def earlier(self) -> str:
        """A sentence on the rows that use an earlier evaluation; "" where none does."""
        names = [m.name for m in self.measured if m.taken]
        if not names:
            return ""
        return (
            "By the same protocol as an earlier evaluation, whose numbers were not measured again: "
            f"{', '.join(names)}."
        )

    @property
    def metrics(self) -> list[str]:
        """Those of the rows, in the order in which they first appear."""
        return metrics_of(list(self.runs.values()))

    def to_json(self) -> dict[str, object]:
        """What report.json holds."""
        return {
            "real": self.floor.to_json(),
            "baselines": {name: e.to_json() for name, e in self.baselines.items()},
            "runs": {m.name: self._row(m) for m in self.measured},
            "differences": {
                metric: [pair.to_json() for pair in every] for metric, every in self.pairs.items()
            },
            "settings": {
                metric: [row.to_json() for row in rows] for metric, rows in self.ranked.items()
            },
        }

    def _row(self, m: Measured) -> dict[str, object]:
        return {
            "path": m.path,
            "family": m.family,
            "density": m.density,
            "training_seconds": m.cost and round(m.cost.seconds, 1),
            "steps": m.cost and m.cost.steps,
            "remarks": self.remarks[m.name],
            "taken": list(m.taken),
            "evaluation": m.evaluation.to_json(),
        }


def density(model: nn.Module, discrete: bool) -> str:
    """What the model says of p(x). discrete: whether what it is of has values, and no density"""
    if known_log_p(model) is not None:
        return EXACT if discrete else DENSITY
    if isinstance(model, EstimatesPartition):
        return ESTIMATE
    if isinstance(model, HasBound):
        return BOUND
    if isinstance(model, HasChain):
        return CHAIN
    return IMPLICIT if isinstance(model, Samples) else NONE
