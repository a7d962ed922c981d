"""TensorBoard event files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ptheta.errors import PthetaError
from ptheta.trackers.sink import Option, Place

if TYPE_CHECKING:
    import numpy as np


class Writer(Protocol):
    """The methods used of a `SummaryWriter`."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...
    def add_image(
        self, tag: str, img_tensor: np.ndarray, global_step: int, *, dataformats: str
    ) -> None: ...
    def add_text(self, tag: str, text_string: str, global_step: int) -> None: ...
    def close(self) -> None: ...


class Events:
    """Metrics, sample grids, a table of the options, and results under `results/`."""

    def __init__(self, place: Place) -> None:
        self.writer = writer_class()(str(place.folder))

    def options(self, table: Mapping[str, Option]) -> None:
        rows = [f"| {name} | {value} |" for name, value in table.items()]
        self.writer.add_text("options", "\n".join(["| option | value |", "|---|---|", *rows]), 0)

    def values(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def picture(self, step: int, file: Path) -> None:
        from ptheta.files.images import read_rgb  # and torch

        self.writer.add_image("samples", read_rgb(file), step, dataformats="HWC")

    def results(self, step: int, values: Mapping[str, float]) -> None:
        self.values(step, {f"results/{name}": value for name, value in values.items()})

    def close(self) -> None:
        self.writer.close()


def writer_class() -> Callable[[str], Writer]:
    """That of the installed package: torch's, which needs `tensorboard`, or tensorboardX's.

    Raises:
        PthetaError: if neither is installed
    """
    for name in ("torch.utils.tensorboard", "tensorboardX"):
        try:
            made: Callable[[str], Writer] = import_module(name).SummaryWriter
        except ImportError:
            continue
        return made
    raise PthetaError(
        "TensorBoard events need the extra: pip install 'ptheta[tensorboard]', or tensorboardX"
    )
