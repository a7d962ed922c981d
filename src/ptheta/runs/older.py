"""Upgrades config.json of earlier versions."""

from __future__ import annotations

from ptheta import schemas
from ptheta.conditions import Attributes, ConditionSpec, Labels, to_json
from ptheta.conditions.attributes import places
from ptheta.data.values import USUAL
from ptheta.errors import PthetaError

MOST = 2**16  # maximum number of classes and attributes


def upgrade(about: schemas.Config) -> schemas.Config:
    """Returns a copy as this version would have written it.

    Raises PthetaError for invalid numbers of labels and attributes.
    """
    return _with_names(_with_optimizer(_with_white(about)))


def _with_optimizer(about: schemas.Config) -> schemas.Config:
    """Adds the optimizer, which was always Adam."""
    if "lr" not in about.config or "optimizer" in about.config:
        return about
    return about.model_copy(update={"config": about.config | {"optimizer": "adam"}})


def _with_white(about: schemas.Config) -> schemas.Config:
    """Adds the value of white, which did not depend on the data set."""
    data = about.dataset
    if "white" in data.model_fields_set:
        return about
    white = {kind: float(value) for kind, value in USUAL.items()}
    return about.model_copy(update={"dataset": data.model_copy(update={"white": white})})


def _with_names(about: schemas.Config) -> schemas.Config:
    """Converts numbers of labels and attributes, formerly model options, to names in `condition`
    and an option for its kind."""
    options = dict(about.config)
    if "classes" not in options:
        return about
    classes = _number("classes", options.pop("classes"))
    attributes = _number("attributes", options.pop("attributes", 0))
    condition: ConditionSpec | None = None
    if attributes:
        condition = Attributes(places(attributes))
    elif classes:
        known = about.dataset.classes[:classes]
        condition = Labels((*known, *(f"unused {i}" for i in range(len(known), classes))))
    if "condition" in options:  # for a GAN: how the label is used
        options["conditioning"] = options.pop("condition")
    else:
        options["condition"] = "none" if condition is None else condition.kind
    values = to_json(condition)
    kept = None if values is None else schemas.Condition.model_validate(values)
    return about.model_copy(update={"config": options, "condition": kept})


def _number(name: str, value: object) -> int:
    """Raises PthetaError for an invalid number of labels or attributes."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise PthetaError(f"config.{name}: input should be a number from 0 to {MOST:,}")
    return value
