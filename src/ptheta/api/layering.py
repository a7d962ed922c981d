"""What each layer of codes carries, of one run or of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ptheta.api.on_device import on_device
from ptheta.data.memory import Source
from ptheta.errors import PthetaError
from ptheta.files.out import check_file
from ptheta.metrics.layers import LayerKL, LayersJson, layer_kl
from ptheta.report import figures
from ptheta.runs.folder import Run


@dataclass(frozen=True)
class Layers:
    """runs: the KL of each layer of each run; path: the picture, where one was asked for"""

    runs: tuple[LayerKL, ...]
    path: Path | None = None

    def table(self) -> list[list[str]]:
        """The heads first."""
        return [
            ["run", "layer", "KL, nats", "share"],
            *(r for run in self.runs for r in run.rows()),
        ]

    def to_json(self) -> list[LayersJson]:
        return [run.to_json() for run in self.runs]


@on_device
def layers(
    runs: str | Path | Run | Sequence[str | Path | Run],
    n: int = 2000,
    *,
    data: Source | None = None,
    weights: str = "best",
    seed: int = 0,
    out: str | Path | None = None,
    device: str | None = None,
) -> Layers:
    """The KL of each layer of codes on n test examples, of one run or of several. The parts add up
    to the KL of the bound, so a layer with next to none of it says nothing of the data.

    data: where the runs' data lies now, or other examples; weights: "best" or "last"
    out: a .png to draw bars into, a group for each run; device: as for `ptheta.sample`
    Raises PthetaError for a run whose model has no bound by a posterior.
    """
    place = None if out is None else check_file(out, (".png",))
    every = [runs] if isinstance(runs, str | Path | Run) else list(runs)
    if not every:
        raise PthetaError("no run is given: give one or more")
    opened = [Run.open(run) for run in every]
    found = tuple(
        layer_kl(run.model(weights), run.data("test", data), run.name, n=n, seed=seed)
        for run in opened
    )
    return Layers(found, None if place is None else figures.layers(found, place))
