"""Baselines of classification without a generative model, as an extensible table."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.config import Entry
from ptheta.specs import DataSpec
from ptheta.tasks.classify.bayes import log_prior
from ptheta.tasks.outliers.distances import Bank
from ptheta.tasks.spread import spread_over

MOST = 5000  # training examples of the logistic regression
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)  # candidate inverse regularisation strengths
LEAST = 1e-12  # smallest probability of a regression


class Labelled(NamedTuple):
    """Labelled examples. x: examples of the spec, (N, ...); y: int64 (N,)"""

    x: Tensor
    y: Tensor


Fit = Callable[[DataSpec, Labelled, int, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Floor(Entry):
    """A baseline classifier.

    fit: (spec, training examples, number of classes, x (M, ...)) -> log P(y | x), (M, K)
    sure: whether it predicts only a class, without probabilities
    """

    fit: Fit
    sure: bool = False


def _frequent(spec: DataSpec, train: Labelled, classes: int, x: Tensor) -> Tensor:
    return log_prior(train.y, classes).expand(len(x), -1)


def _nearest(spec: DataSpec, train: Labelled, classes: int, x: Tensor) -> Tensor:
    bank = Bank.of(spec.compared(train.x))
    near = [bank.nearest(spec.compared(part), 1).places[:, 0] for part in x.split(500)]
    return torch.nn.functional.one_hot(train.y[torch.cat(near)], classes).double().log()


def _logistic(spec: DataSpec, train: Labelled, classes: int, x: Tensor) -> Tensor:
    """Logistic regression; the penalty minimises the log loss on a held-out fifth of the
    examples."""
    from sklearn.linear_model import LogisticRegression

    rows = spread_over(train.y, min(MOST, len(train.y)), 0)
    h, y = spec.compared(train.x[rows]).double(), train.y[rows]
    mean, scale = (
        h.mean(0),
        h.std().clamp_min(1e-6),
    )  # one common scale, so that nearly constant inputs have little weight
    seen, new = (h - mean) / scale, (spec.compared(x).double() - mean) / scale
    present = y.unique()
    if len(present) < 2:
        return _frequent(spec, train, classes, x)

    def fitted(c: float, some: slice) -> LogisticRegression:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # convergence warnings are harmless here
            return LogisticRegression(C=c, max_iter=200).fit(seen[some].numpy(), y[some].numpy())

    def logs(model: LogisticRegression, of: Tensor) -> Tensor:
        found = torch.full((len(of), classes), LEAST, dtype=torch.float64)
        found[:, torch.from_numpy(model.classes_)] += torch.from_numpy(model.predict_proba(of))
        return (found / found.sum(1, keepdim=True)).log()

    cut = len(y) - len(y) // 5
    chosen = 1.0
    if len(y[:cut].unique()) > 1 and cut < len(y):
        held = torch.arange(cut, len(y))

        def loss(c: float) -> float:
            said = logs(fitted(c, slice(0, cut)), seen[held])
            return -said.gather(1, y[held, None]).mean().item()

        chosen = min(PENALTIES, key=loss)
    return logs(fitted(chosen, slice(None)), new)


FLOORS: dict[str, Floor] = {
    "most common": Floor(fit=_frequent, about="class frequencies of the training examples"),
    "logistic": Floor(
        fit=_logistic,
        about="logistic regression on pixels or columns, penalty chosen on a held-out fifth",
    ),
    "nearest": Floor(fit=_nearest, sure=True, about="the class of the nearest training example"),
}
