"""Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ptheta.files.atomic import make_folder
from ptheta.trackers.sink import Option, Place, package


class Wandb:
    """A run of wandb: metrics with their steps, sample grids, options as its config, and results in
    its summary.

    Its own environment variables apply, such as WANDB_MODE=offline, which needs no account.
    """

    def __init__(self, place: Place) -> None:
        self.wandb = package("wandb", "wandb")
        folder = make_folder(place.folder)
        self.run = self.wandb.init(
            project=place.project, name=place.name, dir=str(folder), reinit="create_new"
        )

    def options(self, table: Mapping[str, Option]) -> None:
        self.run.config.update(dict(table), allow_val_change=True)

    def values(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def picture(self, step: int, file: Path) -> None:
        self.run.log({"samples": self.wandb.Image(str(file))}, step=step)

    def results(self, step: int, values: Mapping[str, float]) -> None:
        self.run.summary.update({f"results/{name}": value for name, value in values.items()})

    def close(self) -> None:
        self.run.finish()
