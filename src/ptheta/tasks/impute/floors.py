"""Baselines of imputation, as an extensible table.

All use rows in network scale, float64 (N, W), with standardised numbers and one-hot categories, NaN
for missing cells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.config import Entry
from ptheta.distributions import incomplete

NEIGHBOURS = 5  # number of nearest rows used for imputation
ROWS = 512  # rows per block of distances
SWEEPS = 10  # sweeps over the columns, for iterative regression
PASSES = 500  # maximum iterations of EM
TOLERANCE = 1e-4  # nats per row: EM stops at a smaller gain
RIDGE = 1e-2  # added to every variance, in squared standard deviations


class Filled(NamedTuple):
    """Completed rows. mean: the single best completion, (B, W); draws: several, (M, B, W)"""

    mean: Tensor
    draws: Tensor


Filler = Callable[[Tensor, int, torch.Generator], Filled]  # (rows (B, W), M, stream)


@dataclass(frozen=True, kw_only=True)
class Floor(Entry):
    """A baseline. fitted: fits to training rows (N, W) and returns the imputation of others"""

    fitted: Callable[[Tensor], Filler]


def usual(train: Tensor) -> Tensor:
    """The mean of each column (W,); 0, the mean after standardisation, if all cells are missing."""
    return torch.where((~train.isnan()).any(0), train.nanmean(0), 0.0)


def with_means(train: Tensor) -> Filler:
    """The mean of the column, or its most frequent category; samples are training cells."""
    mean = usual(train)

    def fill(x: Tensor, draws: int, stream: torch.Generator) -> Filled:
        pools = [
            (cells[~cells.isnan()] if (~cells.isnan()).any() else cells.new_zeros(1))
            for cells in train.unbind(1)
        ]
        picks = [
            pool[torch.randint(len(pool), (draws, len(x)), generator=stream)] for pool in pools
        ]
        return Filled(_filled(x, mean.expand_as(x)), _filled(x, torch.stack(picks, 2)))

    return fill


def with_nearest(train: Tensor) -> Filler:
    """The mean over the `NEIGHBOURS` nearest training rows with a known cell; samples take one of
    them. Distances use the cells known in both rows, rescaled to all cells."""
    mean, there = usual(train), ~train.isnan()
    held = torch.where(there, train, 0.0)  # used only where the cell is known

    def cells_of(gaps: Tensor, away: Tensor, column: int) -> Tensor:
        """The cells of the nearest rows for each gap: (gaps, K)."""
        k = min(NEIGHBOURS, int(there[:, column].sum()))
        if not k:
            return mean[column].expand(len(gaps), 1)
        near = away[gaps].masked_fill(~there[:, column], torch.inf)
        return held[near.topk(k, largest=False).indices, column]

    def fill(x: Tensor, draws: int, stream: torch.Generator) -> Filled:
        means, several = x.clone(), x.expand(draws, *x.shape).clone()
        for at, part in enumerate(x.split(ROWS)):
            away = _distances(part, held, there)
            for column in part.isnan().any(0).nonzero()[:, 0].tolist():
                gaps = part[:, column].isnan().nonzero()[:, 0]
                cells = cells_of(gaps, away, column)
                pick = torch.randint(cells.shape[1], (draws, len(gaps)), generator=stream)
                means[at * ROWS + gaps, column] = cells.mean(1)
                several[:, at * ROWS + gaps, column] = cells[torch.arange(len(gaps)), pick]
        return Filled(means, several)

    return fill


def with_ridge(train: Tensor) -> Filler:
    """Iterative Bayesian ridge regression of each column on the others (van Buuren 2011), by
    scikit-learn; samples use sampled predictors and residual noise."""
    from ptheta.tasks.impute.chained import chained  # scikit-learn takes a second to import

    chain, drawing = (chained(train.numpy(), SWEEPS, posterior) for posterior in (False, True))
    mean = usual(train)
    last = drawing.imputation_sequence_[-train.shape[1] :]

    def fill(x: Tensor, draws: int, stream: torch.Generator) -> Filled:
        best = torch.from_numpy(chain.transform(x.numpy()))
        several = _filled(x, mean.expand_as(x)).expand(draws, *x.shape).clone()
        for _ in range(SWEEPS):
            for step in last:
                gaps = x[:, step.feat_idx].isnan()
                others = several[:, gaps][:, :, step.neighbor_feat_idx]
                guess = others @ torch.from_numpy(step.estimator.coef_) + step.estimator.intercept_
                noise = torch.randn(guess.shape, generator=stream, dtype=guess.dtype)
                several[:, gaps, step.feat_idx] = guess + noise * step.estimator.alpha_**-0.5
        return Filled(best, several)

    return fill


def with_gaussian(train: Tensor) -> Filler:
    """Imputation by one Gaussian of all columns, fitted by EM; exact samples."""
    noise = torch.full_like(train[0], RIDGE)
    law = incomplete.maximised(train, noise, PASSES, TOLERANCE)
    root = torch.linalg.cholesky(law.covariance)

    def fill(x: Tensor, draws: int, stream: torch.Generator) -> Filled:
        each = []
        for _ in range(draws):
            v = torch.randn(x.shape, generator=stream, dtype=x.dtype) @ root.T + law.mean
            each.append(incomplete.drawn(law, x, v))
        return Filled(incomplete.expected(law, x), torch.stack(each))

    return fill


def _filled(x: Tensor, other: Tensor) -> Tensor:
    return torch.where(x.isnan(), other, x)


def _distances(x: Tensor, held: Tensor, there: Tensor) -> Tensor:
    """Squared distances of rows x (B, W) with missing cells to training rows: (B, N); infinite for
    rows without a common known cell."""
    seen, filled = (~x.isnan()).to(x), torch.where(x.isnan(), 0.0, x)
    both = there.to(x)
    total = (
        (filled.square() * seen) @ both.T
        + seen @ (held.square() * both).T
        - 2 * (filled * seen) @ (held * both).T
    )
    common = seen @ both.T
    away = total.clamp_min(0.0) * x.shape[1] / common
    return away.masked_fill(common == 0, torch.inf)


FLOORS: dict[str, Floor] = {
    "mean": Floor(fitted=with_means, about="mean or most frequent category of the column"),
    "nearest": Floor(fitted=with_nearest, about=f"mean of the {NEIGHBOURS} nearest rows"),
    "ridge": Floor(fitted=with_ridge, about="each column by ridge regression on the others"),
    "gaussian": Floor(fitted=with_gaussian, about="one Gaussian of all columns, by EM"),
}
