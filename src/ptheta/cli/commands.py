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
    outliers,
    ratio,
    repairing,
    tradeoff,
    train,
    usefulness,
    walking,
)
from ptheta.cli.common import cli
from ptheta.cli.help import sections

PARTS = (
    *(listing, train, images, repairing, imputing, walking, latent, inverting, changing),
    *(
        chains,
        outliers,
        classify,
        cluster,
        compressing,
        density,
        ratio,
        tradeoff,
        usefulness,
        measure,
    ),
)

for section in sections():
    cli.add_panel(section)

__all__ = ["PARTS", "cli"]
