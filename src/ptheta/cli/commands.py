"""The group with all its commands: each part adds its own when it is imported."""

from __future__ import annotations

from ptheta.cli import (
    chains,
    changing,
    classify,
    cluster,
    compressing,
    density,
    images,
    imputing,
    inverting,
    latent,
    listing,
    measure,
    neighbours,
    outliers,
    ratio,
    repairing,
    tradeoff,
    train,
    usefulness,
)
from ptheta.cli.common import cli

PARTS = (
    *(listing, train, images, repairing, imputing, latent, inverting, changing, chains),
    *(outliers, classify, cluster, compressing, density, ratio, tradeoff, usefulness, neighbours),
    measure,
)

__all__ = ["PARTS", "cli"]
