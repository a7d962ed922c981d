"""Recipes: named settings of a model, defined in the module of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Required, TypeAlias, TypedDict


class Recipe(TypedDict, total=False):
    """about: a one-line summary; the other keys hold options by their command-line names."""

    about: Required[str]
    model: Required[Mapping[str, object]]
    train: Mapping[str, object]
    data: Mapping[str, object]


Recipes: TypeAlias = dict[str, Recipe]
