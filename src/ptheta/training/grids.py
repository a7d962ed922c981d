"""Sample grids during training, at intervals of steps or of time if steps are slow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ptheta.files.atomic import writing
from ptheta.training.pictures import Picture
from ptheta.training.weights import Weights


class Pauses:
    """Timing of grids: at most a tenth of the time is spent on them."""

    def __init__(self) -> None:
        self.step, self.ended, self.took = -1, time.monotonic(), 0.0

    def due(self, minutes: float) -> bool:
        """Whether a grid is due; 0 minutes: never."""
        wait = max(60 * minutes, 9 * self.took)
        return minutes > 0 and time.monotonic() - self.ended >= wait

    @contextmanager
    def drawing(self, step: int) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.step, self.ended = step, time.monotonic()
        self.took = self.ended - started


class Grids:
    """Draws the grids in the first process; the others do not wait for it.

    picture: draws a grid; None for a model without output to show
    every, minutes: steps and minutes between two grids; 0 steps: none
    """

    def __init__(
        self, weights: Weights, picture: Picture | None, folder: Path, every: int, minutes: float
    ) -> None:
        self.weights, self.picture, self.folder = weights, picture, folder
        self.every, self.minutes = every, minutes
        self.pauses = Pauses()

    def begin(self) -> None:
        """Starts the clock."""
        self.pauses = Pauses()

    def at_interval(self, step: int) -> None:
        if self.every and (step % self.every == 0 or self.pauses.due(self.minutes)):
            self.draw(step)

    def draw(self, step: int) -> None:
        if self.picture is None:
            return
        with self.pauses.drawing(step), self.weights.resting() as model:
            with writing(self.folder):
                self.folder.mkdir(exist_ok=True)
            self.picture.write(self._path(step), model)

    def last(self, step: int, *, new: bool) -> None:
        """Draws a grid with the last weights. new: whether they are from a step of this process."""
        there = self.pauses.step == step or (not new and self._path(step).exists())
        if self.every and not there:
            self.draw(step)

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.png"
