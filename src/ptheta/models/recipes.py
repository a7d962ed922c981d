"""Recipes: named settings of a model, each beside the model that it is of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Required, TypeAlias, TypedDict


class Recipe(TypedDict, total=False):
    """about: one line of what it is; the others are options by name, as on the command line."""

    about: Required[str]
    model: Required[Mapping[str, object]]
    train: Mapping[str, object]
    data: Mapping[str, object]


Recipes: TypeAlias = dict[str, Recipe]
