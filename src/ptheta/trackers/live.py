"""Callbacks that write to a tracker while a run trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ptheta.callbacks import Callback, Moment, options_of, pictures
from ptheta.trackers.sink import Make, Place, Sink
from ptheta.trackers.table import entry


class Tracked(Callback):
    """Writes metrics, sample grids and options to a tracker.

    Args:
        tracker: name of the tracker, from `TRACKERS`
        folder: folder for trackers that write files; default: the folder of this name in the run
            folder
        project: name of the project in the tracker

    Raises:
        PthetaError: for an unknown tracker, or one whose package is not installed
    """

    def __init__(
        self, tracker: str, folder: str | Path | None = None, project: str = "ptheta"
    ) -> None:
        self.tracker, self.project = tracker, project
        self.make: Make = entry(tracker).ready()
        self.folder = None if folder is None else Path(folder)
        self.sink: Sink | None = None
        self.seen = set[Path]()

    def on_log(self, moment: Moment, values: Mapping[str, float]) -> None:
        self._opened(moment).values(moment.step, values)

    def on_checkpoint(self, moment: Moment) -> None:
        self._draw(moment)

    def on_end(self, moment: Moment) -> None:
        self._draw(moment)
        if self.sink is not None:
            self.sink.close()
            self.sink = None

    def _opened(self, moment: Moment) -> Sink:
        if self.sink is None:
            folder = self.folder or moment.folder / self.tracker
            name = moment.folder.resolve().name
            self.sink = self.make(Place(name, folder, self.project))
            self.sink.options(options_of(moment.folder))
        return self.sink

    def _draw(self, moment: Moment) -> None:
        for step, file in pictures(moment.folder, self.seen):
            self._opened(moment).picture(step, file)


class TensorBoard(Tracked):
    """Writes TensorBoard event files: `Tracked("tensorboard", folder)`."""

    def __init__(self, folder: str | Path | None = None) -> None:
        super().__init__("tensorboard", folder)


def chosen(names: Sequence[str], others: Sequence[Callback]) -> tuple[Callback, ...]:
    """The given callbacks, and those of the trackers of these names."""
    return (*others, *(Tracked(name) for name in dict.fromkeys(names)))
