"""Reporting of a run: metrics.jsonl, the screen, and warnings of the game."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ptheta.callbacks import Callback, Callbacks, Moment
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.games import END, Monitor
from ptheta.trackers.live import chosen
from ptheta.training.engine import Engine
from ptheta.training.metric_logger import MetricLogger
from ptheta.training.progress import Progress
from ptheta.training.sampler import Sampler
from ptheta.training.scoring import Scored
from ptheta.training.settings import NO_KL, TrainSettings

SETTLED = 100  # minimum number of steps before a run is judged by its end


@dataclass(frozen=True)
class Heading:
    """title: of the run; notes: lines about the data, printed at the start
    callbacks: callbacks of the training
    examples: plural name of the examples, such as "images" or "rows"
    aside: validation examples, to show the model with; None if there are none
    """

    title: str = ""
    notes: tuple[str, ...] = ()
    callbacks: tuple[Callback, ...] = ()
    examples: str = "images"
    aside: Dataset | None = None


class Reporter:
    """Reports in the first process; silent in the others. sampler: of the training data"""

    def __init__(self, engine: Engine, settings: TrainSettings, sampler: Sampler) -> None:
        self.engine, self.settings = engine, settings
        self.monitor: Monitor | None = engine.game.monitor
        self.per_epoch, self.batch_size = sampler.per_epoch, sampler.batch_size
        self.progress = Progress()
        self.logger: MetricLogger | None = None
        self.callbacks = Callbacks((), lambda line: None)
        self.folder = Path()

    @contextmanager
    def open(self, folder: Path, heading: Heading, total: int | None) -> Iterator[None]:
        """Context in which the first process reports."""
        if self.engine.group.rank == 0:
            minutes = self.settings.minutes
            callbacks = chosen(self.settings.trackers, heading.callbacks)
            self.logger = MetricLogger(
                folder / "metrics.jsonl",
                title=heading.title,
                examples=heading.examples,
                total=total,
                seconds=None if minutes is None else 60 * minutes,
                done=(self.progress.step, self.progress.seconds),
            )
            self.folder = folder
            self.callbacks = Callbacks(callbacks, self.logger.say)
            for note in (*heading.notes, *self._alike()):
                self.logger.say(note)
        try:
            yield
        finally:
            self.callbacks.on_end(self._moment())
            if self.logger is not None:
                self.logger.close()

    def _alike(self) -> Sequence[str]:
        """A remark if the dynamics have no effect here."""
        if self.settings.dynamics != "simultaneous" or len(self.engine.game.moves) > 1:
            return ()
        return ("dynamics simultaneous: this model has one player, so it equals alternating",)

    def checkpoint(self) -> None:
        """Reports a written checkpoint."""
        self.callbacks.on_checkpoint(self._moment())

    def _moment(self) -> Moment:
        return Moment(self.folder, self.progress.step, self.progress.seconds)

    def say(self, text: str) -> None:
        """Prints a line."""
        if self.logger is not None:
            self.logger.say(text)

    # -- training metrics

    def log(self) -> None:
        """Logs the line of the interval that ends here."""
        self.engine.finite.check()
        p = self.progress
        values = self.engine.averages.take()
        steps, took = p.step - p.logged_step, max(p.seconds - p.logged_seconds, 1e-9)
        if self.logger is not None:
            values["images_per_s"] = round(steps * self.batch_size / took, 1)
            values["epoch"] = round(p.step / self.per_epoch, 3)
            self._line(values, self.engine.by_player(values))
            self._check_kl(values)
            self._watch(values)
        p.logged_step, p.logged_seconds = p.step, p.seconds

    def show(self) -> None:
        """Updates only the screen, so that slow steps are visible before a log line is due."""
        if self.logger is not None:
            self.logger.advance(self.progress.step, self.progress.seconds)
            if self.logger.due and self.engine.averages.sums:
                self.logger.show(self.engine.by_player(self.engine.averages.so_far()))

    def _line(self, values: Mapping[str, float], losses: Mapping[str, float] | None = None) -> None:
        """Writes a line of metrics.jsonl."""
        if self.logger is not None:
            self.logger.report(self.progress.step, self.progress.seconds, values, losses)
            self.progress.lines = (self.progress.lines or 0) + 1
            self.callbacks.on_log(self._moment(), values)

    def _check_kl(self, values: Mapping[str, float]) -> None:
        """Raises PthetaError if settings for a kl term have no effect."""
        if self.settings.treats_kl and self.engine.lacks_kl():
            raise PthetaError(
                f"{NO_KL}, and this model has none ({', '.join(n for n in values if '/' in n)}): "
                "leave them out"
            )

    # -- held-out metrics

    def score(self, found: Scored) -> None:
        values = {found.metric: found.value, **found.others}
        metrics = {f"held_out/{name}": value for name, value in values.items()}
        self._line(metrics)
        self._watch(metrics)

    # -- warnings

    def end(self) -> None:
        """Gives the monitor's warnings about the whole run."""
        self._watch({END: 1.0}, settled_only=True)

    def _watch(self, values: Mapping[str, float], *, settled_only: bool = False) -> None:
        """Gives each kind of the game's warnings once.

        settled_only: skip the monitor if the run is too short to judge
        """
        settled = self.progress.step >= SETTLED
        if self.monitor is None or self.logger is None or (settled_only and not settled):
            return
        found = self.monitor(values)
        if settled:
            self._warn(found)

    def _warn(self, found: Mapping[str, str]) -> None:
        """Gives each kind once."""
        p = self.progress
        if self.logger is None:
            return
        for kind in sorted(found.keys() - set(p.alarmed)):
            self.logger.warn(p.step, found[kind])
            p.alarmed = (*p.alarmed, kind)
            p.warnings = (p.warnings or 0) + 1
