"""Conditions: what a model's output depends on besides noise. Names come from the data only.

A new kind of condition needs a class and an entry of `KINDS`; the command line, the run folder, the
tasks and the figures use it. A conditional model is built as `Model(spec, config, condition)`, and
its run keeps the condition.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter, ValidationError

from ptheta.batch import Condition, Together
from ptheta.conditions.attributes import Attributes
from ptheta.conditions.base import ConditionSpec
from ptheta.conditions.image import Image
from ptheta.conditions.labels import Labels
from ptheta.conditions.several import Several
from ptheta.conditions.text import Text
from ptheta.conditions.units import TextUnit
from ptheta.config import option, reason
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError, unknown
from ptheta.specs import ImageSpec

__all__ = [
    "KINDS",
    "Attributes",
    "Condition",
    "ConditionSpec",
    "Conditional",
    "Image",
    "Kinds",
    "Labels",
    "Several",
    "Text",
    "Together",
    "Worded",
    "classes_of",
    "from_json",
    "input_of",
    "is_condition",
    "of_data",
    "to_json",
    "wanted",
    "word",
]

Kind = type[Labels] | type[Attributes] | type[Text] | type[Image]
KINDS: dict[str, Kind] = {cls.kind: cls for cls in (Labels, Attributes, Text, Image)}
NONE = "none"
JOINED = "+"


def kinds(text: str) -> tuple[str, ...]:
    """The kinds named by a value of `--condition`. Raises PthetaError for an unknown kind."""
    if text == NONE:
        return ()
    found = tuple(part.strip() for part in text.split(JOINED))
    if NONE in found:
        raise PthetaError(f"condition {text!r} names {NONE} among others: leave it out")
    for kind in found:
        if kind not in KINDS:
            raise unknown("condition", kind, (NONE, *KINDS))
    if len(set(found)) < len(found):
        raise PthetaError(f"condition {text!r} names a kind twice: name each once")
    return found


def _checked(text: str) -> str:
    try:
        return JOINED.join(kinds(text)) or NONE
    except PthetaError as error:
        raise ValueError(str(error)) from None


Kinds = Annotated[str, AfterValidator(_checked)]
GIVEN = "condition of each example: labels, attributes, text or image; join several by +"


@dataclass(frozen=True)
class Conditional:
    """A config of a model that may be conditional."""

    condition: Kinds = option(NONE, GIVEN, basic=True)

    def kinds(self) -> tuple[str, ...]:
        """The kinds of condition of the model; empty for an unconditional one."""
        return kinds(self.condition)

    def of_data(self, kind: str, data: Dataset, source: str) -> ConditionSpec:
        """The condition spec of this kind from training data, by the options. Raises PthetaError if
        the data has none."""
        return KINDS[kind].of_data(data, source)


@dataclass(frozen=True)
class Worded(Conditional):
    """A config of a model that may be conditional on text."""

    text_unit: TextUnit = option("words", "unit of a caption: words or characters (text)")

    def of_data(self, kind: str, data: Dataset, source: str) -> ConditionSpec:
        if kind == Text.kind:
            return Text.of_data(data, source, self.text_unit)
        return super().of_data(kind, data, source)


def wanted(config: object) -> tuple[str, ...]:
    """The kinds of condition of a model with this config."""
    return config.kinds() if isinstance(config, Conditional) else ()


def of_data(config: object, data: Dataset, source: str) -> ConditionSpec | None:
    """The condition spec of a model with this config, from training data.

    source: name of the data, for messages
    Raises PthetaError if the data has no such condition.
    """
    if not isinstance(config, Conditional):
        return None
    return together([config.of_data(kind, data, source) for kind in config.kinds()])


def together(parts: list[ConditionSpec]) -> ConditionSpec | None:
    """Combine condition specs: None for none, the single one, or `Several`."""
    return Several(tuple(parts)) if len(parts) > 1 else (parts[0] if parts else None)


def parts_of(condition: ConditionSpec | None) -> tuple[ConditionSpec, ...]:
    """The parts of a condition, one per kind."""
    if condition is None:
        return ()
    return condition.parts if isinstance(condition, Several) else (condition,)


def text_of(condition: ConditionSpec | None) -> Text | None:
    """The `Text` part of a condition; None if there is none."""
    return next((part for part in parts_of(condition) if isinstance(part, Text)), None)


def is_condition(value: object) -> bool:
    """Whether a value is a condition spec (an instance, not the class)."""
    return isinstance(value, ConditionSpec) and not isinstance(value, type)


def word(condition: ConditionSpec | None) -> str:
    """The value of `--condition` that selects it."""
    return JOINED.join(part.kind for part in parts_of(condition)) or NONE


def to_json(condition: ConditionSpec | None) -> dict[str, object] | None:
    """Convert to JSON for config.json; the inverse of `from_json`."""
    return None if condition is None else condition.to_json()


def from_json(values: Mapping[str, object] | None) -> ConditionSpec | None:
    """Restore a condition spec from `to_json`. Raises PthetaError for an unknown kind and for
    invalid values."""
    if values is None:
        return None
    kind, rest = values.get("kind"), {k: v for k, v in values.items() if k != "kind"}
    if kind == Several.kind:
        parts = rest.pop("parts", None)
        if rest or not isinstance(parts, list) or not all(isinstance(p, dict) for p in parts):
            raise PthetaError("condition of several kinds: give its parts as a list of conditions")
        return Several(tuple(filter(None, map(from_json, parts))))
    if not isinstance(kind, str) or kind not in KINDS:
        raise PthetaError(
            f"condition of kind {kind!r}: known are {', '.join(KINDS)}; "
            "use the ptheta that wrote the run"
        )
    cls = KINDS[kind]
    strange = rest.keys() - set(cls.__dataclass_fields__)
    if strange:
        raise PthetaError(f"condition of kind {kind}: unknown key {sorted(strange)[0]!r}")
    try:
        # validate as JSON: lists become tuples, and strings are not converted to numbers
        return TypeAdapter(cls).validate_json(json.dumps(rest), strict=True)
    except ValidationError as error:
        raise PthetaError(f"condition of kind {kind}: {reason(error)}") from None


def input_of(condition: ConditionSpec | None) -> ImageSpec | None:
    """The spec of the input image of a condition; None if it has none."""
    images = (part for part in parts_of(condition) if isinstance(part, Image))
    return next((image.spec for image in images), None)


def classes_of(condition: ConditionSpec | None) -> int:
    """Number of labels of a condition; 0 without labels."""
    return next((len(p) for p in parts_of(condition) if isinstance(p, Labels)), 0)
