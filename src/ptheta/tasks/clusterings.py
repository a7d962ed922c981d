"""Clusters by scikit-learn, one start at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from torch import Tensor

Found = tuple[Tensor, Tensor, float]  # the fields of `ptheta.tasks.cluster.Start`


def kmeans(h: np.ndarray, k: int, seed: int) -> Found:
    fitted = KMeans(k, n_init=1, random_state=seed).fit(h)
    away = torch.from_numpy(fitted.transform(h)).double().min(1).values
    return (torch.from_numpy(fitted.labels_).long(), away, float(fitted.inertia_))


def mixture(h: np.ndarray, k: int, seed: int) -> Found:
    least = 1e-6 + 1e-3 * float(h.var(0).mean())
    fitted = GaussianMixture(k, reg_covar=least, random_state=seed).fit(h)
    away = -torch.from_numpy(fitted.score_samples(h)).double()
    return (torch.from_numpy(fitted.predict(h)).long(), away, float(away.mean()))


STARTS: dict[str, Callable[[np.ndarray, int, int], Found]] = {"kmeans": kmeans, "mixture": mixture}
