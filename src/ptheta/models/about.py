"""The list of models and their properties for the user."""

from __future__ import annotations

from typing import TypedDict

import torch
from torch import nn

from ptheta.capabilities import CAPABILITIES, capabilities
from ptheta.conditions import Conditional, ConditionSpec, Image, Labels, Text
from ptheta.errors import PthetaError
from ptheta.models import registry
from ptheta.models.advice import advice
from ptheta.models.base import Model
from ptheta.models.entries import Listed
from ptheta.models.graph import Graph, HasGraph
from ptheta.models.taxonomy import place
from ptheta.specs import Column, DataSpec, ImageSpec, VectorSpec

KINDS_OF_DATA = {ImageSpec: "images", VectorSpec: "points and tables"}
SMALL = ImageSpec(1, 32, 32)  # the default spec for building a model
PLAIN = VectorSpec((Column("a", "real"), Column("b", "real")))


class ModelInfo(TypedDict):
    """Properties of a model.

    about: a short description; capabilities: whether it has each; recipes: description of each
    place: the branches of the tree of `ptheta.models.taxonomy`, down to its leaf
    data: the kinds of data it can learn; conditional: whether it can be conditional
    formula: in LaTeX; use, avoid: when to use the model, and when not to
    """

    about: str
    family: str
    paper: str
    place: list[str]
    data: list[str]
    conditional: bool
    capabilities: dict[str, bool]
    recipes: dict[str, str]
    formula: str
    use: str
    avoid: str


def list_models(name: str | None = None) -> dict[str, ModelInfo]:
    """The properties of all models, by name.

    Args:
        name: return only this model.

    Raises:
        PthetaError: for an unknown name.
    """
    if name is not None:
        return {name: _info(name, registry.entry(name))}
    return {name: _info(name, entry) for name, entry in registry.models().items()}


def _info(name: str, entry: Listed) -> ModelInfo:
    cls = entry.load_model()
    can = capabilities(cls)
    said = advice(name, entry.family)
    specs = cls.specs if issubclass(cls, Model) else ()
    return {
        "about": entry.about,
        "family": entry.family,
        "paper": entry.paper,
        "place": list(place(cls)),
        "data": [kind for spec, kind in KINDS_OF_DATA.items() if spec in specs],
        "conditional": issubclass(entry.load_config(), Conditional),
        "capabilities": {capability: capability in can for capability in CAPABILITIES},
        "recipes": {key: recipe["about"] for key, recipe in entry.recipes().items()},
        "formula": said.formula,
        "use": said.use,
        "avoid": said.avoid,
    }


def graph_of(name: str) -> Graph | None:
    """The graphical model of a registered model, of its `example`; None if it defines no graph."""
    model = example(name)
    return model.graph() if isinstance(model, HasGraph) else None


def example(name: str) -> nn.Module | None:
    """A registered model with default options for small images, or for points if it does not
    support images, without memory for its weights; None if it takes neither."""
    entry = registry.entry(name)
    config = entry.load_config()()
    asked: tuple[ConditionSpec | None, ...] = (
        None,
        Labels(("a", "b")),
        Image(SMALL),
        Text(("a",), 1),
    )
    made = (_made(entry, spec, config, of) for of in asked for spec in (SMALL, PLAIN))
    return next((found for found in made if found is not None), None)


def _made(
    entry: Listed, spec: DataSpec, config: object, condition: ConditionSpec | None
) -> nn.Module | None:
    """The model without memory for its weights; None where it takes no such data or condition."""
    try:
        with torch.device("meta"):
            return entry.maker(spec, config, condition)()
    except PthetaError:
        return None
