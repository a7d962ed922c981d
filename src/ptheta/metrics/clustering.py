"""Agreement of a model's own categories with the labels of the data."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.capabilities import Clusters
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.measures.clustering import matched_accuracy
from ptheta.measures.intervals import Groups, draws, estimate
from ptheta.measures.results import Draws, Estimate
from ptheta.metrics.context import Context
from ptheta.metrics.likelihood import batches
from ptheta.tasks.needs import require


def matched(found: Tensor, labels: Tensor) -> tuple[float, Draws | None]:
    """`matched_accuracy` with a jackknife over groups of images, each with its own best
    matching."""
    groups = Groups(len(labels), "real")
    left = [
        matched_accuracy(found[groups.of != g], labels[groups.of != g]) for g in range(groups.count)
    ]
    without = draws(real=torch.tensor(left, dtype=torch.float64)) if left else None
    return matched_accuracy(found, labels), without


@torch.no_grad()
def clustering_accuracy(model: nn.Module, data: Dataset) -> tuple[float, Draws | None]:
    """Clustering accuracy of a model on labelled data: see `matched`."""
    clusters = require(model, Clusters, "cluster")
    found = torch.cat([clusters.cluster(x).cpu() for x, _ in batches(model, data, 500)])
    labels = data.batch(slice(0, len(data))).extra.get("labels")
    if labels is None:
        raise PthetaError(f"{data.name} has no labels to match categories with: give labels")
    return matched(found, labels)


def clustering(ctx: Context) -> Estimate:
    """Clustering accuracy of the model's own categories."""
    return estimate(*clustering_accuracy(ctx.the_model, ctx.test))
