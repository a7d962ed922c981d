"""Fidelity and diversity of samples: precision, recall, density and coverage."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from ptheta.measures.intervals import estimate
from ptheta.measures.prdc import Manifold, manifold
from ptheta.measures.results import Estimate
from ptheta.metrics.context import Context, shared
from ptheta.terminal.progress import stage

K = 5  # neighbours that define an image's ball
MOST = 10_000  # maximum images of either side


@shared
def _balls(ctx: Context) -> dict[str, Estimate]:
    """Precision, recall, density and coverage with K neighbours."""
    fake, real = ctx.fake.features[:MOST], _some(ctx.real.features, MOST)
    about = {"neighbours": K, "compared": [len(fake), len(real)]}
    least = min(len(fake), len(real))
    if least <= K:
        none = Estimate(None, about=about, reason=f"{least} images have no {K} neighbours each")
        return dict.fromkeys(Manifold._fields, none)
    with stage("distances"):
        values, found = manifold(real, fake, K)
    each = found or (None,) * len(values)
    return {
        name: estimate(value, some, about)
        for name, value, some in zip(Manifold._fields, values, each, strict=True)
    }


def _some(features: Tensor, n: int) -> Tensor:
    """A fixed random subset of at most n: real images may be sorted by class."""
    if len(features) <= n:
        return features
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))
    return features[order[:n]]


def _of_balls(name: str, ctx: Context) -> Estimate:
    return _balls(ctx)[name]


precision, recall, density, coverage = (partial(_of_balls, name) for name in Manifold._fields)
