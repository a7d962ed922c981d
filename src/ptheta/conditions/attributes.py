"""Attributes: a number for each of several names."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from ptheta.batch import Condition
from ptheta.conditions.base import Named, tensor_of
from ptheta.data.offers import Offers
from ptheta.errors import PthetaError, unknown

if TYPE_CHECKING:
    from ptheta.data.dataset import Dataset


@dataclass(frozen=True)
class Attributes(Named):
    """A number for each of `names`: float (B, A)."""

    kind: ClassVar[str] = "attributes"

    @property
    def numbered(self) -> bool:
        """Whether the names are but the places 0, 1, ...: the data had none."""
        return self.names == places(len(self))

    def check(self, condition: Condition) -> Condition:
        values = tensor_of(condition, self.kind)
        if values.ndim != 2 or values.shape[1] != len(self):
            raise PthetaError(
                f"attributes of shape {tuple(values.shape)}: this model takes (B, {len(self)})"
            )
        if not torch.isfinite(values).all():
            raise PthetaError("attributes hold a number that is not finite: give finite numbers")
        return values

    def parse(self, text: str) -> Condition:
        """`red,size=0.3`: what is named alone is 1, what is not named 0; or a number for each."""
        words = [word.strip() for word in text.split(",") if word.strip()]
        plain = _numbers(words)
        named = bool(set(words) & set(self.names)) and not (
            self.numbered and len(words) == len(self)
        )
        if plain is not None and not named:
            if len(plain) != len(self):
                raise PthetaError(f"attributes {text!r}: this model takes {len(self)} numbers")
            return torch.tensor([plain])
        given: dict[str, float] = {}
        for part in words:
            name, equals, value = (word.strip() for word in part.partition("="))
            if name not in self.names:
                raise unknown("attribute", name, self.names)
            if name in given:
                raise PthetaError(f"attributes {text!r}: {name} is given twice, give it once")
            given[name] = _number(name, value) if equals else 1.0
        return torch.tensor([[given.get(name, 0.0) for name in self.names]])

    def examples(self, n: int, start: int = 0) -> Condition:
        """One attribute alone, after the other."""
        return torch.eye(len(self))[torch.arange(start, start + n) % len(self)]

    def describe(self, condition: Condition) -> list[str]:
        """Those that are not 0; a number is left out where it is 1."""
        rows = tensor_of(condition, self.kind).tolist()
        return [
            ", ".join(_word(n, v) for n, v in zip(self.names, r, strict=True) if v) for r in rows
        ]

    def vector(self, condition: Condition) -> Tensor:
        values = tensor_of(condition, self.kind)
        if values.ndim != 2 or values.shape[1] != len(self):
            self.check(values)
        return values.to(torch.get_default_dtype())

    @classmethod
    def of_data(cls, data: Dataset, source: str) -> Attributes:
        """The attributes of training data, by name. Raises PthetaError where it has none."""
        if data.attributes is None:
            raise PthetaError(
                f"{source} has no attributes (it offers {Offers.of(data)}), and the model is "
                "conditional on them: give data with attributes, or leave out --condition "
                "attributes"
            )
        return cls(_names(data))

    def take(self, data: Dataset, rows: np.ndarray) -> Condition | None:
        if data.attributes is None:
            return None
        return torch.from_numpy(data.attributes[rows].astype(np.float32))

    def adapted(self, data: Dataset) -> Dataset:
        """Raises PthetaError where an attribute of this spec is not among the data's. Where this
        spec has no names, as many attributes are taken in their order."""
        if data.attributes is None or _names(data) == self.names:
            return replace(data, condition=self)
        there = _names(data)
        if self.numbered and len(there) == len(self):
            return replace(data, condition=self)
        lacking = next((name for name in self.names if name not in there), None)
        if lacking is not None:
            raise PthetaError(
                f"{data.name} ({data.split}) has no attribute {lacking!r}, which the run learned: "
                "give data with the same attributes"
            )
        columns = [there.index(name) for name in self.names]
        return replace(
            data,
            attributes=data.attributes[:, columns],
            attribute_names=self.names,
            condition=self,
        )


def _names(data: Dataset) -> tuple[str, ...]:
    assert data.attributes is not None
    return data.attribute_names or places(data.attributes.shape[1])


def places(n: int) -> tuple[str, ...]:
    """The names of n attributes that have none: 0, 1, ..."""
    return tuple(map(str, range(n)))


def _numbers(words: list[str]) -> list[float] | None:
    """The words as numbers; None where one is none."""
    found = [_float(word) for word in words]
    return found if found and all(map(math.isfinite, found)) else None


def _number(name: str, text: str) -> float:
    value = _float(text)
    if not math.isfinite(value):
        raise PthetaError(f"attribute {name} = {text!r}: want a number, such as {name}=1")
    return value


def _float(text: str) -> float:
    """The number that a word is, as a float32 has it: NaN for no number, infinite for one that is
    too large."""
    try:
        return torch.tensor(float(text), dtype=torch.float64).float().item()
    except ValueError:
        return math.nan


def _word(name: str, value: float) -> str:
    return name if value == 1 else f"{name}={value:g}"
