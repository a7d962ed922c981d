"""What a run tells of itself: lines of metrics.jsonl, the screen, and warnings of the game."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ptheta.callbacks import Callback, Callbacks, Moment, usual
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.games import END, Monitor
from ptheta.training.engine import Engine
from ptheta.training.metric_logger import MetricLogger
from ptheta.training.progress import Progress
from ptheta.training.sampler import Sampler
from ptheta.training.scoring import Scored
from ptheta.training.settings import NO_KL, TrainSettings

SETTLED = 100  # steps: what a shorter run ends as is how it began, and no verdict on it


@dataclass(frozen=True)
class Heading:
    """title: of the run; notes: lines about the data, said at the start
    callbacks: that follow the training
    examples: what the data are called, such as "images" or "rows"
    aside: those that are not trained on, to show the model with; None where there are none
    """

    title: str = ""
    notes: tuple[str, ...] = ()
    callbacks: tuple[Callback, ...] = ()
    examples: str = "images"
    aside: Dataset | None = None


class Reporter:
    """The first process reports; those of the others say nothing. sampler: of the training data"""

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
        """Inside, there is somebody to report to, in the first process."""
        if self.engine.group.rank == 0:
            minutes = self.settings.minutes
            callbacks = usual(self.settings.tensorboard, heading.callbacks)
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
        """Of dynamics that are the usual ones here."""
        if self.settings.dynamics != "simultaneous" or len(self.engine.game.moves) > 1:
            return ()
        return ("dynamics simultaneous: this model has one player, for which it is as alternating",)

    def checkpoint(self) -> None:
        """One was written."""
        self.callbacks.on_checkpoint(self._moment())

    def _moment(self) -> Moment:
        return Moment(self.folder, self.progress.step, self.progress.seconds)

    # -- numbers of training

    def log(self) -> None:
        """The line of an interval that ends here."""
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
        """On the screen alone: slow steps are seen before a line of metrics.jsonl is due."""
        if self.logger is not None:
            self.logger.advance(self.progress.step, self.progress.seconds)
            if self.logger.due and self.engine.averages.sums:
                self.logger.show(self.engine.by_player(self.engine.averages.so_far()))

    def _line(self, values: Mapping[str, float], losses: Mapping[str, float] | None = None) -> None:
        """A line of metrics.jsonl."""
        if self.logger is not None:
            self.logger.report(self.progress.step, self.progress.seconds, values, losses)
            self.progress.lines = (self.progress.lines or 0) + 1
            self.callbacks.on_log(self._moment(), values)

    def _check_kl(self, values: Mapping[str, float]) -> None:
        """Raises PthetaError where settings of the kl have nothing to weigh."""
        if self.settings.treats_kl and self.engine.lacks_kl():
            raise PthetaError(
                f"{NO_KL}, and this model has none ({', '.join(n for n in values if '/' in n)}): "
                "leave them out"
            )

    # -- numbers of held-out images

    def score(self, found: Scored) -> None:
        values = {found.metric: found.value, **found.others}
        metrics = {f"held_out/{name}": value for name, value in values.items()}
        self._line(metrics)
        self._watch(metrics)

    # -- warnings

    def end(self) -> None:
        """What the game has to say of the run as a whole."""
        self._watch({END: 1.0}, settled_only=True)

    def _watch(self, values: Mapping[str, float], *, settled_only: bool = False) -> None:
        """Says each kind of warning of the game once, when it first comes up.

        settled_only: nothing is asked of the monitor where the run is too short for a verdict
        """
        settled = self.progress.step >= SETTLED
        if self.monitor is None or self.logger is None or (settled_only and not settled):
            return
        found = self.monitor(values)
        if settled:
            self._warn(found)

    def _warn(self, found: Mapping[str, str]) -> None:
        """Each kind once."""
        p = self.progress
        if self.logger is None:
            return
        for kind in sorted(found.keys() - set(p.alarmed)):
            self.logger.warn(p.step, found[kind])
            p.alarmed = (*p.alarmed, kind)
            p.warnings = (p.warnings or 0) + 1
