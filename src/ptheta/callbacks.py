"""Callbacks: what follows a training from outside, such as an experiment tracker.

`ptheta.train(..., callbacks=[...])` calls them in the process that trains; what they do changes no
weight. One that raises an error is not called any more, and a line says so.
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
    """Where a training is. folder: of the run; step: that is done; seconds: of training so far"""

    folder: Path
    step: int
    seconds: float


class Callback:
    """Follows a training. A subclass has those of the three methods that it wants."""

    def on_log(self, moment: Moment, values: Mapping[str, float]) -> None:
        """A line of metrics.jsonl: its numbers by name."""

    def on_checkpoint(self, moment: Moment) -> None:
        """A checkpoint is written, and model.safetensors with it."""

    def on_end(self, moment: Moment) -> None:
        """The training is over: finished, stopped by a signal, or ended by an error."""


class Callbacks:
    """Several as one. say: takes a line for the user"""

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
            except Exception as error:  # whatever it does is no reason to lose a training
                self.callbacks.remove(callback)
                what = f"{type(callback).__name__} failed ({type(error).__name__}: {brief(error)})"
                self.say(f"callback {what}: it is not called any more")


def options_of(folder: Path) -> dict[str, str | int | float | bool]:
    """The model, the data and every option of a run, flat: "train/lr" and the like, lists as
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
    """(step, file) of each sample grid of a run that was not seen yet."""
    for file in sorted((folder / "samples").glob("step-*.png")):
        if file not in seen:
            seen.add(file)
            yield int(file.stem.removeprefix("step-")), file


class Tracker(Callback):
    """Hands numbers to any tracker that takes a dictionary: `Tracker(log=wandb.log)`.

    log: is given the numbers of a line, with "step" and "seconds" among them
    """

    def __init__(self, log: Callable[[dict[str, float]], object]) -> None:
        self.log = log

    def on_log(self, moment: Moment, values: Mapping[str, float]) -> None:
        self.log({"step": moment.step, "seconds": moment.seconds, **values})


class Writer(Protocol):
    """What is used of a `SummaryWriter`."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...
    def add_image(
        self, tag: str, img_tensor: np.ndarray, global_step: int, *, dataformats: str
    ) -> None: ...
    def add_text(self, tag: str, text_string: str, global_step: int) -> None: ...
    def close(self) -> None: ...


class TensorBoard(Callback):
    """Writes event files for TensorBoard: numbers, sample grids, and the options as a table.

    folder: where to; default: the folder "tensorboard" of the run
    Raises PthetaError where neither `tensorboard` nor `tensorboardX` is installed.
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
    """The class of the package that is there: torch's needs `tensorboard`, the other is smaller."""
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
    """Those that are asked for, and TensorBoard's where the option is on."""
    return (*others, TensorBoard()) if tensorboard else tuple(others)
