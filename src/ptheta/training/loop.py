"""The training loop: any game, any family, resumable at any moment."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ptheta.capabilities import HasBound, HasLogProb, Samples, some_conditions
from ptheta.data.dataset import Dataset
from ptheta.dynamics import DYNAMICS
from ptheta.errors import PthetaError
from ptheta.files import read_json, write_json
from ptheta.games import END
from ptheta.images import grid, write_png
from ptheta.pixels import Batch, seeded
from ptheta.training import checkpoint
from ptheta.training.ema import EMA
from ptheta.training.engine import Engine, NonFinite
from ptheta.training.journal import Journal, keep_until
from ptheta.training.order import Order
from ptheta.training.settings import TrainSettings

GRID = 64  # images in a sample grid


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

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        if math.isnan(self.best_value):
            values["best_value"] = None
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Progress:
        if values["best_value"] is None:
            values = values | {"best_value": math.nan}
        return cls(**values)


class Trainer:
    """Trains a model on a data set and writes a run folder.

    model: an nn.Module with `game()`, on the CPU; it is moved to the fabric's device
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
        fabric: Any,
        *,
        title: str = "",
        score: Score | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.model = channels_last(model.to(fabric.device))
        self.data, self.settings = data, settings.budget()
        self.folder, self.fabric, self.title, self.notes = folder, fabric, title, notes
        chooses = settings.best == "metric" and settings.evaluate_every > 0
        self.score = score if chooses else None
        self.inspect = score  # at the end of a run, for the game's alarm
        self.order = Order(
            len(data), settings.batch_size, settings.seed, fabric.global_rank, fabric.world_size
        )
        self.total = settings.total_steps(self.order.per_epoch)
        self.game = model.game()  # type: ignore[operator]
        self.engine = Engine(
            model,
            self.game,
            fabric,
            clip=settings.clip,
            compile=settings.compile,
            free_bits=settings.free_bits,
        )
        self.alarmed: set[str] = set()
        self.ema = EMA(model, settings.ema) if settings.ema else None
        self.progress = Progress()
        self.stop_signal: int | None = None
        self.journal: Journal | None = None

    # -- the loop

    def run(self) -> Progress:
        """Trains to the end, or to the first SIGINT or SIGTERM; then writes a checkpoint.

        Raises PthetaError, naming step, player, term and the last good checkpoint, where a loss
        is NaN or infinite.
        """
        started, before = time.monotonic(), self.progress.seconds
        step_rule = DYNAMICS[self.settings.dynamics]
        self.model.train()
        if self.game.before is not None and self.progress.step == 0:
            with torch.no_grad():
                self.game.before(self._first_batch())
        with self._signals(), self._journal():
            logged = (self.progress.step, before)
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
                        logged = self._log(logged)
                    if self.journal is not None:
                        self.journal.advance(p.step, p.seconds)
                    self._at_intervals(p.step)
            except NonFinite as error:
                last = checkpoint.latest(self.folder / "state")
                good = (
                    f"checkpoint of step {checkpoint.step_of(last)} in {last}" if last else "none"
                )
                raise PthetaError(
                    f"{error}; last good checkpoint: {good}; lower --lr or give --clip 1"
                ) from None
            if self.stop_signal is None:
                self._end()
            self.progress.seconds = before + time.monotonic() - started
            self._checkpoint()
        return self.progress

    def _end(self) -> None:
        """The last score, and what the game has to say of the run as a whole."""
        # a likelihood tells an alarm nothing new, the classes of samples do
        silent = isinstance(self.model, HasBound | HasLogProb) or self.game.alarm is None
        if self.score is None and self.inspect is not None and not silent:
            self._inspect(self.inspect)
        elif self.progress.scored_step != self.progress.step:
            self._score()
        if self.game.alarm is not None and self.journal is not None:
            self._warn(self.progress.step, self.game.alarm({END: 1.0}))

    def _inspect(self, score: Score) -> None:
        """Takes the metric of a run that chooses no checkpoint by it, for the alarm alone."""
        if self.fabric.global_rank == 0:
            self._report(*self._taken(score))
        self.fabric.barrier()

    def _finished(self) -> bool:
        p, s = self.progress, self.settings
        done = self.stop_signal is not None
        if self.total is not None:
            done = done or p.step >= self.total
        elif s.minutes is not None:
            done = done or p.seconds >= 60 * s.minutes
        if self.fabric.world_size > 1:  # all processes stop after the same step
            done = self.fabric.broadcast(done)
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
        return self.data.batch(everyone.indices(1)).to(self.fabric.device)

    def _batch(self, step: int) -> Batch:
        return self.data.batch(self.order.indices(step)).to(self.fabric.device)

    def _at_intervals(self, step: int) -> None:
        s = self.settings
        if s.evaluate_every and step % s.evaluate_every == 0:
            self._score()
        if s.sample_every and step % s.sample_every == 0:
            self._sample(step)
        if s.checkpoint_every and step % s.checkpoint_every == 0:
            self._checkpoint()

    def _log(self, since: tuple[int, float]) -> tuple[int, float]:
        self.engine.check()
        p = self.progress
        values = self.engine.averages()
        if self.journal is not None:
            took = max(p.seconds - since[1], 1e-9)
            values["images_per_s"] = round((p.step - since[0]) * self.order.batch_size / took, 1)
            values["epoch"] = round(p.step / self.order.per_epoch, 3)
            if self.total is not None:
                left = (self.total - p.step) * took / (p.step - since[0])
            else:
                left = 60 * (self.settings.minutes or 0) - p.seconds
            self.journal.report(p.step, p.seconds, values, left)
            self._alarm(p.step, values)
        return p.step, p.seconds

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
        self._warn(step, self.game.alarm(values))

    def _warn(self, step: int, found: Mapping[str, str]) -> None:
        """Each kind once."""
        if self.journal is None:
            return
        for kind in sorted(found.keys() - self.alarmed):
            self.journal.warn(step, found[kind])
        self.alarmed |= set(found)

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
        checkpoint.save_tensors(self.folder / name, self._weights(), metadata)

    def _score(self) -> None:
        """Takes the metric and writes model.safetensors where it is the best so far."""
        if self.score is None:
            return
        p = self.progress
        p.scored_step = p.step
        if self.fabric.global_rank == 0:
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
        self.fabric.barrier()

    def _taken(self, score: Score) -> Scored:
        with self._resting() as model:
            return score(model)

    def _report(self, name: str, value: float, lower: bool, others: Mapping[str, float]) -> None:
        if self.journal is not None:
            told = {f"held_out/{k}": v for k, v in {name: value, **others}.items()}
            self.journal.report(self.progress.step, self.progress.seconds, told, math.nan)
            self._alarm(self.progress.step, told)

    def _sample(self, step: int) -> None:
        if self.fabric.global_rank == 0 and isinstance(self.model, Samples):
            with self._resting() as model:
                x = model.sample(GRID, some_conditions(model, GRID))  # type: ignore[operator]
            samples = self.folder / "samples"
            samples.mkdir(exist_ok=True)
            write_png(samples / f"step-{step:08d}.png", grid(x), scale=2)
        self.fabric.barrier()

    # -- checkpoints

    def _checkpoint(self) -> None:
        self.engine.check()
        for name, parameters in self.engine.parameters.items():
            if not all(torch.isfinite(p).all() for p in parameters):
                raise NonFinite(self.progress.step, name, "weights", math.nan)
        state = self.folder / "state"
        first = self.fabric.global_rank == 0
        beside = state / f".step-{self.progress.step:08d}"
        if first:
            beside = checkpoint.begin(state, self.progress.step)
        self.fabric.barrier()
        checkpoint.write_rank(beside, self.fabric.global_rank)
        if first:
            none: dict[str, str] = {}
            checkpoint.save_tensors(beside / "model.safetensors", self.model.state_dict(), none)
            checkpoint.save_tensors(beside / "optimizers.safetensors", self.engine.state(), none)
            if self.ema is not None:
                checkpoint.save_tensors(beside / "ema.safetensors", self.ema.state(), none)
                self.progress.ema_updates = self.ema.updates
            write_json(beside / "progress.json", self.progress.to_json())
        self.fabric.barrier()
        if first:
            checkpoint.commit(beside)
            best_chosen = self.score is not None and self.progress.best_step > 0
            self._write_weights("last.safetensors" if best_chosen else "model.safetensors")
        self.fabric.barrier()

    def resume(self) -> bool:
        """Goes back to the newest checkpoint; False where there is none yet."""
        found = checkpoint.latest(self.folder / "state")
        if found is not None:
            self.model.load_state_dict(checkpoint.load_tensors(found / "model.safetensors"))
            self.engine.load(checkpoint.load_tensors(found / "optimizers.safetensors"))
            self.progress = Progress.from_json(read_json(found / "progress.json"))
            if self.ema is not None:
                self.ema.load(
                    checkpoint.load_tensors(found / "ema.safetensors"), self.progress.ema_updates
                )
            checkpoint.read_rank(found, self.fabric.global_rank)
        if self.fabric.global_rank == 0:
            keep_until(self.folder / "metrics.jsonl", self.progress.step)
        return found is not None

    # -- the outside world

    @contextmanager
    def _journal(self) -> Iterator[None]:
        """The first process reports; the others are silent."""
        if self.fabric.global_rank == 0:
            minutes = self.settings.minutes
            self.journal = Journal(
                self.folder / "metrics.jsonl",
                title=self.title,
                total=self.total,
                seconds=None if minutes is None else 60 * minutes,
                done=self.progress.step if self.total is not None else self.progress.seconds,
                tensorboard=self.settings.tensorboard,
            )
            for note in self.notes:
                self.journal.say(f"{self.title}  {note}")
        try:
            yield
        finally:
            if self.journal is not None:
                self.journal.close()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM end the run after the step at hand; another Ctrl-C at once."""

        def stop(number: int, frame: object) -> None:
            self.stop_signal = number
            signal.signal(signal.SIGINT, signal.default_int_handler)

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in before:
            signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def channels_last(model: nn.Module) -> nn.Module:
    """The model with its convolutions laid out pixel by pixel: about a quarter faster on the CPU,
    where measured (see docs/benchmarks.md), and the layout that GPUs prefer."""
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The lines of a run's metrics.jsonl; a half-written last line is left out."""
    path = folder / "metrics.jsonl"
    lines = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return lines
