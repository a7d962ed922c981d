"""The contents of a comparison, from which the page, the Markdown and the JSON are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import nn

from ptheta.capabilities import (
    EstimatesLogProb,
    EstimatesPartition,
    HasBound,
    HasChain,
    Samples,
)
from ptheta.extractors.base import Extractor
from ptheta.measures.results import Evaluation, direction_of
from ptheta.models.taxonomy import Path
from ptheta.report.chance import blind
from ptheta.report.pairs import Pair, pairs
from ptheta.report.pictures import Picture
from ptheta.report.ranking import Rank, rank
from ptheta.report.summary import summary
from ptheta.report.tables import metrics_of
from ptheta.tasks.log_p import known_log_p
from ptheta.training.group import CPU

FLOORS = ("real images", "real rows")  # rows with the scores of real examples
EXACT, DENSITY = "explicit, exact", "explicit, exact density"  # of values; of real numbers
BOUND, ESTIMATE = "explicit, bound", "explicit, estimate"
CHAIN, IMPLICIT, NONE = "implicit, by a chain", "implicit", "none"
UNKNOWN = "not known"  # for images from another program


@dataclass(frozen=True)
class Measuring:
    """How every row is evaluated: on n images each, drawn with the same seed.

    extractor: as for `ptheta.metrics.evaluate.evaluate`
    anew: ignore earlier evaluations
    device: where features of images without a model are computed; those of runs are on the run's
    """

    n: int = 1000
    seed: int = 0
    extractor: str | Extractor | None = None
    anew: bool = False
    device: torch.device = CPU


class Cost(NamedTuple):
    """Cost of training."""

    seconds: float
    steps: int


@dataclass(frozen=True)
class Material:
    """The data that all rows were evaluated on.

    what: short description; example, examples: singular and plural name
    count: number of held-out examples; real, first: images of them, in the sizes of the grids of
    samples and of first samples
    """

    name: str
    what: str
    example: str
    examples: str
    count: int
    real: Picture
    first: Picture


@dataclass(frozen=True)
class Measured:
    """A run, or images from another program, with its results and pictures.

    path: of the run or the images; family, model, about: the model; setting: how it differs from
    the other runs, except for the seed; density: one of `DENSITIES`, or unknown
    first: its first samples, shown next to those of others; None if it cannot sample alone
    cost: of the training; logged: the lines of metrics.jsonl; references: name of a
    curve -> its value at equilibrium; command: the command that trains such a run; config: its plan
    taken: the results reused from an earlier evaluation under the same protocol
    """

    name: str
    path: str
    family: str
    about: str
    evaluation: Evaluation
    density: str
    pictures: list[Picture]
    model: str = ""
    setting: str = ""
    first: Picture | None = None
    place: Path = ()
    cost: Cost | None = None
    logged: Sequence[Mapping[str, float]] = ()
    references: Mapping[str, float] = field(default_factory=dict)
    command: str = ""
    config: Mapping[str, object] = field(default_factory=dict)
    taken: Sequence[str] = ()


@dataclass(frozen=True)
class Comparison:
    """The contents of a report.

    remarks: for each row, why it is not comparable with the others
    baselines, floor: the baselines, and the scores of real examples
    n, seed: of the samples of each row
    """

    measured: list[Measured]
    remarks: dict[str, list[str]]
    baselines: dict[str, Evaluation]
    floor: Evaluation
    data: Material
    n: int
    seed: int

    @cached_property
    def groups(self) -> dict[str, list[Measured]]:
        """The runs of each setting, which differ only in their seed."""
        found: dict[str, list[Measured]] = {}
        for m in self.measured:
            if m.cost is not None:  # images have no settings
                found.setdefault(m.setting, []).append(m)
        return found

    @cached_property
    def ranked(self) -> dict[str, list[Rank]]:
        """metric -> the settings over their seeds, best first, if there are several seeds."""
        return rankings({s: [m.evaluation for m in group] for s, group in self.groups.items()})

    @cached_property
    def pairs(self) -> dict[str, list[Pair]]:
        """metric -> all pairs of rows that have it."""
        return pairs(self.runs, self.metrics)

    @cached_property
    def chance(self) -> dict[str, Evaluation]:
        """The baseline results that a row must beat to be called the best."""
        return blind(self.baselines)

    @property
    def runs(self) -> dict[str, Evaluation]:
        return {m.name: m.evaluation for m in self.measured}

    @property
    def others(self) -> dict[str, Evaluation]:
        return {**self.baselines, f"real {self.data.examples}": self.floor}

    @property
    def summary(self) -> list[str]:
        """One sentence for each main result."""
        return summary(self.runs, self.metrics, self.ranked, self.chance)

    @property
    def protocol(self) -> dict[str, object]:
        """The entries of the protocol on which all rows agree."""
        first, *others = (m.evaluation.protocol for m in self.measured)
        return {
            key: value
            for key, value in first.items()
            if value != "" and all(other.get(key) == value for other in others)
        }

    @property
    def earlier(self) -> str:
        """A sentence on the rows that reuse an earlier evaluation; "" if none does."""
        names = [m.name for m in self.measured if m.taken]
        if not names:
            return ""
        return (
            "Results reused from an earlier evaluation under the same protocol: "
            f"{', '.join(names)}."
        )

    @property
    def metrics(self) -> list[str]:
        """The metrics of the rows, in order of first appearance."""
        return metrics_of(list(self.runs.values()))

    def to_json(self) -> dict[str, object]:
        """The contents of report.json."""
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


def rankings(settings: Mapping[str, Sequence[Evaluation]]) -> dict[str, list[Rank]]:
    """Ranks the settings by each metric, if any setting has several seeds; only metrics that all
    runs have under one protocol."""
    if all(len(group) == 1 for group in settings.values()):
        return {}
    every = [evaluation for group in settings.values() for evaluation in group]
    found = {}
    for metric in metrics_of(every):
        results = [r for e in every if (r := e.get(metric)) is not None]
        better, relations = direction_of(results), {r.relation for r in results}
        if len(relations) == 1 and better:
            rows = rank(settings, metric, better)
            if rows:
                found[metric] = rows
    return found


def density(model: nn.Module, discrete: bool) -> str:
    """How the model defines p(x). discrete: whether the data are discrete, so that p(x) is no
    density."""
    if known_log_p(model) is not None:
        return EXACT if discrete else DENSITY
    if isinstance(model, EstimatesPartition | EstimatesLogProb):
        return ESTIMATE
    if isinstance(model, HasBound):
        return BOUND
    if isinstance(model, HasChain):
        return CHAIN
    return IMPLICIT if isinstance(model, Samples) else NONE
