"""Callbacks that observe a training run, such as experiment trackers.

`ptheta.train(..., callbacks=[...])` calls them in the training process; they do not change the
weights. A callback that raises an error is disabled with a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ptheta.config import brief
from ptheta.errors import PthetaError
from ptheta.files.atomic import read_json

if TYPE_CHECKING:
    import numpy as np


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


class Writer(Protocol):
    """The methods used of a `SummaryWriter`."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...
    def add_image(
        self, tag: str, img_tensor: np.ndarray, global_step: int, *, dataformats: str
    ) -> None: ...
    def add_text(self, tag: str, text_string: str, global_step: int) -> None: ...
    def close(self) -> None: ...


class TensorBoard(Callback):
    """Writes TensorBoard event files: metrics, sample grids, and a table of the options.

    folder: where to write; default: the folder "tensorboard" in the run folder
    Raises PthetaError if neither `tensorboard` nor `tensorboardX` is installed.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.make = _writer()
        self.folder = None if folder is None else Path(folder)
        self.writer: Writer | None = None
        self.seen = set[Path]()

    def on_log(self, moment: Moment, values: Mapping[str, float]) -> None:
        writer = self._opened(moment)
        for name, value in values.items():
            writer.add_scalar(name, value, moment.step)

    def on_checkpoint(self, moment: Moment) -> None:
        self._draw(moment)

    def on_end(self, moment: Moment) -> None:
        self._draw(moment)
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _opened(self, moment: Moment) -> Writer:
        if self.writer is None:
            self.writer = self.make(str(self.folder or moment.folder / "tensorboard"))
            rows = (f"| {name} | {value} |" for name, value in options_of(moment.folder).items())
            table = "\n".join(["| option | value |", "|---|---|", *rows])
            self.writer.add_text("options", table, moment.step)
        return self.writer

    def _draw(self, moment: Moment) -> None:
        from ptheta.files.images import read_rgb  # and torch

        for step, file in pictures(moment.folder, self.seen):
            self._opened(moment).add_image("samples", read_rgb(file), step, dataformats="HWC")


def _writer() -> Callable[[str], Writer]:
    """The writer class of the installed package: torch's, which needs `tensorboard`, or
    tensorboardX's."""
    for package in ("torch.utils.tensorboard", "tensorboardX"):
        try:
            made: Callable[[str], Writer] = import_module(package).SummaryWriter
        except ImportError:
            continue
        return made
    raise PthetaError(
        "TensorBoard events (--tensorboard) need the extra: pip install 'ptheta[tensorboard]', or "
        "tensorboardX"
    )


def usual(tensorboard: bool, others: Sequence[Callback]) -> tuple[Callback, ...]:
    """The given callbacks, and TensorBoard's if the option is on."""
    return (*others, TensorBoard()) if tensorboard else tuple(others)
