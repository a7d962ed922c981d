"""Several conditions together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from ptheta.batch import Condition, Together
from ptheta.conditions.base import ConditionSpec
from ptheta.errors import PthetaError, unknown

if TYPE_CHECKING:
    from ptheta.data.dataset import Dataset


@dataclass(frozen=True)
class Several:
    """Several conditions per example, one of each kind: a `ptheta.batch.Together`.

    Attributes:
        parts: the specs by kind, in order.
    """

    parts: tuple[ConditionSpec, ...]
    kind: ClassVar[str] = "several"

    def __post_init__(self) -> None:
        kinds = [part.kind for part in self.parts]
        if len(kinds) < 2 or len(set(kinds)) < len(kinds):
            raise PthetaError(f"conditions {', '.join(kinds)}: give at least two different kinds")

    def __len__(self) -> int:
        return self.size

    @property
    def count(self) -> int:
        return math.lcm(*(part.count for part in self.parts))

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    @property
    def by_kind(self) -> Mapping[str, ConditionSpec]:
        return {part.kind: part for part in self.parts}

    def _of(self, condition: Condition) -> list[tuple[ConditionSpec, Tensor]]:
        wanted = ", ".join(self.by_kind)
        if not isinstance(condition, Together) or condition.parts.keys() != self.by_kind.keys():
            raise PthetaError(f"this model takes {wanted} together: give each of them")
        return [(part, condition.parts[part.kind]) for part in self.parts]

    def check(self, condition: Condition) -> Condition:
        lengths = {len(part.check(value)) for part, value in self._of(condition)}
        if len(lengths) > 1:
            raise PthetaError(
                f"conditions of {sorted(lengths)} examples: give as many of each kind"
            )
        return condition

    def parse(self, text: str) -> Condition:
        """`labels: cat; text: a red circle`: every kind, each once."""
        found: dict[str, Tensor] = {}
        for piece in filter(None, (word.strip() for word in text.split(";"))):
            kind, _, value = (word.strip() for word in piece.partition(":"))
            if kind not in self.by_kind:
                raise unknown("kind of condition", kind, self.by_kind)
            found[kind] = _tensor(self.by_kind[kind].parse(value))
        lacking = [kind for kind in self.by_kind if kind not in found]
        if lacking:
            raise PthetaError(
                f"{text!r} lacks {', '.join(lacking)}: give each kind, as KIND: VALUE;"
            )
        return Together(found)

    def examples(self, n: int, start: int = 0) -> Condition:
        return Together({p.kind: _tensor(p.examples(n, start)) for p in self.parts})

    def describe(self, condition: Condition) -> list[str]:
        each = [part.describe(value) for part, value in self._of(condition)]
        return [", ".join(filter(None, words)) for words in zip(*each, strict=True)]

    def vector(self, condition: Condition) -> Tensor:
        """The concatenated vectors of the parts."""
        return torch.cat([part.vector(value) for part, value in self._of(condition)], 1)

    def take(self, data: Dataset, rows: np.ndarray) -> Condition | None:
        found = {part.kind: part.take(data, rows) for part in self.parts}
        if any(value is None for value in found.values()):
            return None
        return Together(
            {kind: _tensor(value) for kind, value in found.items() if value is not None}
        )

    def adapted(self, data: Dataset) -> Dataset:
        for part in self.parts:
            data = part.adapted(data)
        return replace(data, condition=self)

    def to_json(self) -> dict[str, object]:
        return {"kind": self.kind, "parts": [part.to_json() for part in self.parts]}


def _tensor(condition: Condition) -> Tensor:
    assert isinstance(condition, Tensor)  # each part has a single kind
    return condition
