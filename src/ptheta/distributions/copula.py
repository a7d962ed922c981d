"""A Gaussian copula of rows with numbers, whole numbers and words: each column keeps its marginal
distribution, and a correlation matrix of normal scores models dependence (Nelsen 2006, chapter 2;
for columns with steps Olsson 1979, Psychometrika 44:443).

A column is a normal variable cut at thresholds, given by the share of rows below each of its
values. Numbers without ties have as many steps as rows; words are ordered as in the column. The
correlation of two such variables is found from that of their scores, the mean of the normal within
each step, by Mehler's series: E[s t] = sum_k a_k b_k r^k, with the Hermite coefficients a and b of
the two step functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ORDER = 24  # terms of the series
HALVINGS = 40  # of the interval that a correlation is sought in
MOST = 0.999  # maximum of a correlation: collinear columns stay distinct
LEAST = 1e-6  # eigenvalue of the matrix: pairs are taken alone, and may not go together


@dataclass(frozen=True)
class Copula:
    """marginals: for each column its known cells, sorted, (n,); none where no row has any
    stepped: for each column whether a draw is one of its cells, or may lie between two
    root: float64 (D, D), root @ root.T the correlation of the normals
    """

    marginals: tuple[Tensor, ...]
    stepped: tuple[bool, ...]
    root: Tensor

    @property
    def correlation(self) -> Tensor:
        """Correlation of the normal variables, float64 (D, D)."""
        return self.root @ self.root.T

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """n rows without gaps, float32 (n, D); NaN in a column that has no known cell.

        Row i is a function of the seed and i: fewer rows are the first of more.
        """
        generator = torch.Generator().manual_seed(seed)
        z = torch.stack(
            [
                torch.randn(len(self.root), generator=generator, dtype=torch.float64)
                for _ in range(n)
            ]
        )
        u = torch.special.ndtr(z @ self.root.T)
        columns = zip(self.marginals, self.stepped, u.unbind(1), strict=True)
        return torch.stack([quantile(cells, at, steps) for cells, steps, at in columns], 1)


def fitted(x: Tensor, stepped: Sequence[bool]) -> Copula:
    """Fit to rows x (N, D), with NaN for missing cells: each pair of columns uses the rows that
    have both.

    stepped: for each column whether its values are discrete (words or whole numbers)
    """
    scored = [_scored(cells) for cells in x.double().unbind(1)]
    scores = torch.stack([scores for scores, _ in scored], 1)
    series = torch.stack([series for _, series in scored])
    marginals = tuple(cells[~cells.isnan()].sort().values.float() for cells in x.unbind(1))
    return Copula(marginals, tuple(stepped), _root(_correlations(scores, series)))


def quantile(cells: Tensor, u: Tensor, steps: bool) -> Tensor:
    """What a share u (n,) of sorted cells (m,) lies below: float32 (n,).

    steps: one of the cells; else between two of them, the i-th of which stands at (i - 1/2) / m
    """
    m = len(cells)
    if not m:
        return torch.full((len(u),), math.nan)
    if steps:
        return cells[(u * m).long().clamp(max=m - 1)]
    at = (u * m - 0.5).clamp(0, m - 1)
    low = at.floor().long()
    high = (low + 1).clamp(max=m - 1)
    return torch.lerp(cells[low].double(), cells[high].double(), at - low).float()


def _scored(cells: Tensor) -> tuple[Tensor, Tensor]:
    """Of a column (N,): the mean of the normal within the step of each cell, (N,), NaN where it is
    missing; and its Hermite coefficients, (ORDER,)."""
    there = ~cells.isnan()
    scores = torch.full_like(cells, math.nan)
    if not there.any():
        return scores, cells.new_zeros(ORDER)
    _, place, counts = cells[there].unique(return_inverse=True, return_counts=True)
    share = counts.double() / counts.sum()
    cuts = torch.special.ndtri(share.cumsum(0)[:-1].clamp(1e-12, 1 - 1e-12))
    values = torch.diff(-_density(cuts), prepend=share.new_zeros(1), append=share.new_zeros(1))
    score = values / share
    scores[there] = score[place]
    return scores, _hermite(cuts, score)


def _density(z: Tensor) -> Tensor:
    return (-0.5 * z.square()).exp() / math.sqrt(2 * math.pi)


def _hermite(cuts: Tensor, score: Tensor) -> Tensor:
    """E[s(z) He_k(z)] / sqrt(k!) for k = 1 to ORDER, of the step function s with these cuts (K,)
    and values (K + 1,): the jump at t counts He_{k-1}(t) times the density there."""
    jumps = score.diff() * _density(cuts)
    before, now = torch.zeros_like(cuts), torch.ones_like(cuts)  # normalised polynomials
    found = []
    for k in range(1, ORDER + 1):
        found.append((jumps * now).sum() / math.sqrt(k))
        following = (cuts * now - math.sqrt(k - 1) * before) / math.sqrt(k)
        before, now = now, following
    return torch.stack(found)


def _correlations(scores: Tensor, series: Tensor) -> Tensor:
    """What correlation of normals gives these scores (N, D): (D, D). series: (D, ORDER)"""
    both = (~scores.isnan()).double()
    filled = scores.masked_fill(scores.isnan(), 0.0)
    pairs = (both.T @ both).clamp(min=1)
    observed = filled.T @ filled / pairs - (filled.T @ both / pairs) * (both.T @ filled / pairs)
    terms = series[:, None] * series[None]
    low, high = torch.full_like(observed, -MOST), torch.full_like(observed, MOST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        powers = middle[..., None] ** torch.arange(1, ORDER + 1, dtype=torch.float64)
        less = (terms * powers).sum(-1) < observed
        low, high = torch.where(less, middle, low), torch.where(less, high, middle)
    known = (terms[..., 0] > 0) & (pairs > 2)  # a column of one value goes with nothing
    return torch.where(known, (low + high) / 2, 0.0).fill_diagonal_(1.0)


def _root(correlation: Tensor) -> Tensor:
    """The root of the nearest matrix that is one of correlations, its diagonal brought to 1."""
    values, vectors = torch.linalg.eigh(correlation)
    root: Tensor = vectors * values.clamp(min=LEAST).sqrt()
    lengths = root.square().sum(1, keepdim=True).sqrt()
    return root / lengths
