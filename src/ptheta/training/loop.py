"""The training loop: any game, any family, resumable at any moment."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ptheta import schemas
from ptheta.batch import Batch
from ptheta.capabilities import HasBound, HasLogProb, Samples, some_conditions
from ptheta.compute.layout import channels_last
from ptheta.compute.streams import seeded
from ptheta.data.dataset import Dataset
from ptheta.dynamics import DYNAMICS
from ptheta.errors import PthetaError
from ptheta.files.atomic import read_json, write_json, writing
from ptheta.files.images import grid, write_png
from ptheta.files.tensors import load_like, load_metadata, load_tensors, load_weights, save_tensors
from ptheta.games import END, Remembers
from ptheta.terminal.signals import Request, Requests, Stopped, handled, lasting
from ptheta.training import checkpoint
from ptheta.training.ema import EMA
from ptheta.training.engine import Engine, NonFinite
from ptheta.training.group import Group
from ptheta.training.journal import Journal, keep_until
from ptheta.training.order import Order
from ptheta.training.settings import TrainSettings
from ptheta.training.single import refuse_single

GRID = 64  # images in a sample grid
SETTLED = 100  # steps: what a shorter run ends as is how it began, and no verdict on it


class Scored(NamedTuple):
    """What a model scores on held-out images; others: numbers to write beside it."""

    metric: str
    value: float
    lower_is_better: bool
    others: Mapping[str, float] = {}


Score = Callable[[nn.Module], Scored]


@dataclass
class Progress:
    """Where a run is; all of it is in the checkpoint."""

    step: int = 0
    seconds: float = 0.0  # of training so far, all parts of the run together
    ema_updates: int = 0
    best_step: int = 0
    best_metric: str = ""
    best_value: float = math.nan
    scored_step: int = 0  # the last step at which the metric was taken
    logged_step: int = 0  # the last step that has a line of its interval
    logged_seconds: float = 0.0
    lines: int | None = 0  # of metrics.jsonl; None in a checkpoint of an older ptheta
    warnings: int | None = 0  # lines of warnings.jsonl
    alarmed: tuple[str, ...] = ()  # kinds of warnings that have been told

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        if math.isnan(self.best_value):
            values["best_value"] = None
        return values

    @classmethod
    def from_json(cls, values: Any, file: Path | str = "progress.json") -> Progress:
        """file: for messages. Raises PthetaError where `values` is not what `to_json` gives."""
        told = schemas.parse(schemas.Progress, values, file, "go back to an older checkpoint")
        found = told.model_dump()
        if told.best_value is None:
            found["best_value"] = math.nan
        for name, known in (("logged_step", told.step), ("logged_seconds", told.seconds)):
            if found[name] is None:
                found[name] = known
        return cls(**found)

    @classmethod
    def read(cls, file: Path) -> Progress:
        """Raises PthetaError where the file is missing or damaged."""
        return cls.from_json(read_json(file), file)


class Grids:
    """When sample grids are drawn by the clock: at most a tenth of the time goes into them."""

    def __init__(self, now: float) -> None:
        self.step, self.ended, self.took = -1, now, 0.0

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


class Trainer:
    """Trains a model on a data set and writes a run folder.

    model: an nn.Module with `game()`, on the CPU; it is moved to the group's device
    folder: exists; gets state/, samples/, metrics.jsonl and model.safetensors
    score: chooses the best checkpoint; None keeps the last
    notes: lines about the data, said at the start
    """

    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        settings: TrainSettings,
        folder: Path,
        group: Group,
        *,
        title: str = "",
        score: Score | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.model = channels_last(model.to(group.device))
        self.data, self.settings = data, settings.budget()
        self.folder, self.group, self.title, self.notes = folder, group, title, notes
        chooses = settings.best == "metric" and settings.evaluate_every > 0
        self.score = score if chooses else None
        self.inspect = score  # at the end of a run, for the game's alarm
        self.order = Order(len(data), settings.batch_size, settings.seed, group.rank, group.size)
        refuse_single(model, self.order.batch_size // group.size, group.size)
        self.total = settings.total_steps(self.order.per_epoch)
        self.game = model.game()  # type: ignore[operator]
        self.engine = Engine(
            model,
            self.game,
            group,
            clip=settings.clip,
            compile=settings.compile,
            free_bits=settings.free_bits,
        )
        self.ema = EMA(model, settings.ema) if settings.ema else None
        self.progress = Progress()
        self.damaged: list[Path] = []  # checkpoints that could not be read
        self.grids = Grids(time.monotonic())
        self.requests = Requests()  # signals that this process got
        self.stopped_by: int | None = None  # the one by which all processes stop
        self.journal: Journal | None = None

    @property
    def stop_signal(self) -> int | None:
        """The signal that asked this run to end, if only after its last step."""
        return self.stopped_by or self.requests.number

    # -- the loop

    def run(self) -> Progress:
        """Trains to the end, or to the first SIGINT, SIGTERM or SIGHUP; then writes a checkpoint.

        Raises PthetaError, naming step, player, term and the last good checkpoint, where a loss
        is NaN or infinite.
        """
        started, before = time.monotonic(), self.progress.seconds
        first, self.grids = self.progress.step, Grids(started)
        step_rule = DYNAMICS[self.settings.dynamics]
        self.model.train()
        if self.game.before is not None and self.progress.step == 0:
            with torch.no_grad():
                self.game.before(self._first_batch())
        with self._signals(), self._journal():
            try:
                while not self._finished():
                    p = self.progress
                    p.step += 1
                    self._set_lr(p)
                    self.engine.step = p.step
                    # one norm in each interval: it costs a pass over the gradients
                    self.engine.measure_norms = p.step % self.settings.log_every == 0
                    self.engine.kl_weight = self.settings.kl_weight(p.step)
                    step_rule(self.engine, self.game, p.step, self._batch(p.step))
                    if self.game.after is not None:
                        with torch.no_grad():
                            self.game.after(p.step)
                    if self.ema is not None:
                        self.ema.update()
                    p.seconds = before + time.monotonic() - started
                    if p.step % self.settings.log_every == 0 or p.step == self.total:
                        self._log()
                    self._show(p)
                    self._at_intervals(p.step)
            except NonFinite as error:
                last = checkpoint.latest(self.folder / "state")
                good = (
                    f"checkpoint of step {checkpoint.step_of(last)} in {last}" if last else "none"
                )
                raise PthetaError(
                    f"{error}; last good checkpoint: {good}; lower --lr or give --clip 1"
                ) from None
            if self.stopped_by is None:
                self._end()
            self.progress.seconds = before + time.monotonic() - started
            self._checkpoint()
            self._last_grid(new=self.progress.step > first)
        return self.progress

    def _end(self) -> None:
        """The last score, and what the game has to say of the run as a whole."""
        # a likelihood tells an alarm nothing new, the classes of samples do
        silent = isinstance(self.model, HasBound | HasLogProb) or self.game.alarm is None
        if self.score is None and self.inspect is not None and not silent:
            self._inspect(self.inspect)
        elif self.progress.scored_step != self.progress.step:
            self._score()
        settled = self.progress.step >= SETTLED
        if self.game.alarm is not None and self.journal is not None and settled:
            self._warn(self.progress.step, self.game.alarm({END: 1.0}))

    def _inspect(self, score: Score) -> None:
        """Takes the metric of a run that chooses no checkpoint by it, for the alarm alone."""
        if self.group.rank == 0:
            self._report(*self._taken(score))
        self.group.barrier()

    def _finished(self) -> bool:
        p, s = self.progress, self.settings
        # all processes have one clock, and stop after the same step
        asked, p.seconds = self.group.greatest(self.requests.number or 0, p.seconds)
        self.stopped_by = int(asked) or None
        done = self.stopped_by is not None
        if self.total is not None:
            done = done or p.step >= self.total
        elif s.minutes is not None:
            done = done or p.seconds >= 60 * s.minutes
        return done

    def _set_lr(self, p: Progress) -> None:
        if self.total is not None:
            share = (p.step - 1) / self.total
        else:
            share = min(1.0, p.seconds / (60 * (self.settings.minutes or 1)))
        self.engine.set_lr(self.settings.lr_factor(p.step, share))

    def _first_batch(self) -> Batch:
        """The images of step 1, all of them in every process."""
        everyone = Order(len(self.data), self.settings.batch_size, self.settings.seed)
        return self.data.batch(everyone.indices(1)).to(self.group.device)

    def _batch(self, step: int) -> Batch:
        return self.data.batch(self.order.indices(step)).to(self.group.device)

    def _at_intervals(self, step: int) -> None:
        s = self.settings
        if s.evaluate_every and step % s.evaluate_every == 0:
            self._score()
        if s.sample_every and (step % s.sample_every == 0 or self.grids.due(s.sample_minutes)):
            self._sample(step)
        if s.checkpoint_every and step % s.checkpoint_every == 0 and step != self.total:
            self._checkpoint()

    def _log(self) -> None:
        self.engine.check()
        p = self.progress
        values = self.engine.averages()
        steps, took = p.step - p.logged_step, max(p.seconds - p.logged_seconds, 1e-9)
        if self.journal is not None:
            values["images_per_s"] = round(steps * self.order.batch_size / took, 1)
            values["epoch"] = round(p.step / self.order.per_epoch, 3)
            self._tell(values, self.engine.by_player(values))
            self._alarm(p.step, values)
        p.logged_step, p.logged_seconds = p.step, p.seconds

    def _show(self, p: Progress) -> None:
        """On the screen alone: slow steps are seen before a line of metrics.jsonl is due."""
        if self.journal is not None:
            self.journal.advance(p.step, p.seconds)
            if self.journal.due and self.engine.sums:
                self.journal.show(self.engine.by_player(self.engine.so_far()))

    def _tell(self, values: dict[str, float], losses: dict[str, float] | None = None) -> None:
        """A line of metrics.jsonl."""
        if self.journal is not None:
            self.journal.report(self.progress.step, self.progress.seconds, values, losses)
            self.progress.lines = (self.progress.lines or 0) + 1

    def _alarm(self, step: int, values: dict[str, float]) -> None:
        """Says each kind of warning of the game once, when it first comes up."""
        learned = not any(name.startswith("held_out/") for name in values)
        if self.settings.treats_kl and learned and not any(n.endswith("/kl") for n in values):
            raise PthetaError(
                "beta, beta_warmup and free_bits weigh a loss term named kl, and this model has "
                f"none ({', '.join(n for n in values if '/' in n)}): leave them out"
            )
        if self.game.alarm is None or self.journal is None:
            return
        found = self.game.alarm(values)
        if step >= SETTLED:
            self._warn(step, found)

    def _warn(self, step: int, found: Mapping[str, str]) -> None:
        """Each kind once."""
        if self.journal is None:
            return
        p = self.progress
        for kind in sorted(found.keys() - set(p.alarmed)):
            self.journal.warn(step, found[kind])
            p.alarmed = (*p.alarmed, kind)
            p.warnings = (p.warnings or 0) + 1

    # -- weights, samples, scores

    @contextmanager
    def _resting(self) -> Iterator[nn.Module]:
        """The model as a user will have it: averaged weights, eval mode, its own random stream."""
        with torch.no_grad(), seeded(self.settings.seed):
            self.model.eval()
            try:
                if self.ema is not None:
                    with self.ema.in_use():
                        yield self.model
                else:
                    yield self.model
            finally:
                self.model.train()

    def _weights(self) -> dict[str, Tensor]:
        """The weights to use: averaged where an average is kept."""
        return self.model.state_dict() | (self.ema.state() if self.ema is not None else {})

    def _write_weights(self, name: str) -> None:
        metadata = {"step": str(self.progress.step)}
        save_tensors(self.folder / name, self._weights(), metadata)

    def _score(self) -> None:
        """Takes the metric and writes model.safetensors where it is the best so far."""
        if self.score is None:
            return
        p = self.progress
        p.scored_step = p.step
        if self.group.rank == 0:
            name, value, lower, _ = taken = self._taken(self.score)
            better = math.isfinite(value) and (
                math.isnan(p.best_value)
                or name != p.best_metric
                or (value < p.best_value if lower else value > p.best_value)
            )
            if better:
                p.best_step, p.best_metric, p.best_value = p.step, name, value
                self._write_weights("model.safetensors")
            self._report(*taken)
        self.group.barrier()

    def _taken(self, score: Score) -> Scored:
        with self._resting() as model:
            return score(model)

    def _report(self, name: str, value: float, lower: bool, others: Mapping[str, float]) -> None:
        if self.journal is not None:
            told = {f"held_out/{k}": v for k, v in {name: value, **others}.items()}
            self._tell(told)
            self._alarm(self.progress.step, told)

    def _sample(self, step: int) -> None:
        """A grid of samples. The first process draws it and the others need not wait for it, so
        that it may do so by its own clock."""
        if self.group.rank != 0 or not isinstance(self.model, Samples):
            return
        with self.grids.drawing(step):
            with self._resting() as model:
                x = model.sample(GRID, some_conditions(model, GRID))  # type: ignore[operator]
            path = self._grid_of(step)
            with writing(path.parent):
                path.parent.mkdir(exist_ok=True)
            write_png(path, grid(x), scale=2)

    def _grid_of(self, step: int) -> Path:
        return self.folder / "samples" / f"step-{step:08d}.png"

    def _last_grid(self, *, new: bool) -> None:
        """What the last weights draw. new: whether they are of a step of this process"""
        step = self.progress.step
        there = self.grids.step == step or (not new and self._grid_of(step).exists())
        if self.settings.sample_every and not there:
            self._sample(step)

    # -- checkpoints

    def _checkpoint(self) -> None:
        self.engine.check()
        for name, parameters in self.engine.parameters.items():
            if not all(torch.isfinite(p).all() for p in parameters):
                raise NonFinite(self.progress.step, name, "weights", math.nan)
        state = self.folder / "state"
        first = self.group.rank == 0
        beside = state / f".step-{self.progress.step:08d}"
        if first:
            beside = checkpoint.begin(state, self.progress.step)
        self.group.barrier()
        checkpoint.write_rank(beside, self.group.rank, self._own())
        if first:
            none: dict[str, str] = {}
            save_tensors(beside / "model.safetensors", self.model.state_dict(), none)
            save_tensors(beside / "optimizers.safetensors", self.engine.state(), none)
            if self.ema is not None:
                save_tensors(beside / "ema.safetensors", self.ema.state(), none)
                self.progress.ema_updates = self.ema.updates
            write_json(beside / "progress.json", self.progress.to_json())
        self.group.barrier()
        if first:
            # before the checkpoint: a run that goes on from the one before writes them again
            best_chosen = self.score is not None and self.progress.best_step > 0
            self._write_weights("last.safetensors" if best_chosen else "model.safetensors")
            checkpoint.commit(beside, self.damaged)
        self.group.barrier()

    def _own(self) -> dict[str, Any]:
        """What each process has of its own between two lines of the log."""
        own: dict[str, Any] = {"sums": self.engine.interval()}
        if isinstance(self.game.alarm, Remembers):
            own["alarm"] = self.game.alarm.memory()
        return own

    def resume(self) -> bool:
        """Goes back to the newest checkpoint that is whole; False where there is none yet.

        Raises PthetaError where there are some and none can be read.
        """
        faults: list[str] = []
        for folder in reversed(checkpoint.checkpoints(self.folder / "state")):
            fault = self._fault(folder)
            if self.group.everywhere(not fault):
                break
            self.damaged.append(folder)
            faults.append(fault or f"another process cannot read {folder}")
        else:
            if faults:
                raise PthetaError(
                    f"{faults[0]}; no other checkpoint can be read: train into a new --out"
                )
            self._check_begins()
        if self.group.rank == 0:
            p = self.progress
            if faults:
                warnings.warn(f"{faults[0]}; the run goes on from step {p.step}", stacklevel=2)
            p.lines = keep_until(self.folder / "metrics.jsonl", p.step, p.lines)
            told = self.folder / "warnings.jsonl"
            p.warnings = keep_until(told, p.step, p.warnings, schemas.Warned)
        return self.progress.step > 0

    def _check_begins(self) -> None:
        """Raises PthetaError where a run without a checkpoint has had one: it would begin anew and
        write over what it has learned."""
        state, every = self.folder / "state", self.settings.checkpoint_every
        if state.exists() and not state.is_dir():
            raise PthetaError(f"{state} is not a folder: put the checkpoints back in its place")
        for name in ("model.safetensors", "last.safetensors"):
            file = self.folder / name
            step = load_metadata(file).get("step", "") if file.is_file() else ""
            if every and step.isdecimal() and int(step) > every:
                raise PthetaError(
                    f"{file} is of step {step}, and {state} holds no checkpoint to go on from: "
                    "put it back, or train into a new --out"
                )

    def _fault(self, folder: Path) -> str:
        """Loads a checkpoint; why that cannot be done, empty where it was."""
        try:
            self._load(folder)
        except PthetaError as error:
            return str(error)
        return ""

    def _load(self, folder: Path) -> None:
        checkpoint.verify(folder)
        self.progress = Progress.read(folder / "progress.json")
        load_weights(self.model, folder / "model.safetensors")
        file = folder / "optimizers.safetensors"
        try:
            self.engine.load(load_tensors(file), begun=self.progress.step > 0)
        except PthetaError as error:
            raise PthetaError(f"{file}: {error}") from None
        if self.ema is not None:
            average = load_like(self.ema.state(), folder / "ema.safetensors")
            self.ema.load(average, self.progress.ema_updates)
        own = checkpoint.read_rank(folder, self.group.rank)
        try:
            self.engine.set_interval(own.get("sums", {}))
            if isinstance(self.game.alarm, Remembers) and "alarm" in own:
                self.game.alarm.recall(own["alarm"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PthetaError(f"{folder} holds other sums than a run writes: {error}") from None

    # -- the outside world

    @contextmanager
    def _journal(self) -> Iterator[None]:
        """The first process reports; the others are silent."""
        if self.group.rank == 0:
            minutes = self.settings.minutes
            self.journal = Journal(
                self.folder / "metrics.jsonl",
                title=self.title,
                total=self.total,
                seconds=None if minutes is None else 60 * minutes,
                done=(self.progress.step, self.progress.seconds),
                tensorboard=self.settings.tensorboard,
            )
            for note in (*self.notes, *self._alike()):
                self.journal.say(note)
        try:
            yield
        finally:
            if self.journal is not None:
                self.journal.close()

    def _alike(self) -> list[str]:
        """Of dynamics that are the usual ones here."""
        if self.settings.dynamics != "simultaneous" or len(self.game.moves) > 1:
            return []
        return ["dynamics simultaneous: this model has one player, for which it is as alternating"]

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """An ending signal ends the run after the step at hand; a second one at once.

        Of several processes each goes on to that step: the one that started them is impatient.
        """

        def note(number: int) -> None:
            if self.requests.note(number) is Request.AGAIN and self.group.size == 1:
                raise Stopped(number)

        with handled(note), lasting():
            yield
