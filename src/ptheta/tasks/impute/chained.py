"""Iterative regression of each column on the others, by scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer


def chained(train: np.ndarray, sweeps: int, posterior: bool) -> IterativeImputer:
    """Fit to rows (N, W) with NaN. posterior: whether intermediate imputations are sampled"""
    chain = IterativeImputer(
        max_iter=sweeps, sample_posterior=posterior, random_state=0, keep_empty_features=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return chain.fit(train)
