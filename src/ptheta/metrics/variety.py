"""Diversity of samples with the same caption, relative to that of real images with the same
caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ptheta.measures.intervals import LEAST, mean_estimate
from ptheta.measures.results import Estimate
from ptheta.metrics.captions import drawn
from ptheta.metrics.context import Context, shared

MOST = 1000  # maximum pairs of training images


def pairs_of(texts: Sequence[str]) -> np.ndarray:
    """Disjoint pairs of indices of examples with the same caption: int64 (P, 2)."""
    order = np.argsort(texts, kind="stable")
    found, k = [], 0
    while k + 1 < len(order):
        same = texts[order[k]] == texts[order[k + 1]]
        if same:
            found.append(order[k : k + 2])
        k += 1 + same
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def apart(x: Tensor, pairs: np.ndarray) -> Tensor:
    """The mean squared difference of pairs of images, uint8 (N, C, H, W), out of 255^2: float64
    (P,)."""
    a, b = (x[torch.from_numpy(part)].double() for part in pairs.T)
    return (a - b).square().flatten(1).mean(1)


@shared
def apart_in_training(ctx: Context) -> tuple[float, int]:
    """The mean of `apart` over pairs of training images, and the number of pairs."""
    assert ctx.train is not None
    pairs = some(pairs_of(ctx.train.caption_texts() or []), ctx.seed)
    if len(pairs) < LEAST:
        return 0.0, len(pairs)
    x = ctx.train.batch(pairs.flatten()).x
    return apart(x, np.arange(pairs.size).reshape(-1, 2)).mean().item(), len(pairs)


def some(pairs: np.ndarray, seed: int) -> np.ndarray:
    """At most `MOST` of the pairs."""
    if len(pairs) <= MOST:
        return pairs
    return pairs[np.random.default_rng(seed).choice(len(pairs), MOST, replace=False)]


def has_pairs(ctx: Context) -> str:
    """Why real images of one caption cannot be compared; "" if they can."""
    real, n = apart_in_training(ctx)
    if n < LEAST:
        return f"{n} pairs of training images with the same caption: want {LEAST} or more"
    return "" if real else "training images with the same caption are identical"


def caption_variety(ctx: Context) -> Estimate:
    """The mean squared difference of two samples of one caption, divided by that of two training
    images of one caption: 0 if the caption determines the sample, 1 if samples differ as much as
    the data. Any difference counts, including noise."""
    of = drawn(ctx)
    texts = ctx.test.caption_texts() or []
    pairs = pairs_of([texts[row] for row in of.rows.tolist()])
    if len(pairs) < LEAST:
        return Estimate(None, reason=f"{len(pairs)} captions have two samples: want {LEAST}")
    real, n = apart_in_training(ctx)
    groups = replace(of.groups, rows=of.rows[torch.from_numpy(pairs[:, 0])])
    about = {"pairs": len(pairs), "pairs_of_training": n}
    return mean_estimate(apart(of.made, pairs) / real, groups, about)
