"""The training loop: independent of model families, and resumable at any step."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from ptheta.capabilities import HasBound, HasLogProb, stage_of
from ptheta.compute.layout import channels_last
from ptheta.compute.streams import shared
from ptheta.data.dataset import Dataset
from ptheta.dynamics import DYNAMICS
from ptheta.errors import PthetaError
from ptheta.games import Game
from ptheta.models.base import Plays
from ptheta.specs.trust import trusted
from ptheta.terminal.signals import Request, Requests, Stopped, handled, lasting
from ptheta.training import checkpoint, turns
from ptheta.training.ahead import Ahead, carrier
from ptheta.training.averages import NonFinite
from ptheta.training.batch_norm import synchronise
from ptheta.training.ema import EMA
from ptheta.training.engine import Engine, Weighing
from ptheta.training.grids import Grids
from ptheta.training.group import Group
from ptheta.training.pictures import picture_of
from ptheta.training.progress import Progress
from ptheta.training.reporter import Heading, Reporter
from ptheta.training.sampler import Sampler, sampler_for
from ptheta.training.scoring import Score, Scored
from ptheta.training.settings import TrainSettings
from ptheta.training.single import refuse_single
from ptheta.training.state import BEST, Checkpoints
from ptheta.training.weights import Weights


class Trainer:
    """Trains a model by its game on a data set and writes a run folder.

    model: an nn.Module with `game()`, on the CPU; it is moved to the group's device
    folder: existing folder; state/, samples/, metrics.jsonl and model.safetensors are written to it
    score: selects the best checkpoint; None keeps the last
    """

    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        settings: TrainSettings,
        folder: Path,
        group: Group,
        *,
        score: Score | None = None,
        heading: Heading | None = None,
    ) -> None:
        s = self.settings = settings.budget()
        self.data, self.folder, self.group = data, folder, group
        self.heading = heading or Heading()
        self.sampler = self._sampler(model)
        self.total = s.total_steps(self.sampler.per_epoch)
        self.ahead = Ahead(data, self.sampler, carrier(group.device), self.total)
        self.model = channels_last(model.to(group.device))
        if s.sync_batch_norm and group.size > 1:
            synchronise(model, group.size)
        refuse_single(model, self.sampler.batch_size // group.size, group.size)
        self.game = self._game()
        self.engine = Engine(model, self.game, group, Weighing(s.clip, s.free_bits, s.compile))
        self.ema = EMA(model, s.ema) if s.ema else None
        self.weights = Weights(model, self.ema, s.seed)
        chooses = s.best == "metric" and s.evaluate_every > 0
        self.score = score if chooses else None
        self.inspect = score  # used at the end of a run, for the game's monitor
        self.checkpoints = Checkpoints(folder, self.engine, self.weights, s.checkpoint_every)
        picture = picture_of(model, data, self.heading.aside)
        self.grids = Grids(
            *(self.weights, picture, folder / "samples"), s.sample_every, s.sample_minutes
        )
        self.reporter = Reporter(self.engine, s, self.sampler)
        self.progress = self.reporter.progress
        self.started = 0.0  # start time of the run without interruptions
        self.rule = DYNAMICS[s.dynamics].rule
        self.requests = Requests()  # signals received by this process
        self.stopped_by: int | None = None  # the signal that stops all processes

    def _sampler(self, model: nn.Module) -> Sampler:
        """The sampler of the training data."""
        s = self.settings
        return sampler_for(model, self.data, s.batch_size, s.seed, self.group)

    def _game(self) -> Game[object]:
        """The model's game, with alternating phases if the settings ask for them."""
        game = self._game_of_model()
        asked = self.settings.turns()
        if not asked:
            return game
        per_epoch = self.sampler.per_epoch
        return dataclasses.replace(game, phases=turns.phases(asked, game.players, per_epoch))

    def _game_of_model(self) -> Game[object]:
        if not isinstance(self.model, Plays):
            raise PthetaError(f"{type(self.model).__name__} has no game(): define one to train it")
        game: Game[object] = self.model.game()
        if not game.moves:
            raise PthetaError(
                f"the game of {type(self.model).__name__} has no moves: define at least one"
            )
        return game

    @property
    def stop_signal(self) -> int | None:
        """The signal that stopped this run, even if it came after the last step."""
        return self.stopped_by or self.requests.number

    def resume(self) -> bool:
        """Loads the newest complete checkpoint; returns False if there is none yet.

        Raises PthetaError if there are checkpoints but none can be read.
        """
        self.progress = self.reporter.progress = self.checkpoints.resume()
        return self.progress.step > 0

    # -- the loop

    def run(self) -> Progress:
        """Trains to the end, or to the first ending signal; then writes a checkpoint.

        Raises PthetaError, naming step, player, term and the last good checkpoint, if a loss is NaN
        or infinite.
        """
        first = self.progress.step
        self._begin()
        with self._signals(), self.reporter.open(self.folder, self.heading, self.total):
            self._learn()
            if self.stopped_by is None:
                self._end()
            self.progress.seconds = time.monotonic() - self.started
            self._checkpoint()
            if self.group.rank == 0:
                self.grids.last(self.progress.step, new=self.progress.step > first)
        return self.progress

    def _learn(self) -> None:
        """Makes steps until the run is finished or asked to stop."""
        with self._explained():
            while not self._finished():
                if self._step():
                    self._at_intervals(self.progress.step)

    def _begin(self) -> None:
        self.started = time.monotonic() - self.progress.seconds
        self.grids.begin()
        self.model.train()
        if self.game.start is not None and self.progress.step == 0:
            with torch.no_grad():  # the whole batch of step 1, in every process
                self.game.start(self.data.batch(self.sampler.batch(1)).to(self.group.device))

    def _step(self) -> bool:
        """Makes the next step; returns False if there is none."""
        p, s = self.progress, self.settings
        share = self._share()
        p.step += 1
        engine = self.engine
        engine.step, engine.share = p.step, share
        engine.set_lr(s.lr_factor(p.step, share))
        engine.kl_weight = s.kl_weight(p.step)
        # the norm is computed once per interval, since it costs a pass over the gradients
        engine.measure_norms = p.step % s.log_every == 0
        share_of = shared(self.group.rank, self.group.size, self.group.gather)
        with share_of, trusted(not self.group.on_cpu):  # the batch was checked on the host
            self.rule(engine, self.game, p.step, self.ahead.take(p.step))
            if self.game.after is not None:
                with torch.no_grad():
                    self.game.after(p.step)
        if self.ema is not None:
            self.ema.update()
        self.ahead.begin(p.step + 1)  # while the device computes
        self._tell()
        return True

    def _tell(self) -> None:
        """Reports after a step, if due."""
        p = self.progress
        p.seconds = time.monotonic() - self.started
        if p.step % self.settings.log_every == 0 or p.step == self.total:
            self.reporter.log()
        self.reporter.show()

    def _share(self) -> float:
        """Fraction of the run that is done."""
        if self.total is not None:
            return self.progress.step / self.total
        return min(1.0, self.progress.seconds / (60 * (self.settings.minutes or 1)))

    def _finished(self) -> bool:
        p, s = self.progress, self.settings
        # all processes share a clock, and stop after the same step
        asked, p.seconds = self.group.greatest(self.requests.number or 0, p.seconds)
        self.stopped_by = int(asked) or None
        if self.stopped_by is not None or p.ended:
            return True
        if self.total is not None:
            return p.step >= self.total
        return s.minutes is not None and p.seconds >= 60 * s.minutes

    def _at_intervals(self, step: int) -> None:
        s = self.settings
        if s.evaluate_every and step % s.evaluate_every == 0:
            self._score()
        if self.group.rank == 0:
            self.grids.at_interval(step)
        if s.checkpoint_every and step % s.checkpoint_every == 0 and step != self.total:
            self._checkpoint()

    def _end(self) -> None:
        """Computes the last score, and lets the game's monitor check the whole run."""
        # a monitor uses the classes of samples, not the likelihood
        silent = isinstance(self.model, HasBound | HasLogProb) or self.game.monitor is None
        if self.score is None and self.inspect is not None and not silent:
            self._take(self.inspect, choose=False)
        elif self.progress.scored_step != self.progress.step:
            self._score()
        self.reporter.end()

    def _checkpoint(self) -> None:
        chosen = self.score is not None and self.progress.best_step > 0
        self.checkpoints.write(self.progress, chosen=chosen)
        self.reporter.checkpoint()

    # -- scores

    def _score(self) -> None:
        """Evaluates the metric and writes model.safetensors if it is the best so far; for a model
        trained in stages, only in the last stage."""
        if self.score is not None and not stage_of(self.model):
            self.progress.scored_step = self.progress.step
            self._take(self.score, choose=True)

    def _take(self, score: Score, *, choose: bool) -> None:
        """Scores in the first process, while the others wait. choose: whether it selects the
        weights."""
        if self.group.rank == 0:
            with self.weights.resting() as model:
                found = score(model)
            if found is not None:
                self._keep(found, choose=choose)
        self.group.barrier()

    def _keep(self, found: Scored, *, choose: bool) -> None:
        p = self.progress
        if choose and found.beats(p):
            p.best_step, p.best_metric, p.best_value = p.step, found.metric, found.value
            self.weights.write(self.folder / BEST, p.step)
        self.reporter.score(found)

    # -- errors and signals

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Adds the last good checkpoint to the error about a non-finite value."""
        try:
            yield
        except NonFinite as error:
            last = checkpoint.latest(self.checkpoints.state)
            good = f"checkpoint of step {checkpoint.step_of(last)} in {last}" if last else "none"
            raise PthetaError(
                f"{error}; last good checkpoint: {good}; lower --lr, give --clip 1, or use "
                "another --recipe"
            ) from None

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """An ending signal stops the run after the current step; a second one immediately.

        With several processes each finishes the step; only the parent process reacts to a second
        signal.
        """

        def note(number: int) -> None:
            if self.requests.note(number) is Request.AGAIN and self.group.size == 1:
                raise Stopped(number)

        with handled(note), lasting():
            yield
