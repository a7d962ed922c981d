"""What a metric looks at must be what the model learned."""

from __future__ import annotations

from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError


def check_same_spec(asked: object, data: Dataset) -> None:
    """Raises PthetaError where the data's examples are not what is asked for."""
    if data.spec != asked:
        raise PthetaError(
            f"{data.name} ({data.split}) has {data.examples} of {data.spec}, the model is for "
            f"{asked}: give data of the same size, channels and levels, or columns"
        )
