"""What a tracker must be able to receive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Protocol

from ptheta.errors import PthetaError

Option = str | int | float | bool


@dataclass(frozen=True)
class Place:
    """Where a run is written.

    Attributes:
        name: Name of the run.
        folder: Folder for trackers that write files.
        project: Name of the project or experiment that the run belongs to.
    """

    name: str
    folder: Path
    project: str = "ptheta"


class Sink(Protocol):
    """One run in a tracker, open for writing."""

    def options(self, table: Mapping[str, Option]) -> None:
        """The model, data and options of the run: names as in `ptheta.callbacks.options_of`."""
        ...

    def values(self, step: int, values: Mapping[str, float]) -> None:
        """Metrics after a step."""
        ...

    def picture(self, step: int, file: Path) -> None:
        """A grid of samples after a step, a PNG."""
        ...

    def results(self, step: int, values: Mapping[str, float]) -> None:
        """Results of the evaluation of the whole run, by name."""
        ...

    def close(self) -> None:
        """Ends the run; everything is written afterwards."""
        ...


Make = Callable[[Place], Sink]


def package(name: str, extra: str) -> ModuleType:
    """The package of a tracker. Raises PthetaError if it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise PthetaError(
            f"tracker {extra} needs a package that is not installed ({error}): pip install "
            f"'ptheta[{extra}]'"
        ) from None
