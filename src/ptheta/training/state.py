"""What a checkpoint holds of a training, and how a run goes on from one.

Nothing in it belongs to one of several processes: they have the same weights, the same random
stream and the same sums, so that a run goes on with another number of them.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ptheta import schemas
from ptheta.errors import PthetaError
from ptheta.files.atomic import write_json
from ptheta.files.tensors import load_like, load_metadata, load_tensors, load_weights, save_tensors
from ptheta.games import Remembering
from ptheta.training import checkpoint
from ptheta.training.averages import NonFinite
from ptheta.training.engine import Engine
from ptheta.training.metric_logger import keep_until
from ptheta.training.progress import Progress
from ptheta.training.weights import Weights

BEST, LAST = "model.safetensors", "last.safetensors"


@dataclass
class Checkpoints:
    """Writes and reads the checkpoints of a run.

    folder: of the run; every: steps between two checkpoints
    damaged: those that could not be read
    """

    folder: Path
    engine: Engine
    weights: Weights
    every: int
    damaged: list[Path] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    # -- writing

    def write(self, progress: Progress, *, chosen: bool) -> None:
        """chosen: whether model.safetensors holds the best weights, so that the last lie elsewhere

        Raises NonFinite where a weight is not finite.
        """
        self._check(progress.step)
        group, first = self.engine.group, self.engine.group.rank == 0
        group.barrier()  # until nobody raises
        if first:
            temporary = checkpoint.begin(self.state, progress.step)
            self._fill(temporary, progress)
            # before the checkpoint: a run that goes on from the one before writes them again
            self.weights.write(self.folder / (LAST if chosen else BEST), progress.step)
            checkpoint.commit(temporary, self.damaged)
        group.barrier()

    def _check(self, step: int) -> None:
        self.engine.finite.check()
        for name, parameters in self.engine.parameters.items():
            if not all(torch.isfinite(p).all() for p in parameters):
                raise NonFinite(step, name, "weights", math.nan)

    def _fill(self, temporary: Path, progress: Progress) -> None:
        none: dict[str, str] = {}
        checkpoint.write_streams(temporary, self._interval())
        save_tensors(temporary / "model.safetensors", self.weights.model.state_dict(), none)
        save_tensors(temporary / "optimizers.safetensors", self.engine.state(), none)
        if self.weights.ema is not None:
            save_tensors(temporary / "ema.safetensors", self.weights.ema.state(), none)
            progress.ema_updates = self.weights.ema.updates
        write_json(temporary / "progress.json", progress.to_json())

    def _interval(self) -> checkpoint.Interval:
        """What lies between two lines of the log."""
        found: checkpoint.Interval = {"sums": self.engine.averages.interval()}
        if (monitor := self._remembering()) is not None:
            found["alarm"] = monitor.memory()
        return found

    def _remembering(self) -> Remembering | None:
        """The game's monitor, where it keeps something from one interval to the next."""
        monitor = self.engine.game.monitor
        return monitor if isinstance(monitor, Remembering) else None

    # -- going on

    def resume(self) -> Progress:
        """Goes back to the newest checkpoint that is whole, or to the beginning.

        Raises PthetaError where there are some and none can be read.
        """
        faults: list[str] = []
        progress = Progress()
        for folder in reversed(checkpoint.checkpoints(self.state)):
            progress, fault = self._tried(folder)
            if self.engine.group.everywhere(not fault):
                break
            self.damaged.append(folder)
            faults.append(fault or f"another process cannot read {folder}")
        else:
            if faults:
                raise PthetaError(
                    f"{faults[0]}; no other checkpoint can be read: train into a new --out"
                )
            self._check_begins()
        if self.engine.group.rank == 0:
            self._cut(progress, faults)
        return progress

    def _tried(self, folder: Path) -> tuple[Progress, str]:
        """Loads a checkpoint: where the run is, and why it cannot be loaded, empty where it was."""
        try:
            return self._load(folder), ""
        except PthetaError as error:
            return Progress(), str(error)

    def _load(self, folder: Path) -> Progress:
        checkpoint.verify(folder)
        progress = Progress.read(folder / "progress.json")
        load_weights(self.weights.model, folder / "model.safetensors")
        file = folder / "optimizers.safetensors"
        try:
            self.engine.load(load_tensors(file), begun=progress.step > 0)
        except PthetaError as error:
            raise PthetaError(f"{file}: {error}") from None
        if self.weights.ema is not None:
            average = load_like(self.weights.ema.state(), folder / "ema.safetensors")
            self.weights.ema.load(average, progress.ema_updates)
        self._set_interval(checkpoint.read_streams(folder), folder)
        return progress

    def _set_interval(self, found: checkpoint.Interval, folder: Path) -> None:
        try:
            self.engine.averages.set_interval(found.get("sums", {}))
            monitor = self._remembering()
            if monitor is not None and "alarm" in found:
                monitor.recall(found["alarm"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PthetaError(f"{folder} holds other sums than a run writes: {error}") from None

    def _cut(self, progress: Progress, faults: list[str]) -> None:
        """Files that go by steps end where the run goes on."""
        step = progress.step
        if faults:
            warnings.warn(f"{faults[0]}; the run goes on from step {step}", stacklevel=3)
        progress.lines = keep_until(self.folder / "metrics.jsonl", step, progress.lines)
        warned = self.folder / "warnings.jsonl"
        progress.warnings = keep_until(warned, step, progress.warnings, schemas.Warned)

    def _check_begins(self) -> None:
        """Raises PthetaError where a run without a checkpoint has had one: it would begin anew and
        write over what it has learned."""
        if self.state.exists() and not self.state.is_dir():
            raise PthetaError(
                f"{self.state} is not a folder: put the checkpoints back in its place"
            )
        for name in (BEST, LAST):
            file = self.folder / name
            step = load_metadata(file).get("step", "") if file.is_file() else ""
            if self.every and step.isdecimal() and int(step) > self.every:
                raise PthetaError(
                    f"{file} is of step {step}, and {self.state} holds no checkpoint to go on "
                    "from: put it back, or train into a new --out"
                )
