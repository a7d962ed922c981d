"""Conditions: what a model is asked for beside noise. Names come from the data, never from options.

A conditional model is built as `Model(spec, config, condition)`, and its run keeps the condition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from ptheta.errors import PthetaError, unknown


@dataclass(frozen=True)
class Labels:
    """One of several classes: int64 (B,), positions in `names`."""

    names: tuple[str, ...]
    kind: ClassVar[str] = "labels"

    def __post_init__(self) -> None:
        _check_names(self.names, self.kind)

    def __len__(self) -> int:
        return len(self.names)

    def parse(self, text: str) -> int:
        """The position of a name; where no name is a number, the position itself is taken, too.

        Raises PthetaError for what is neither.
        """
        if text in self.names:
            return self.names.index(text)
        numbered = not any(name.isdecimal() for name in self.names)
        if numbered and text.isdecimal() and int(text) < len(self.names):
            return int(text)
        raise unknown("label", text, self.names)


@dataclass(frozen=True)
class Attributes:
    """A number for each of `names`: float (B, A)."""

    names: tuple[str, ...]
    kind: ClassVar[str] = "attributes"

    def __post_init__(self) -> None:
        _check_names(self.names, self.kind)

    def __len__(self) -> int:
        return len(self.names)


def _check_names(names: object, kind: str) -> None:
    """Raises PthetaError for what is no tuple of different words."""
    whole = isinstance(names, tuple) and all(isinstance(name, str) for name in names)
    if not isinstance(names, tuple) or not whole or not names or len(set(names)) < len(names):
        raise PthetaError(
            f"{kind} {names!r}: give a tuple of names, each a string and each once, such as "
            "('cat', 'dog')"
        )


ConditionSpec = Labels | Attributes
KINDS: dict[str, type[Labels] | type[Attributes]] = {cls.kind: cls for cls in (Labels, Attributes)}


@runtime_checkable
class TakesCondition(Protocol):
    """A config of a model that may be conditional. condition: one of these, or "none"."""

    condition: str


def wanted(config: object) -> str:
    """What a model of this config is told: "none", "labels" or "attributes"."""
    return config.condition if isinstance(config, TakesCondition) else "none"


def to_json(condition: ConditionSpec | None) -> dict[str, Any] | None:
    """For config.json; `from_json` takes it back."""
    return None if condition is None else {"kind": condition.kind, "names": list(condition.names)}


def from_json(values: Mapping[str, Any] | None) -> ConditionSpec | None:
    """values: as `ptheta.schemas.Condition` has them. Raises PthetaError for a kind that does not
    exist, and for a name that comes twice."""
    if values is None:
        return None
    if values["kind"] not in KINDS:
        raise PthetaError(
            f"condition of kind {values['kind']!r}: known are {', '.join(KINDS)}; "
            "use the ptheta that wrote the run"
        )
    return KINDS[values["kind"]](tuple(values["names"]))


def classes_of(condition: ConditionSpec | None) -> int:
    """How many labels a model with this condition knows; 0 where it takes none."""
    return len(condition) if isinstance(condition, Labels) else 0
