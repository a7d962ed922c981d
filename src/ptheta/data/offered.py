"""The conditions that training data can give: labels and attributes, by their names in it."""

from __future__ import annotations

from ptheta.conditions import Attributes, ConditionSpec, Labels
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError


def offered(kind: str, data: Dataset, source: str) -> ConditionSpec | None:
    """The condition of this kind that training data can give.

    kind: "none", "labels" (those that occur in the data) or "attributes"
    source: for messages

    Raises PthetaError where the data has no such condition.
    """
    if kind == "none":
        return None
    if kind == "labels":
        if data.labels is None:
            raise PthetaError(
                f"{source} has no labels, and the model is conditional on them: put the images "
                "into one subfolder for each class, or train an unconditional model"
            )
        return Labels(data.present_classes())
    if data.attributes is None:
        raise PthetaError(
            f"{source} has no attributes, and the model is conditional on them: "
            "give data with attributes, or leave out --condition attributes"
        )
    size = data.attributes.shape[1]
    return Attributes(data.attribute_names or tuple(map(str, range(size))))
