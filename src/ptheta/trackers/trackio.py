"""Trackio: a local database of runs with a dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ptheta.trackers.sink import Option, Place, package


class Trackio:
    """A run of trackio. It writes to the folder in the environment variable TRACKIO_DIR, which
    trackio reads when it is imported, or else to its own cache folder."""

    def __init__(self, place: Place) -> None:
        self.trackio, self.place = package("trackio", "trackio"), place
        self.opened = False

    def options(self, table: Mapping[str, Option]) -> None:
        self._open(dict(table))

    def values(self, step: int, values: Mapping[str, float]) -> None:
        self._open({})
        self.trackio.log(dict(values), step=step)

    def picture(self, step: int, file: Path) -> None:
        self._open({})
        self.trackio.log({"samples": self.trackio.Image(str(file))}, step=step)

    def results(self, step: int, values: Mapping[str, float]) -> None:
        self.values(step, {f"results/{name}": value for name, value in values.items()})

    def close(self) -> None:
        if self.opened:
            self.trackio.finish()

    def _open(self, config: dict[str, Option]) -> None:
        """Opens the run when its options are known, which trackio takes only then."""
        if not self.opened:
            self.trackio.init(project=self.place.project, name=self.place.name, config=config)
            self.opened = True
