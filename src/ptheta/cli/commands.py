"""The group with all its commands: each part adds its own when it is imported."""

from __future__ import annotations

from ptheta.cli import (
    chains,
    classify,
    cluster,
    compressing,
    images,
    imputing,
    latent,
    listing,
    measure,
    outliers,
    repairing,
    train,
    usefulness,
)
from ptheta.cli.common import cli

PARTS = (
    *(listing, train, images, repairing, imputing, latent, chains),
    *(outliers, classify, cluster, compressing, usefulness, measure),
)

__all__ = ["PARTS", "cli"]
