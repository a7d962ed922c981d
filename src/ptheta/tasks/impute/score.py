"""Evaluation of imputation on hidden cells, for a model and for baselines."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.config import Entry
from ptheta.errors import PthetaError, unknown
from ptheta.measures import imputation
from ptheta.measures.rivals import SIGN, beats
from ptheta.specs import VectorSpec
from ptheta.tasks.impute.draws import CANDIDATES, impute, imputed
from ptheta.tasks.impute.floors import FLOORS
from ptheta.terminal.progress import stage

LEVEL = 0.9  # level of the intervals
MODEL = "model"


class Trial(NamedTuple):
    """Rows with hidden cells, and their completions.

    truth: (B, D) as rows, NaN if unknown; hidden: bool (B, D), the cells to evaluate
    mean: the single best completion, (B, D); draws: (M, B, D)
    """

    spec: VectorSpec
    truth: Tensor
    hidden: Tensor
    mean: Tensor
    draws: Tensor


@dataclass(frozen=True, kw_only=True)
class Measure(Entry):
    """A measure of imputation error.

    of: computes the value; None if no applicable cell was hidden
    better: "less", "more", or the ideal value
    judged: whether it counts in the comparison with baselines
    """

    of: Callable[[Trial], float | None]
    better: str = "less"
    judged: bool = True


def _numbers(trial: Trial) -> Tensor:
    """The hidden numeric cells, bool (B, width)."""
    parts = [
        hidden[:, None].expand(-1, column.width) & (not column.values)
        for column, hidden in zip(trial.spec.columns, trial.hidden.unbind(1), strict=True)
    ]
    return torch.cat(parts, 1)


def _all(trial: Trial) -> Tensor:
    """The hidden cells in network scale, each category with its whole code, bool (B, width)."""
    parts = [
        hidden[:, None].expand(-1, column.width)
        for column, hidden in zip(trial.spec.columns, trial.hidden.unbind(1), strict=True)
    ]
    return torch.cat(parts, 1)


def _scaled(trial: Trial) -> tuple[Tensor, Tensor, Tensor]:
    """mean, draws and truth in network scale."""
    seen = trial.spec.scaled
    return seen(trial.mean), torch.stack([seen(d) for d in trial.draws]), seen(trial.truth)


def _rmse(trial: Trial) -> float | None:
    mean, _, truth = _scaled(trial)
    cells = _numbers(trial)
    return imputation.root_mean_square(mean, truth, cells) if cells.any() else None


def _energy(trial: Trial) -> float | None:
    _, draws, truth = _scaled(trial)
    cells = _all(trial)
    return imputation.energy_score(draws, truth, cells) if cells.any() else None


def _interval(trial: Trial) -> tuple[float, float] | None:
    _, draws, truth = _scaled(trial)
    cells = _numbers(trial)
    return imputation.coverage(draws, truth, cells, LEVEL) if cells.any() else None


def _covered(trial: Trial) -> float | None:
    found = _interval(trial)
    return None if found is None else found[0]


def _width(trial: Trial) -> float | None:
    found = _interval(trial)
    return None if found is None else found[1]


def _right(trial: Trial) -> float | None:
    words = torch.tensor([bool(column.values) for column in trial.spec.columns])
    cells = trial.hidden & words
    return imputation.accuracy(trial.mean, trial.truth, cells) if cells.any() else None


MEASURES: dict[str, Measure] = {
    "rmse": Measure(of=_rmse, about="RMSE of standardised numbers, single best completion"),
    "energy": Measure(of=_energy, about="energy score of a row's hidden cells, multiple draws"),
    "coverage": Measure(
        of=_covered, about=f"coverage of {LEVEL:.0%} intervals", better=f"{LEVEL:g}"
    ),
    "width": Measure(
        of=_width, about=f"width of {LEVEL:.0%} intervals, standard deviations", judged=False
    ),
    "accuracy": Measure(of=_right, about="accuracy of categories", better="more"),
}


@dataclass(frozen=True)
class Scored:
    """Result of one method. values: one per repetition, by measure"""

    name: str
    values: dict[str, tuple[float, ...]]

    @property
    def measures(self) -> dict[str, Measure]:
        """The results by name."""
        return {name: entry for name, entry in MEASURES.items() if name in self.values}

    def mean(self, measure: str) -> float:
        return statistics.fmean(self.values[measure])

    def spread(self, measure: str) -> float:
        """The standard deviation over the repetitions; 0 for one."""
        found = self.values[measure]
        return statistics.stdev(found) if len(found) > 1 else 0.0

    def cells(self, model: Scored) -> list[str]:
        """Formatted means and spreads; marked by `SIGN` if better than those of the model."""
        return [
            f"{self.mean(name):.3f} +- {self.spread(name):.3f}"
            + (SIGN if entry.judged and self._beats(model, name) else "")
            for name, entry in self.measures.items()
        ]

    def _beats(self, model: Scored, name: str) -> bool:
        own, other = (round(of.mean(name), 3) for of in (self, model))  # compared as displayed
        return beats(own, other, MEASURES[name].better)


Way = Callable[[Tensor, int], tuple[Tensor, Tensor]]  # (rows, seed) -> (mean, draws)


def score(
    model: nn.Module,
    x: Tensor,
    train: Tensor | None,
    *,
    hide: float = 0.3,
    repeats: int = 5,
    draws: int = 100,
    seed: int = 0,
    condition: Condition | None = None,
    candidates: int = CANDIDATES,
    floors: Collection[str] | None = None,
    scaled_by: VectorSpec | None = None,
) -> list[Scored]:
    """Hide a random share of the known cells of rows x (B, D) and impute them.

    The model comes first, then the baselines, which are fitted to `train` (N, D), or to the visible
    cells of x if it is None.

    repeats: number of repetitions, each with other hidden cells; draws: number of imputations, for
        the energy score and the intervals
    floors: names of `FLOORS`; default: all. scaled_by: the columns whose scale is the unit of
        errors; default: the model's
    Raises PthetaError for images, for a share that hides no cell or all cells, and as `impute`
    does.
    """
    spec = model.spec
    if not isinstance(spec, VectorSpec):
        raise PthetaError("imputation is evaluated on tables: use ptheta inpaint for images")
    if not 0 < hide < 1:
        raise PthetaError(f"hide = {hide:g}: give a share between 0 and 1 of the known cells")

    def by_model(rows: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        mean = imputed(model, rows, seed=seed, condition=condition, candidates=candidates)
        return mean, impute(
            model, rows, draws=draws, seed=seed, condition=condition, candidates=candidates
        )

    ways: dict[str, Way] = {MODEL: by_model}
    for name in FLOORS if floors is None else floors:
        ways[name] = Floored(name, spec, train, draws)
    found: dict[str, dict[str, list[float]]] = {name: {} for name in ways}
    for i in range(repeats):
        hidden = hidden_cells(x, hide, seed + i)
        rows = x.masked_fill(hidden, torch.nan)
        for name, way in ways.items():
            with stage(f"imputing by {name}"):
                trial = Trial(scaled_by or spec, x, hidden, *way(rows, seed + i))
            for measure, value in measured(trial).items():
                found[name].setdefault(measure, []).append(value)
    return [Scored(n, {m: tuple(v) for m, v in of.items()}) for n, of in found.items()]


def hidden_cells(x: Tensor, share: float, seed: int) -> Tensor:
    """Choose the known cells of rows (B, D) to hide, each with probability `share`; at least one
    known cell of every row is kept: bool (B, D). Raises PthetaError if none is hidden."""
    draw = torch.Generator().manual_seed(seed)
    noise = torch.rand(x.shape, generator=draw)
    hidden = (noise < share) & ~x.isnan()
    bare = ((~x.isnan()) & ~hidden).sum(1) == 0
    last = noise.masked_fill(x.isnan(), -1.0).argmax(1)
    hidden[bare, last[bare]] = False
    if not hidden.any():
        raise PthetaError(
            f"no cell of the {len(x)} rows is hidden at a share of {share:g}: give more rows"
        )
    return hidden


def measured(trial: Trial) -> dict[str, float]:
    """The values of the measures that are defined for a trial."""
    values = {name: entry.of(trial) for name, entry in MEASURES.items()}
    return {name: value for name, value in values.items() if value is not None}


class Floored:
    """A baseline, fitted once if there are training rows. train: the training rows, (N, D)"""

    def __init__(self, name: str, spec: VectorSpec, train: Tensor | None, draws: int) -> None:
        if name not in FLOORS:
            raise unknown("floor", name, FLOORS)
        self.fitted, self.spec, self.draws = FLOORS[name].fitted, spec, draws
        self.filler = None if train is None else self.fitted(spec.scaled(train).double())

    def __call__(self, rows: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        spec, there = self.spec, ~rows.isnan()
        s = spec.scaled(rows).double()
        filler = self.fitted(s) if self.filler is None else self.filler
        mean, several = filler(s, self.draws, torch.Generator().manual_seed(seed))
        made = torch.stack([torch.where(there, rows, spec.unscaled(d)) for d in several])
        return torch.where(there, rows, spec.unscaled(mean)), made
