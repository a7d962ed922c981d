"""Pictures that a training draws of its model by steps and, where these are slow, by the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ptheta.files.atomic import writing
from ptheta.training.pictures import Picture
from ptheta.training.weights import Weights


class Pauses:
    """When grids are drawn by the clock: at most a tenth of the time goes into them."""

    def __init__(self) -> None:
        self.step, self.ended, self.took = -1, time.monotonic(), 0.0

    def due(self, minutes: float) -> bool:
        """Whether the last one is long ago; 0 minutes: never."""
        wait = max(60 * minutes, 9 * self.took)
        return minutes > 0 and time.monotonic() - self.ended >= wait

    @contextmanager
    def drawing(self, step: int) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.step, self.ended = step, time.monotonic()
        self.took = self.ended - started


class Grids:
    """The first process draws them and the others need not wait for it, so that it may do so by its
    own clock.

    picture: draws them; None for a model that makes nothing by itself
    every, minutes: between two of them; 0 steps: none at all
    """

    def __init__(
        self, weights: Weights, picture: Picture | None, folder: Path, every: int, minutes: float
    ) -> None:
        self.weights, self.picture, self.folder = weights, picture, folder
        self.every, self.minutes = every, minutes
        self.pauses = Pauses()

    def begin(self) -> None:
        """The clock starts."""
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
        """What the last weights draw. new: whether they are of a step of this process"""
        there = self.pauses.step == step or (not new and self._path(step).exists())
        if self.every and not there:
            self.draw(step)

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.png"
