"""Disentanglement of a model's codes with respect to the factors of the data, with two
baselines."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ptheta.capabilities import Encodes
from ptheta.measures.factors import mutual_information_gap
from ptheta.measures.intervals import Groups, draws, estimate
from ptheta.measures.results import Estimate
from ptheta.metrics.context import Context
from ptheta.metrics.latent import codes
from ptheta.metrics.metric import Metric, Section

MOST_VALUES = 64  # maximum values of a factor; an attribute with more is not categorical


def factors(ctx: Context) -> Tensor | None:
    """The varying attributes that are known for all test examples, numbered from 0: int64 (N, K);
    None if there are none."""
    known = ctx.test.attributes
    if known is None:
        return None
    rows = np.asarray(known)[ctx.test.rows(slice(None))]
    found = []
    for column in rows.T:
        values, numbers = np.unique(column, return_inverse=True)
        if 2 <= len(values) <= MOST_VALUES and values[0] >= 0:
            found.append(torch.from_numpy(numbers.reshape(-1).astype(np.int64)))
    return torch.stack(found, 1) if found else None


def asked(ctx: Context) -> bool:
    """The model has an encoder, and attributes of the examples are known."""
    return isinstance(ctx.model, Encodes) and factors(ctx) is not None


def principal(x: Tensor, size: int) -> Tensor:
    """The first principal components of examples in network scale, at most (N, size)."""
    flat = x.flatten(1).double()
    flat = (flat - flat.nanmean(0)).nan_to_num()  # replace missing cells by their column's mean
    _, vectors = torch.linalg.eigh(flat.T @ flat)
    components: Tensor = flat @ vectors[:, -size:]
    return components


def gap(z: Tensor, values: Tensor) -> Estimate:
    """The mutual information gap with its error by a jackknife over groups of examples; the codes
    are computed once."""
    groups = Groups(len(z), "real")
    left = [
        mutual_information_gap(z[groups.of != g], _renumbered(values[groups.of != g]))
        for g in range(groups.count)
    ]
    found = draws(real=torch.tensor(left, dtype=torch.float64)) if left else None
    return estimate(mutual_information_gap(z, values), found)


def _renumbered(values: Tensor) -> Tensor:
    """Remove columns with a single value."""
    return values[:, (values != values[:1]).any(0)]


def information_gap(ctx: Context) -> Mapping[str, Estimate]:
    """The gap of the codes, of as many principal components of the examples, and of shuffled codes
    as the chance level."""
    values = factors(ctx)
    assert values is not None
    z = codes(ctx.the_model, ctx.test, len(ctx.test))
    x = ctx.test.spec.scaled(ctx.test.batch(slice(0, len(ctx.test))).x)
    order = torch.randperm(len(z), generator=torch.Generator().manual_seed(ctx.seed))
    return {
        "codes": gap(z, values),
        "pca": gap(principal(x, z.shape[1]), values),
        "chance": gap(z[order], values),
    }


OF_FACTORS: tuple[Metric, ...] = (
    Metric(
        "information_gap_{term}",
        information_gap,
        "mutual information gap of the attributes and the code, of PCA, and by chance",
        Section.FIDELITY,
        asked=asked,
    ),
)
