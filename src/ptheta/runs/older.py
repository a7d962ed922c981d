"""config.json as earlier versions wrote it, brought to what this version reads."""

from __future__ import annotations

from ptheta import schemas
from ptheta.conditions import Attributes, ConditionSpec, Labels, to_json
from ptheta.conditions.attributes import places
from ptheta.data.values import USUAL
from ptheta.errors import PthetaError

MOST = 2**16  # of classes and attributes


def upgrade(about: schemas.Config) -> schemas.Config:
    """The same run as this version would have written it; the argument itself is left alone.

    Raises PthetaError for numbers of labels and attributes that are none.
    """
    return _with_names(_with_optimizer(_with_white(about)))


def _with_optimizer(about: schemas.Config) -> schemas.Config:
    """Every optimizer was Adam, and no option said so."""
    if "lr" not in about.config or "optimizer" in about.config:
        return about
    return about.model_copy(update={"config": about.config | {"optimizer": "adam"}})


def _with_white(about: schemas.Config) -> schemas.Config:
    """What was white did not depend on the collection."""
    data = about.dataset
    if "white" in data.model_fields_set:
        return about
    white = {kind: float(value) for kind, value in USUAL.items()}
    return about.model_copy(update={"dataset": data.model_copy(update={"white": white})})


def _with_names(about: schemas.Config) -> schemas.Config:
    """The number of labels and of attributes used to be options of the model; now the names are in
    `condition`, and the option says which kind the model is given."""
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
    if "condition" in options:  # of a GAN: how the label enters
        options["conditioning"] = options.pop("condition")
    else:
        options["condition"] = "none" if condition is None else condition.kind
    values = to_json(condition)
    kept = None if values is None else schemas.Condition.model_validate(values)
    return about.model_copy(update={"config": options, "condition": kept})


def _number(name: str, value: object) -> int:
    """Raises PthetaError for what is no number of labels or attributes."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise PthetaError(f"config.{name}: input should be a number from 0 to {MOST:,}")
    return value
