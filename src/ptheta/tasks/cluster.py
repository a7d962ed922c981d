"""Groups of examples: the model's own categories, or clusters of its codes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from ptheta.capabilities import Clusters, Encodes, condition_of, device_of
from ptheta.compute.streams import seeded, undisturbed
from ptheta.conditions import word
from ptheta.config import Entry
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError, unknown
from ptheta.tasks.needs import require, require_one
from ptheta.terminal.progress import watched

BATCH = 200  # examples encoded at a time
RESTARTS = 5
OWN, AUTO = "own", "auto"


@dataclass(frozen=True)
class Start:
    """The clustering of one random start.

    found: the cluster of each example, int64 (N,); away: how atypical each is of its cluster,
    float64 (N,); cost: the objective, lower is better
    """

    found: Tensor
    away: Tensor
    cost: float


@dataclass(frozen=True)
class Groups:
    """Clusterings of examples.

    starts: the clusterings of all starts, best first; one if deterministic
    clusters: number of clusters
    how: description of the data and the method
    """

    starts: tuple[Start, ...] = field(repr=False)
    clusters: int
    how: str

    @property
    def found(self) -> Tensor:
        """The cluster of each example: int64 (N,)."""
        return self.starts[0].found

    def typical(self, cluster: int, n: int) -> Tensor:
        """Indices of the n most typical examples of a cluster, the most typical first."""
        best = self.starts[0]
        mine = (best.found == cluster).nonzero()[:, 0]
        return mine[best.away[mine].argsort(stable=True)[:n]]


def _clustered(method: str, h: np.ndarray, k: int, seed: int) -> Start:
    from ptheta.tasks import clusterings  # scikit-learn takes a second to import

    return Start(*clusterings.STARTS[method](h, k, seed))


@dataclass(frozen=True, kw_only=True)
class Method(Entry):
    """A clustering method. fit: (float64 (N, d), clusters, seed) -> the result of one start"""

    fit: Callable[[np.ndarray, int, int], Start]


METHODS: dict[str, Method] = {
    "kmeans": Method(fit=partial(_clustered, "kmeans"), about="k-means, from k-means++"),
    "mixture": Method(
        fit=partial(_clustered, "mixture"),
        about="a mixture of Gaussians with full covariances, by EM",
    ),
}


@undisturbed()
@torch.no_grad()
def cluster(
    model: nn.Module,
    data: Dataset,
    clusters: int | None = None,
    *,
    by: str = AUTO,
    restarts: int = RESTARTS,
    seed: int = 0,
) -> Groups:
    """Cluster the examples of `data` without labels.

    clusters: number of clusters, unless the model has its own categories
    by: "own" for the model's categories; a name of `METHODS` to cluster the codes of a model with
        an encoder; "auto": own if available, else k-means
    restarts: number of random starts; the best is kept
    Raises PthetaError if the model has neither categories nor an encoder, if its codes depend on a
    condition, and for an invalid number of clusters.
    """
    require_one(model, (Clusters, Encodes), "cluster", alone=True)
    condition = condition_of(model)
    if condition is not None:
        raise PthetaError(
            f"this model is conditional on {word(condition)}, so its codes depend on it: cluster "
            "with a run of an unconditional model"
        )
    if by not in (AUTO, OWN, *METHODS):
        raise unknown("way to cluster", by, (AUTO, OWN, *METHODS))
    data = data.with_fixed_binarisation()
    if takes_own(model, by):
        return _own(require(model, Clusters, "cluster by itself"), data, clusters)
    encoder = require(model, Encodes, "cluster codes")
    by = next(iter(METHODS)) if by == AUTO else by
    with seeded(seed):
        h = torch.cat([encoder.encode(x.to(device_of(model))).cpu() for x in _parts(data)])
    return grouped(h, clusters, by, f"codes of {h.shape[1]} dimensions", restarts, seed)


def takes_own(model: nn.Module, by: str) -> bool:
    """Whether the model's own categories are used."""
    return by == OWN or (by == AUTO and isinstance(model, Clusters))


def grouped(
    h: Tensor, clusters: int | None, by: str, what: str, restarts: int, seed: int
) -> Groups:
    """Cluster rows h (N, d) by a method of `METHODS`, from several starts. what: name of the
    rows"""
    if clusters is None:
        raise PthetaError("the number of clusters is unknown: give --clusters")
    if len(h) < 2:
        raise PthetaError(f"{len(h)} example cannot be clustered: give two or more")
    if not 2 <= clusters <= len(h):
        raise PthetaError(f"{clusters} clusters of {len(h):,} examples: want 2 to {len(h):,}")
    if restarts < 1:
        raise PthetaError(f"restarts = {restarts}: want 1 or more")
    rows, method = h.flatten(1).double().numpy(), METHODS[by]
    if not np.isfinite(rows).all():
        raise PthetaError("codes of some examples are not finite: leave these examples out")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about fewer distinct rows than clusters
        starts = [
            method.fit(rows, clusters, (seed + i) % 2**32)
            for i in watched(range(restarts), "clustering")
        ]
    starts.sort(key=lambda start: start.cost)
    return Groups(tuple(starts), clusters, f"{by} of {what}, best of {restarts} starts")


def _own(model: Clusters, data: Dataset, clusters: int | None) -> Groups:
    if clusters is not None:
        raise PthetaError(f"--clusters {clusters}: this model has its own categories: leave it out")
    device = device_of(model) if isinstance(model, nn.Module) else None
    found = torch.cat([model.cluster(x.to(device)).cpu() for x in _parts(data)])
    start = Start(found, torch.zeros(len(found)).double(), 0.0)
    return Groups((start,), int(found.max()) + 1, "the model's own categories")


def _parts(data: Dataset) -> list[Tensor]:
    starts = watched(range(0, len(data), BATCH), "encoding")
    return [data.batch(slice(s, min(s + BATCH, len(data)))).x for s in starts]
