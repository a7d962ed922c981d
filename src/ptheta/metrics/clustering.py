"""How well categories that a model found by itself fit the labels of the data."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.data.dataset import Dataset
from ptheta.metrics.likelihood import batches


def matched_accuracy(found: Tensor, labels: Tensor) -> float:
    """Share of images whose category is that of their label, under the best one-to-one matching.

    found, labels: int64 (N,). Kuhn 1955, through scipy.
    """
    from scipy.optimize import linear_sum_assignment

    k = int(max(found.max(), labels.max())) + 1
    counts = torch.bincount(found * k + labels, minlength=k * k).view(k, k)
    rows, columns = linear_sum_assignment(counts.numpy(), maximize=True)
    return float(counts[rows, columns].sum() / len(labels))


@torch.no_grad()
def clustering_accuracy(model: nn.Module, data: Dataset) -> tuple[float, float]:
    """The matched accuracy of a model that clusters on labelled data, and its standard error."""
    found, labels = [], []
    for x, _ in batches(model, data, 500):
        found.append(model.cluster(x).cpu())  # type: ignore[operator]
    y = data.batch(slice(0, len(data))).y
    assert y is not None
    labels.append(y)
    share = matched_accuracy(torch.cat(found), torch.cat(labels))
    return share, (share * (1 - share) / len(data)) ** 0.5
