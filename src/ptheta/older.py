"""config.json as earlier versions wrote it, brought to what this version reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ptheta.conditions import Attributes, ConditionSpec, Labels, to_json


def upgrade(about: Mapping[str, Any]) -> dict[str, Any]:
    """The whole of config.json; the argument itself is left alone.

    The number of labels and of attributes used to be options of the model; now the names are in
    `condition`, and the option says which kind the model is given.
    """
    found = dict(about)
    config = dict(found["config"])
    if "classes" not in config:
        return found
    classes, attributes = config.pop("classes"), config.pop("attributes", 0)
    condition: ConditionSpec | None = None
    if attributes:
        condition = Attributes(tuple(map(str, range(attributes))))
    elif classes:
        known = found.get("dataset", {}).get("classes", [])[:classes]
        condition = Labels((*known, *(f"unused {i}" for i in range(len(known), classes))))
    if "condition" in config:  # of a GAN: how the label enters
        config["conditioning"] = config.pop("condition")
    else:
        config["condition"] = "none" if condition is None else condition.kind
    return found | {"config": config, "condition": to_json(condition)}
