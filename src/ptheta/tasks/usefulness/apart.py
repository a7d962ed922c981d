"""Tests of samples against test examples: two-sample classifiers and the share of copies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.config import Entry
from ptheta.measures.intervals import span, widened
from ptheta.measures.memorisation import BOOTSTRAP, copied_share, nearest, share_draws
from ptheta.measures.two_sample import FOLDS
from ptheta.specs import DataSpec, ImageSpec, VectorSpec
from ptheta.tasks.usefulness.known import Examples, Known
from ptheta.tasks.usefulness.learners import LEARNERS, learned


class Bootstrapped(NamedTuple):
    """A value with its 95 % interval. draws: its bootstrap replicates, (B,)"""

    value: float
    low: float
    high: float
    draws: Tensor


@dataclass(frozen=True, kw_only=True)
class Test(Entry):
    """A test of samples against test examples.

    of: computes the value for several sets of samples of one source
    kinds: supported kinds of examples; judged: whether lower is always better
    """

    of: Callable[[Known, Sequence[Examples], int], Bootstrapped]
    kinds: tuple[type[DataSpec], ...]
    judged: bool = True


def classifier_auc(learner: str, known: Known, sets: Sequence[Examples], seed: int) -> Bootstrapped:
    """The cross-validated AUC of a classifier of samples against test rows, computed within each
    fold and averaged over folds and sets.

    Equal rows are in the same fold, so that no row is recognised by a duplicate. The bootstrap does
    not refit the classifiers; test rows are resampled identically for all sources.
    """
    real = known.whole(known.test)
    generator = torch.Generator().manual_seed(seed)
    real_counts = _counts(len(real), generator)
    values, draws = [], []
    for i, some in enumerate(sets):
        fake = known.whole(some)
        value, drawn = _areas(learner, fake, real, real_counts, seed + i)
        values.append(value)
        draws.append(drawn)
    found = torch.stack(draws).mean(0)
    low, high = span(found)
    return Bootstrapped(sum(values) / len(values), low, high, found)


def _areas(
    learner: str, fake: Tensor, real: Tensor, real_counts: Tensor, seed: int
) -> tuple[float, Tensor]:
    """The AUC, and its bootstrap replicates with resampled rows: (B,)."""
    x = torch.cat([fake, real])
    y = torch.cat([torch.ones(len(fake)), torch.zeros(len(real))]).long()
    generator = torch.Generator().manual_seed(seed)
    fold, counts = folds(x, y, generator), _counts(len(fake), generator)
    areas, drawn = [], []
    for k in range(FOLDS):
        at = fold == k
        mine, theirs = at & (y == 1), at & (y == 0)
        if not (mine.any() and theirs.any()):
            continue
        rate = learned(LEARNERS[learner], x[~at], y[~at], 2, seed)
        a, b = rate(x[mine])[:, 1], rate(x[theirs])[:, 1]
        above = (a[:, None] > b).double() + (a[:, None] == b).double() / 2
        w, v = counts[:, mine[: len(fake)]], real_counts[:, theirs[len(fake) :]]
        pairs = (w.sum(1) * v.sum(1)).clamp(min=1)
        areas.append(above.mean())
        drawn.append(((w @ above) * v).sum(1) / pairs)
    return float(torch.stack(areas).mean()), torch.stack(drawn).mean(0)


def folds(x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    """The fold of each row of x (N, W), int64 (N,): equal rows in the same fold, stratified by
    side (y)."""
    _, group = x.unique(dim=0, return_inverse=True)
    side = torch.zeros(int(group.max()) + 1, dtype=torch.long).scatter_reduce(0, group, y, "amax")
    order = torch.randperm(len(side), generator=generator)
    order = order[torch.argsort(side[order], stable=True)]
    of = torch.empty_like(order)
    of[order] = torch.arange(len(order)) % FOLDS
    return of[group]


def _counts(n: int, generator: torch.Generator) -> Tensor:
    """Bootstrap counts: how often each of n rows is drawn with replacement: float64 (B, n)."""
    picks = torch.randint(n, (BOOTSTRAP, n), generator=generator)
    return torch.zeros(BOOTSTRAP, n, dtype=torch.float64).scatter_add_(
        1, picks, torch.ones(BOOTSTRAP, n, dtype=torch.float64)
    )


def copied(known: Known, sets: Sequence[Examples], seed: int) -> Bootstrapped:
    """The fraction of samples as near to a training example as only 1 % of test examples are."""
    held_out = nearest(known.test.x, known.bank)[1]
    near = [nearest(some.x, known.bank)[1] for some in sets]
    every = torch.cat(near)
    value, _ = copied_share(every, held_out)
    draws, _ = share_draws(every, held_out, seed)
    return Bootstrapped(value, *widened(*span(draws), min(len(every), len(held_out))), draws)


TESTS: dict[str, Test] = {
    "AUC logistic": Test(
        of=partial(classifier_auc, "logistic"),
        kinds=(VectorSpec,),
        about="AUC of a logistic regression, samples against test rows; 0.5 is best",
    ),
    "AUC forest": Test(
        of=partial(classifier_auc, "forest"),
        kinds=(VectorSpec,),
        about="AUC of a random forest, samples against test rows",
    ),
    "copied": Test(
        of=copied,
        kinds=(VectorSpec, ImageSpec),
        judged=False,
        about="share of samples as near to a training example as 1 % of test examples",
    ),
}
