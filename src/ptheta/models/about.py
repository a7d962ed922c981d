"""What models there are, for the user to look at."""

from __future__ import annotations

from typing import TypedDict

from ptheta.capabilities import CAPABILITIES, capabilities
from ptheta.models import registry
from ptheta.models.entries import Listed


class ModelInfo(TypedDict):
    """What is known of a model.

    about: what it is, in a few words; capabilities: whether it has each; recipes: what each is
    """

    about: str
    family: str
    paper: str
    capabilities: dict[str, bool]
    recipes: dict[str, str]


def list_models() -> dict[str, ModelInfo]:
    """Every model by name, with what it can do."""
    return {name: _info(entry) for name, entry in registry.models().items()}


def _info(entry: Listed) -> ModelInfo:
    can = capabilities(entry.load_model())
    return {
        "about": entry.about,
        "family": entry.family,
        "paper": entry.paper,
        "capabilities": {capability: capability in can for capability in CAPABILITIES},
        "recipes": {name: recipe["about"] for name, recipe in entry.recipes().items()},
    }
