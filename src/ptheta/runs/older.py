"""config.json as this and earlier versions wrote it, brought to what this version reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptheta import schemas
from ptheta.conditions import Attributes, ConditionSpec, Labels, to_json
from ptheta.config import brief
from ptheta.data.values import USUAL
from ptheta.errors import PthetaError
from ptheta.files.atomic import read_json

MOST = 2**16  # of classes and attributes
WHOLE = "put the file back as training wrote it, or use the ptheta that wrote it"


def read_config(file: Path) -> dict[str, Any]:
    """The whole of config.json. Raises PthetaError where it is not the config of a run, or that of
    a newer ptheta."""
    values = read_json(file)
    if isinstance(values, dict) and "format" in values and values["format"] != schemas.FORMAT:
        raise PthetaError(
            f"{file} has format {brief(values['format'])}, this ptheta reads {schemas.FORMAT}: "
            "use the ptheta that wrote it"
        )
    schemas.check_size(schemas.parse(schemas.Config, values, file, WHOLE).spec, file)
    assert isinstance(values, dict)  # nothing else is parsed
    try:
        return upgrade(values)
    except PthetaError as error:
        raise PthetaError(f"{file}: {error}; {WHOLE}") from None


def upgrade(about: Mapping[str, Any]) -> dict[str, Any]:
    """The whole of config.json, of the form of `ptheta.schemas.Config`; the argument itself is left
    alone. Raises PthetaError for numbers of labels and attributes that are none.

    The number of labels and of attributes used to be options of the model; now the names are in
    `condition`, and the option says which kind the model is given. What was white did not depend on
    the collection. Every optimizer was Adam.
    """
    found = dict(about)
    found["dataset"] = {"white": dict(USUAL)} | dict(found.get("dataset", {}))
    config = dict(found["config"])
    if "lr" in config:
        config.setdefault("optimizer", "adam")
    if "classes" not in config:
        return found | {"config": config}
    classes, attributes = config.pop("classes"), config.pop("attributes", 0)
    for name, value in (("classes", classes), ("attributes", attributes)):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
            raise PthetaError(f"config.{name}: input should be a number from 0 to {MOST:,}")
    condition: ConditionSpec | None = None
    if attributes:
        condition = Attributes(tuple(map(str, range(attributes))))
    elif classes:
        known = found["dataset"].get("classes", [])[:classes]
        condition = Labels((*known, *(f"unused {i}" for i in range(len(known), classes))))
    if "condition" in config:  # of a GAN: how the label enters
        config["conditioning"] = config.pop("condition")
    else:
        config["condition"] = "none" if condition is None else condition.kind
    return found | {"config": config, "condition": to_json(condition)}
