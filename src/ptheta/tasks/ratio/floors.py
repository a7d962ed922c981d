"""Baselines: small classifiers of the same examples, real against generated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from ptheta.specs import filled
from ptheta.tasks.ratio.calibration import FOLDS, folds_of

COMPONENTS = 32  # maximum number of principal components for trees
MANY = 100  # dimensions from which the regression is regularised more


def logistic(dims: int) -> ClassifierMixin:
    """A logistic regression on standardised pixels or columns."""
    held = 0.01 if dims > MANY else 1.0
    return make_pipeline(StandardScaler(), LogisticRegression(C=held, max_iter=300))


def trees(dims: int) -> ClassifierMixin:
    """Boosted trees on columns, or on principal components in many dimensions."""
    boosted = HistGradientBoostingClassifier(max_iter=60, random_state=0)
    if dims <= COMPONENTS:
        return boosted
    return make_pipeline(PCA(COMPONENTS, random_state=0), boosted)


FLOORS: dict[str, Callable[[int], ClassifierMixin]] = {"logistic": logistic, "trees": trees}


def rated(name: str, x: Tensor, real: Tensor, seed: int = 0) -> Tensor:
    """Cross-fitted log-odds of "real" of each row x (N, D), less the log-odds of the numbers of the
    two sides: (N,)."""
    fold, out = folds_of(real, seed), torch.empty(len(x), dtype=torch.float64)
    missing = x.isnan()  # missing cells can also distinguish real rows from samples
    numbers = torch.cat([filled(x.double()), missing[:, missing.any(0)]], 1).numpy()
    for k in range(FOLDS):
        mine = fold == k
        others = ~mine
        model = FLOORS[name](numbers.shape[1]).fit(numbers[others], real[others].numpy())
        p = np.clip(model.predict_proba(numbers[mine])[:, 1].astype(np.float64), 1e-6, 1 - 1e-6)
        odds = float((real[others].sum() / (~real[others]).sum()).log())
        out[mine] = torch.from_numpy(np.log(p) - np.log1p(-p)) - odds
    return out
