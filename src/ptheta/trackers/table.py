"""The trackers, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ptheta.errors import unknown
from ptheta.trackers import mlflow, tensorboard, trackio, wandb
from ptheta.trackers.sink import Make, package


@dataclass(frozen=True)
class TrackerEntry:
    """about: what it is, and where it writes; make: opens a run in it; check: raises PthetaError if
    its package is not installed"""

    about: str
    make: Make
    check: Callable[[], object]

    def ready(self) -> Make:
        """What opens a run. Raises PthetaError if its package is not installed."""
        self.check()
        return self.make


# a new tracker is an entry here
TRACKERS: dict[str, TrackerEntry] = {
    "tensorboard": TrackerEntry(
        "event files in a folder", tensorboard.Events, tensorboard.writer_class
    ),
    "trackio": TrackerEntry(
        "a local database with a dashboard, in the folder TRACKIO_DIR",
        trackio.Trackio,
        partial(package, "trackio", "trackio"),
    ),
    "wandb": TrackerEntry(
        "Weights & Biases; WANDB_MODE=offline needs no account",
        wandb.Wandb,
        partial(package, "wandb", "wandb"),
    ),
    "mlflow": TrackerEntry(
        "a server at MLFLOW_TRACKING_URI, else a database in a folder",
        mlflow.MLflow,
        partial(package, "mlflow", "mlflow"),
    ),
}


def entry(name: str) -> TrackerEntry:
    """Raises PthetaError naming the nearest tracker."""
    if name not in TRACKERS:
        raise unknown("tracker", name, TRACKERS)
    return TRACKERS[name]
