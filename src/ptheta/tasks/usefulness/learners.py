"""Classifiers trained on samples, by scikit-learn and torch, as an extensible table."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ptheta.compute.streams import seeded
from ptheta.config import Entry
from ptheta.specs import DataSpec, ImageSpec, VectorSpec
from ptheta.tasks.logistic import logistic

TREES = 100
STEPS, BATCH = 400, 64  # training steps of the convolutional classifier
AT_ONCE = 500  # images per batch for prediction

Rate = Callable[[Tensor], Tensor]  # (M, ...) -> probabilities of the classes, float64 (M, K)
Fit = Callable[[Tensor, Tensor, int, int], Rate]  # (x, y, classes, seed)


@dataclass(frozen=True, kw_only=True)
class Learner(Entry):
    """A classifier to train.

    fit: trains on x (N, ...), the inputs of `Known.seen`, and labels y (N,)
    of: supported kinds of examples; drawn: whether it depends on the seed
    """

    fit: Fit
    of: tuple[type[DataSpec], ...]
    drawn: bool = True


def _by_logistic(x: Tensor, y: Tensor, classes: int, seed: int) -> Rate:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return _rating(logistic().fit(x.flatten(1).double().numpy(), y.numpy()), classes)


def by_forest(x: Tensor, y: Tensor, classes: int, seed: int, trees: int = TREES) -> Rate:
    """A random forest: see `Learner`."""
    forest = RandomForestClassifier(trees, random_state=seed, n_jobs=1)
    return _rating(forest.fit(x.flatten(1).double().numpy(), y.numpy()), classes)


def _rating(fitted: ClassifierMixin, classes: int) -> Rate:
    """Class probabilities by a fitted scikit-learn classifier; 0 for classes absent in training."""

    def rate(x: Tensor) -> Tensor:
        found = torch.zeros(len(x), classes, dtype=torch.float64)
        said = np.asarray(fitted.predict_proba(x.flatten(1).double().numpy()), dtype=np.float64)
        found[:, torch.from_numpy(np.asarray(fitted.classes_))] = torch.from_numpy(said)
        return found

    return rate


def by_convolutions(x: Tensor, y: Tensor, classes: int, seed: int, steps: int = STEPS) -> Rate:
    """A small convolutional network: see `Learner`."""
    with seeded(seed):
        net = nn.Sequential(
            nn.Conv2d(x.shape[1], 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(32 * 16, classes),
        )
        optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
        for _ in range(steps):
            rows = torch.randint(len(x), (min(BATCH, len(x)),))
            loss = cross_entropy(net(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    @torch.no_grad()
    def rate(x: Tensor) -> Tensor:
        return torch.cat([net(part).double().softmax(1) for part in x.split(AT_ONCE)])

    return rate


LEARNERS: dict[str, Learner] = {
    "logistic": Learner(
        fit=_by_logistic,
        of=(VectorSpec, ImageSpec),
        drawn=False,
        about="logistic regression on standardised columns, or pixels",
    ),
    "forest": Learner(fit=by_forest, of=(VectorSpec,), about=f"random forest of {TREES} trees"),
    "convnet": Learner(
        fit=by_convolutions,
        of=(ImageSpec,),
        about=f"two convolutional layers, {STEPS} steps of {BATCH}",
    ),
}


def learners_of(spec: DataSpec) -> dict[str, Learner]:
    """The classifiers that support such examples."""
    return {name: entry for name, entry in LEARNERS.items() if isinstance(spec, entry.of)}


def learned(learner: Learner, x: Tensor, y: Tensor, classes: int, seed: int) -> Rate:
    """A trained classifier; a constant one if all labels are equal."""
    if (y == y[0]).all():
        sure = torch.nn.functional.one_hot(y[0], classes).double()
        return lambda rows: sure.expand(len(rows), -1)
    return learner.fit(x, y, classes, seed)
