"""Compatibility of the parts of a config, as declared by the entries of its options."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import is_dataclass
from itertools import product
from typing import NamedTuple

from ptheta.config import Choice, options, words


class Part(NamedTuple):
    """A part of a config: `option` = `value`, with its `entry`.

    of: prefix of its traits, which separates the traits of different networks
    choices: the alternatives of the option: name -> entry
    """

    option: str
    value: object
    entry: Choice
    of: str = ""
    choices: Sequence[tuple[str, Choice | None]] = ()

    def __str__(self) -> str:
        return f"{self.option} = {self.value}"

    def traits(self) -> set[str]:
        return {f"{self.of}{trait}" for trait in self.entry.traits}

    def cure(self, trait: str) -> str:
        """A suggestion of alternatives without the trait."""
        free = [
            name
            for name, entry in self.choices
            if entry is None or trait not in self._replace(entry=entry).traits()
        ]
        return f"use {self.option} = {', '.join(free)}" if free else f"leave {self.option} out"


def named(config: object, of_generator: Collection[str] = ()) -> list[Part]:
    """All parts that a config names; empty if it is not a config.

    of_generator: options with traits of the generator, such as "generator_batchwise"
    """
    if not is_dataclass(config) or isinstance(config, type):
        return []
    values = vars(config)
    return [
        Part(
            name,
            word,
            opt.table[word],
            "generator_" if name in of_generator else "",
            [(choice, opt.table.get(choice)) for choice in opt.choices],
        )
        for name, opt in options(type(config)).items()
        for word in map(str, words(values[name]))
        if word in opt.table
    ]


def conflict(used: Sequence[Part]) -> str | None:
    """The reason why parts are incompatible, from one of their entries; None if they are not."""
    for part, other in product(used, used):
        for trait in sorted(other.traits() & part.entry.excludes.keys()):
            reason = part.entry.excludes[trait]
            return f"{part} does not go with {other}: {reason}; {other.cure(trait)}"
    return None
