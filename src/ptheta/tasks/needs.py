"""What a task needs of a model: a capability, or one sentence that says what is missing."""

from __future__ import annotations

from typing import Protocol, TypeVar, runtime_checkable

from torch import nn

from ptheta.capabilities import (
    Completes,
    Decodes,
    Encodes,
    HasChain,
    HasLogRatio,
    HasPrior,
    ReadsRatio,
    Translates,
)
from ptheta.conditions import wanted
from ptheta.errors import PthetaError
from ptheta.models import registry
from ptheta.models.base import Model
from ptheta.specs import DataSpec

C = TypeVar("C")
Ways = type | tuple[type, ...]  # a capability, or several of which one is enough

NAMED = 6  # models that a refusal names

FIT = "fit a prior to its codes first (ptheta fit)"


@runtime_checkable
class Autoencodes(Encodes, Decodes, Protocol):
    """Gives back what its code holds of an image."""


@runtime_checkable
class DecodesPrior(Decodes, HasPrior, Protocol):
    """Decodes codes of its prior."""


@runtime_checkable
class DecodesByChain(Decodes, HasChain, Protocol):
    """Decodes codes, and has a chain that draws without them."""


INSTEAD: tuple[tuple[type, str], ...] = (
    (DecodesByChain, f"{FIT}, or sample by its Markov chain (ptheta chain)"),
    (Decodes, FIT),
    (Translates, "it translates images (ptheta translate)"),
    (Completes, "it completes images (ptheta inpaint)"),
)


def require(model: nn.Module, capability: type[C], verb: str, cure: str = "") -> C:
    """The model, as what can do this.

    capability: a protocol of `ptheta.capabilities`, or several in one; verb: what it is wanted for
    Raises PthetaError where the model lacks a method of it, with the models that have it. cure:
    what to do then
    """
    if isinstance(model, capability):
        return model
    raise refusal(model, capability, verb, cure)


def require_one(
    model: nn.Module, ways: tuple[type, ...], verb: str, *, told: str = "", alone: bool = False
) -> nn.Module:
    """The model itself, where it can do this in one of several ways.

    ways: protocols of `ptheta.capabilities`, the last the one that most models have
    told, alone: which of the models that have one can, as of `able`
    Raises PthetaError where it can in none: what it lacks for the last, and the models that can.
    """
    if isinstance(model, ways):
        return model
    raise refusal(model, ways[-1], verb, among=ways, told=told, alone=alone)


def refusal(
    model: nn.Module,
    capability: type,
    verb: str,
    cure: str = "",
    among: tuple[type, ...] = (),
    *,
    told: str = "",
    alone: bool = False,
) -> PthetaError:
    """What is said to a model that lacks a capability: what is missing, and who has it. among: all
    capabilities of which one is enough, where there are several; told, alone: as of `able`"""
    methods = sorted(name for name in dir(capability) if not name.startswith("_"))
    missing = [name for name in methods if name not in dir(model)]
    named = [verb] if verb in missing else missing  # what is called as what is wanted says enough
    lacks = " and no ".join(f"`{name}`" for name in named)
    spec = model.spec if isinstance(model, Model) else None
    who = able_models(among or capability, spec, told, alone=alone)
    return PthetaError(
        f"this model cannot {verb}: it has no {lacks}{cure and f'; {cure}'}{who and f'; {who}'}"
    )


def able(
    capability: Ways, spec: DataSpec | None = None, told: str = "", *, alone: bool = False
) -> list[str]:
    """The names of the registered models that have a capability.

    spec: what they are to learn; None for whatever
    told: the kind of condition that they are to take; "" for whatever
    alone: whether those are left out that are always asked for a condition
    """
    entries = ((name, each, each.load_model()) for name, each in registry.models().items())
    rated = any(issubclass(way, HasLogRatio) for way in _several(capability))
    return [
        name
        for name, each, cls in entries
        if issubclass(cls, capability)
        and not (rated and unreadable(cls, each.load_config()()))
        and (spec is None or learns(cls, type(spec)))
        and (not told or takes(cls, told))
        and not (alone and wanted(each.load_config()()))
    ]


def _several(ways: Ways) -> tuple[type, ...]:
    return ways if isinstance(ways, tuple) else (ways,)


def unreadable(cls: type, config: object) -> bool:
    """Whether a discriminator of these options tells no ratio."""
    return issubclass(cls, ReadsRatio) and cls.unreadable(config) is not None


def learns(cls: type, kind: type[DataSpec]) -> bool:
    """Whether models of a class learn such examples; one from outside says nothing of it."""
    return not issubclass(cls, Model) or issubclass(kind, cls.specs)


def takes(cls: type, kind: str) -> bool:
    """Whether models of a class may be asked for this kind of condition."""
    return issubclass(cls, Model) and kind in cls.takes


def refuse_untold(model: nn.Module, kind: str, verb: str, ways: Ways) -> None:
    """Raises PthetaError for a model that takes no condition of this kind, with those that do.

    verb: what it is wanted for; ways: capabilities that it takes as well
    """
    if takes(type(model), kind):
        return
    who = able_models(ways, model.spec if isinstance(model, Model) else None, kind)
    raise PthetaError(f"this model cannot {verb}: it takes no {kind}{who and f'; {who}'}")


def able_models(
    capability: Ways, spec: DataSpec | None = None, told: str = "", *, alone: bool = False
) -> str:
    """The models that have a capability, for a message: some of each family where there are many;
    empty where there are none. spec, told, alone: as of `able`"""
    names = able(capability, spec, told, alone=alone)
    if len(names) <= NAMED:
        return f"models that can: {', '.join(names)}" if names else ""
    families: dict[str, list[str]] = {}
    for name in names:
        families.setdefault(registry.entry(name).family, []).append(name)
    several = list(families.values())
    turns = (of[i] for i in range(len(names)) for of in several if i < len(of))
    some = [name for name, _ in zip(turns, range(NAMED), strict=False)]
    rest = len(names) - NAMED
    return f"models that can: {', '.join(some)} and {rest} more (ptheta models --tasks)"


def prior_cure(model: nn.Module) -> str:
    """What makes a model sample: a prior, where it decodes codes; else what it does in place of
    sampling."""
    return next((cure for capability, cure in INSTEAD if isinstance(model, capability)), "")
