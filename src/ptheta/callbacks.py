"""Callbacks that observe a training run, such as experiment trackers.

`ptheta.train(..., callbacks=[...])` calls them in the training process; they do not change the
weights. A callback that raises an error is disabled with a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ptheta.config import brief
from ptheta.files.atomic import read_json


@dataclass(frozen=True)
class Moment:
    """State of a training run. folder: the run folder; step: last completed step; seconds: training
    time so far."""

    folder: Path
    step: int
    seconds: float


class Callback:
    """Base class of callbacks. A subclass overrides any of the three methods."""

    def on_log(self, moment: Moment, values: Mapping[str, float]) -> None:
        """Called for each line of metrics.jsonl, with its values by name."""

    def on_checkpoint(self, moment: Moment) -> None:
        """Called after a checkpoint and model.safetensors are written."""

    def on_end(self, moment: Moment) -> None:
        """Called when training is finished, stopped by a signal, or ended by an error."""


class Callbacks:
    """Calls several callbacks. say: function that prints a line for the user."""

    def __init__(self, callbacks: Iterable[Callback], say: Callable[[str], None]) -> None:
        self.callbacks, self.say = list(callbacks), say

    def on_log(self, moment: Moment, values: Mapping[str, float]) -> None:
        self._each(lambda callback: callback.on_log(moment, values))

    def on_checkpoint(self, moment: Moment) -> None:
        self._each(lambda callback: callback.on_checkpoint(moment))

    def on_end(self, moment: Moment) -> None:
        self._each(lambda callback: callback.on_end(moment))

    def _each(self, call: Callable[[Callback], None]) -> None:
        for callback in list(self.callbacks):
            try:
                call(callback)
            except Exception as error:  # a failing callback must not stop the training
                self.callbacks.remove(callback)
                what = f"{type(callback).__name__} failed ({type(error).__name__}: {brief(error)})"
                self.say(f"callback {what}: it is disabled")


def options_of(folder: Path) -> dict[str, str | int | float | bool]:
    """The model, data and all options of a run as a flat table: "train/lr" and so on, lists as
    text."""
    about = read_json(folder / "config.json")
    if not isinstance(about, dict):
        return {}
    found: dict[str, object] = {name: about.get(name) for name in ("model", "recipe", "source")}
    for part in ("config", "data", "train"):
        options = about.get(part)
        if isinstance(options, dict):
            found |= {f"{part}/{name}": value for name, value in options.items()}
    plain = (str, int, float, bool)
    return {
        name: value if isinstance(value, plain) else str(value)
        for name, value in found.items()
        if value is not None
    }


def pictures(folder: Path, seen: set[Path]) -> Iterable[tuple[int, Path]]:
    """(step, file) of each sample grid of a run that is not in `seen`."""
    for file in sorted((folder / "samples").glob("step-*.png")):
        if file not in seen:
            seen.add(file)
            yield int(file.stem.removeprefix("step-")), file


class Tracker(Callback):
    """Passes metrics to any tracker that takes a dictionary: `Tracker(log=wandb.log)`.

    log: called with the values of each line, including "step" and "seconds"
    """

    def __init__(self, log: Callable[[dict[str, float]], object]) -> None:
        self.log = log

    def on_log(self, moment: Moment, values: Mapping[str, float]) -> None:
        self.log({"step": moment.step, "seconds": moment.seconds, **values})
