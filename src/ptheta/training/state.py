"""Contents of a checkpoint, and resuming from one.

It has no per-process state: all processes share weights, random stream and sums, so that a run can
resume with another number of processes.
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
    damaged: checkpoints that could not be read
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
        """Writes a checkpoint. chosen: whether model.safetensors has the best weights, so that the
        last ones are stored elsewhere

        Raises NonFinite if a weight is not finite.
        """
        self._check(progress.step)
        group, first = self.engine.group, self.engine.group.rank == 0
        group.barrier()  # wait until no process raises
        if first:
            temporary = checkpoint.begin(self.state, progress.step)
            self._fill(temporary, progress)
            # before the checkpoint: a run resumed from the previous one rewrites them
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
        """State between two log lines."""
        found: checkpoint.Interval = {"sums": self.engine.averages.interval()}
        if (monitor := self._remembering()) is not None:
            found["alarm"] = monitor.memory()
        if self.engine.scales:
            found["scales"] = self.engine.scale_state()
        return found

    def _remembering(self) -> Remembering | None:
        """The game's monitor, if it has a state."""
        monitor = self.engine.game.monitor
        return monitor if isinstance(monitor, Remembering) else None

    # -- resuming

    def resume(self) -> Progress:
        """Loads the newest complete checkpoint, or starts from the beginning.

        Raises PthetaError if there are checkpoints but none can be read.
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
        """Loads a checkpoint; returns the progress, and the reason if it cannot be loaded."""
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
            self.engine.load_scales(found.get("scales", {}))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PthetaError(f"{folder} contains invalid sums or scales: {error}") from None

    def _cut(self, progress: Progress, faults: list[str]) -> None:
        """Truncates the log files to the step from which the run resumes."""
        step = progress.step
        if faults:
            warnings.warn(f"{faults[0]}; the run resumes from step {step}", stacklevel=3)
        progress.lines = keep_until(self.folder / "metrics.jsonl", step, progress.lines)
        warned = self.folder / "warnings.jsonl"
        progress.warnings = keep_until(warned, step, progress.warnings, schemas.Warned)

    def _check_begins(self) -> None:
        """Raises PthetaError if a run's checkpoints were removed, since it would start again and
        overwrite its weights."""
        if self.state.exists() and not self.state.is_dir():
            raise PthetaError(f"{self.state} is not a folder: restore the checkpoints there")
        for name in (BEST, LAST):
            file = self.folder / name
            step = load_metadata(file).get("step", "") if file.is_file() else ""
            if self.every and step.isdecimal() and int(step) > self.every:
                raise PthetaError(
                    f"{file} is from step {step}, and {self.state} has no checkpoint to resume "
                    "from: restore it, or train into a new --out"
                )
