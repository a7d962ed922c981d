"""What models there are, for the user to look at."""

from __future__ import annotations

from typing import TypedDict

from ptheta.capabilities import CAPABILITIES, capabilities
from ptheta.models import registry
from ptheta.models.entries import Listed
from ptheta.models.taxonomy import place


class ModelInfo(TypedDict):
    """What is known of a model.

    about: what it is, in a few words; capabilities: whether it has each; recipes: what each is
    place: in the tree of `ptheta.models.taxonomy`, the branches on the way to its leaf
    """

    about: str
    family: str
    paper: str
    place: list[str]
    capabilities: dict[str, bool]
    recipes: dict[str, str]


def list_models() -> dict[str, ModelInfo]:
    """Every model by name, with what it can do."""
    return {name: _info(entry) for name, entry in registry.models().items()}


def _info(entry: Listed) -> ModelInfo:
    cls = entry.load_model()
    can = capabilities(cls)
    return {
        "about": entry.about,
        "family": entry.family,
        "paper": entry.paper,
        "place": list(place(cls)),
        "capabilities": {capability: capability in can for capability in CAPABILITIES},
        "recipes": {name: recipe["about"] for name, recipe in entry.recipes().items()},
    }
