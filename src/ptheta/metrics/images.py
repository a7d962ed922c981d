"""Check that the data of a metric matches that of the model."""

from __future__ import annotations

from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError


def check_same_spec(asked: object, data: Dataset) -> None:
    """Raise PthetaError unless the data's examples match the spec."""
    if data.spec != asked:
        raise PthetaError(
            f"{data.name} ({data.split}) has {data.examples} of {data.spec}, the model is for "
            f"{asked}: give data of the same size, channels and levels, or columns"
        )
