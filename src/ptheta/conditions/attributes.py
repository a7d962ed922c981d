"""Attributes: one number per attribute name, which may encode a word."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from ptheta.batch import Condition
from ptheta.conditions.base import Named, listed, tensor_of
from ptheta.data.offers import Offers
from ptheta.data.words import NONE, Words, check_words, word_of
from ptheta.errors import PthetaError, unknown

if TYPE_CHECKING:
    from ptheta.data.dataset import Dataset


@dataclass(frozen=True)
class Attributes(Named):
    """One number per attribute, as float (B, A).

    Attributes:
        names: names of the attributes.
        words: for each attribute its pairs of a word and its number, empty for a numeric attribute;
            () if all are numeric. See `Attributes.of`.
    """

    kind: ClassVar[str] = "attributes"
    words: tuple[tuple[tuple[str, float], ...], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.words and len(self.words) != len(self.names):
            raise PthetaError(
                f"words of {len(self.words)} attributes, and {len(self.names)} have names: give "
                "names for all of them or for none"
            )
        check_words(self.kind, self.names, self.by_name)

    @classmethod
    def of(cls, names: Sequence[str], values: Mapping[str, Words]) -> Attributes:
        """Create attributes, some of them with words.

        Args:
            names: names of the attributes.
            values: number of each word, by attribute, such as {"colour": {"red": 0, "blue": 1}}.
        """
        check_words(cls.kind, names, values)
        words = tuple(tuple(values.get(name, {}).items()) for name in names)
        return cls(tuple(names), words if any(words) else ())

    @property
    def by_name(self) -> dict[str, Words]:
        """The words of the attributes that have some."""
        pairs = zip(self.names, self.words, strict=False)
        return {name: dict(words) for name, words in pairs if words}

    def to_json(self) -> dict[str, object]:
        return super().to_json() | ({"words": self.words} if self.words else {})

    @property
    def numbered(self) -> bool:
        """Whether the names are just the indices 0, 1, ..., since the data has no names."""
        return self.names == places(len(self))

    def check(self, condition: Condition) -> Condition:
        values = tensor_of(condition, self.kind)
        if values.ndim != 2 or values.shape[1] != len(self):
            raise PthetaError(
                f"attributes of shape {tuple(values.shape)}: this model takes (B, {len(self)})"
            )
        if not torch.isfinite(values).all():
            raise PthetaError("attributes contain NaN or infinity: give finite numbers")
        return values

    def parse(self, text: str) -> Condition:
        """Parse a text such as `hat,size=0.3,colour=red`, or one number per attribute.

        A name alone means 1. Attributes that are not named are 0; those with words are "none" if
        there is such a word, else the first word.
        """
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
                raise self._unknown(name)
            if name in given:
                raise PthetaError(f"attributes {text!r}: {name} is given twice, give it once")
            given[name] = self._value(name, value if equals else None)
        usual = dict(zip(self.names, self._usual(), strict=True))
        return torch.tensor([list((usual | given).values())])

    def _unknown(self, name: str) -> PthetaError:
        """The error for an unknown attribute name that may be a value of some attribute."""
        having = [known for known, words in self.by_name.items() if name in words]
        if not having:
            return unknown("attribute", name, self.names)
        return PthetaError(
            f"attribute {name!r} is a value of {' and of '.join(having)}: write {having[0]}={name}"
        )

    def _value(self, name: str, text: str | None) -> float:
        """The number of an attribute, from a word or digits. text: None if only the name is
        given"""
        words = self.by_name.get(name, {})
        if text is None and words:
            raise PthetaError(
                f"attribute {name}: which? Write {name}={next(iter(words))} (known: "
                f"{listed(tuple(words))})"
            )
        if text is None:
            return 1.0
        if text in words or not words:
            return words[text] if words else _number(name, text)
        if (number := _float(text)) in words.values():
            return number
        raise unknown(f"value of {name}", text, words)

    def _usual(self) -> list[float]:
        """The default number of each attribute."""
        each = (self.by_name.get(name, {}) for name in self.names)
        return [words.get(NONE, next(iter(words.values()), 0.0)) for words in each]

    def examples(self, n: int, start: int = 0) -> Condition:
        """Conditions with one attribute each in turn: 1, or the word after the default one."""
        usual = self._usual()
        rows = torch.tensor([usual] * len(self))
        for i, name in enumerate(self.names):
            other = (v for v in self.by_name.get(name, {}).values() if v != usual[i])
            rows[i, i] = next(other, usual[i]) if name in self.by_name else 1.0
        return rows[torch.arange(start, start + n) % len(self)]

    def describe(self, condition: Condition) -> list[str]:
        """The attributes with words other than "none", and those that are not 0; a value of 1 is
        omitted."""
        rows, known = tensor_of(condition, self.kind).tolist(), self.by_name
        each = [
            [_word(n, v, known.get(n, {})) for n, v in zip(self.names, row, strict=True)]
            for row in rows
        ]
        return [", ".join(filter(None, words)) for words in each]

    def vector(self, condition: Condition) -> Tensor:
        values = tensor_of(condition, self.kind)
        if values.ndim != 2 or values.shape[1] != len(self):
            self.check(values)
        return values.to(torch.get_default_dtype())

    @classmethod
    def of_data(cls, data: Dataset, source: str) -> Attributes:
        """The attributes of training data, by name. Raises PthetaError if it has none."""
        if data.attributes is None:
            raise PthetaError(
                f"{source} has no attributes (it offers {Offers.of(data)}), and the model is "
                "conditional on them: give data with attributes, or leave out --condition "
                "attributes"
            )
        return cls.of(data.attributes_named(), data.attribute_values)

    def take(self, data: Dataset, rows: np.ndarray) -> Condition | None:
        if data.attributes is None:
            return None
        return torch.from_numpy(data.attributes[rows].astype(np.float32))

    def adapted(self, data: Dataset) -> Dataset:
        """The columns of the data for these attributes, in order if the spec has no names.

        Raises:
            PthetaError: if the data lack an attribute of this spec.
        """
        there = data.attributes_named()
        if data.attributes is None or there == self.names:
            return replace(self._renumbered(data), condition=self)
        if self.numbered and len(there) == len(self):
            return replace(data, condition=self)
        lacking = next((name for name in self.names if name not in there), None)
        if lacking is not None:
            raise PthetaError(
                f"{data.name} ({data.split}) has no attribute {lacking!r}, which the run learned: "
                "give data with the same attributes"
            )
        columns = [there.index(name) for name in self.names]
        some = replace(
            data,
            attributes=data.attributes[:, columns],
            attribute_names=self.names,
            attribute_values={n: w for n, w in data.attribute_values.items() if n in self.names},
        )
        return replace(self._renumbered(some), condition=self)

    def _renumbered(self, data: Dataset) -> Dataset:
        """The data with their words encoded by the numbers of this spec.

        Raises:
            PthetaError: for a word that this spec does not have.
        """
        known = self.by_name
        other = {
            n: w for n, w in data.attribute_values.items() if n in known and dict(w) != known[n]
        }
        if not other or data.attributes is None:
            return data
        numbers = np.array(data.attributes, dtype=np.float64)
        for name, words in other.items():
            column = self.names.index(name)
            for number in np.unique(data.attributes[:, column]).tolist():
                word = word_of(number, words)
                if word not in known[name]:
                    raise unknown(f"value of {name} in {data.name}", word, known[name])
                numbers[data.attributes[:, column] == number, column] = known[name][word]
        return replace(
            data, attributes=numbers, attribute_values={**data.attribute_values, **known}
        )


def places(n: int) -> tuple[str, ...]:
    """Default names of n attributes: 0, 1, ..."""
    return tuple(map(str, range(n)))


def _numbers(words: list[str]) -> list[float] | None:
    """The words as numbers; None if one is not a number."""
    found = [_float(word) for word in words]
    return found if found and all(map(math.isfinite, found)) else None


def _number(name: str, text: str) -> float:
    value = _float(text)
    if not math.isfinite(value):
        raise PthetaError(f"attribute {name} = {text!r}: want a number, such as {name}=1")
    return value


def _float(text: str) -> float:
    """Parse a word as a float32 number: NaN if it is not a number, infinity if it is too large."""
    try:
        return torch.tensor(float(text), dtype=torch.float64).float().item()
    except ValueError:
        return math.nan


def _word(name: str, value: float, words: Words) -> str:
    """A short description of the value of an attribute; "" for the default."""
    if words:
        word = word_of(value, words)
        return "" if word == NONE else f"{name}={word}"
    if not value:
        return ""
    return name if value == 1 else f"{name}={value:g}"
