"""Experiment trackers: where the metrics, pictures and results of a run are also written."""

from ptheta.trackers.live import TensorBoard, Tracked, chosen
from ptheta.trackers.sink import Place, Sink
from ptheta.trackers.table import TRACKERS, TrackerEntry

__all__ = [
    "TRACKERS",
    "Place",
    "Sink",
    "TensorBoard",
    "Tracked",
    "TrackerEntry",
    "chosen",
]
