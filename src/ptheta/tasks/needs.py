"""Check the capabilities that a task needs, with one-line error messages."""

from __future__ import annotations

from typing import Protocol, TypeVar, runtime_checkable

from torch import nn

from ptheta.capabilities import (
    CodesOnGrid,
    Completes,
    Decodes,
    Encodes,
    HasBound,
    HasChain,
    HasLogRatio,
    HasPosterior,
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
Ways = type | tuple[type, ...]  # a capability, or several alternatives

NAMED = 6  # maximum number of models named in a message

FIT = "fit a prior to its codes first (ptheta fit)"


@runtime_checkable
class Autoencodes(Encodes, Decodes, Protocol):
    """Reconstructs images."""


@runtime_checkable
class DecodesPrior(Decodes, HasPrior, Protocol):
    """Decodes codes of its prior."""


@runtime_checkable
class DecodesByChain(Decodes, HasChain, Protocol):
    """Decodes codes, and samples by a Markov chain without them."""


@runtime_checkable
class HasKL(HasPosterior, HasBound, Protocol):
    """Has a bound that contains the KL of one layer of codes."""


INSTEAD: tuple[tuple[type, str], ...] = (
    (CodesOnGrid, "fit a prior to its codes first (ptheta fit RUN --model pixelcnn)"),
    (DecodesByChain, f"{FIT}, or sample by its Markov chain (ptheta chain)"),
    (Decodes, FIT),
    (Translates, "it translates images (ptheta translate)"),
    (Completes, "it completes images (ptheta inpaint)"),
)


def require(model: nn.Module, capability: type[C], verb: str, cure: str = "") -> C:
    """Check that a model has a capability, and return it with that type.

    capability: a protocol of `ptheta.capabilities`, or an intersection of several
    verb: the purpose, for the message; cure: a suggestion for the message
    Raises PthetaError if the model lacks a method of it, naming models that have it.
    """
    if isinstance(model, capability):
        return model
    raise refusal(model, capability, verb, cure)


def require_one(
    model: nn.Module,
    ways: tuple[type, ...],
    verb: str,
    *,
    condition_kind: str = "",
    alone: bool = False,
) -> nn.Module:
    """Check that a model has one of several capabilities, and return it.

    ways: protocols of `ptheta.capabilities`; the last is the one that most models have
    condition_kind, alone: restrict the models named in the message, see `able`
    Raises PthetaError if it has none, with the methods that it lacks for the last one.
    """
    if isinstance(model, ways):
        return model
    raise refusal(model, ways[-1], verb, among=ways, condition_kind=condition_kind, alone=alone)


def refusal(
    model: nn.Module,
    capability: type,
    verb: str,
    cure: str = "",
    among: tuple[type, ...] = (),
    *,
    condition_kind: str = "",
    alone: bool = False,
) -> PthetaError:
    """The message for a missing capability, naming models that have it. among: all alternative
    capabilities, if there are several; condition_kind, alone: see `able`"""
    methods = sorted(name for name in dir(capability) if not name.startswith("_"))
    missing = [name for name in methods if name not in dir(model)]
    named = [verb] if verb in missing else missing  # do not repeat a method named like the task
    lacks = " and no ".join(f"`{name}`" for name in named)
    spec = model.spec if isinstance(model, Model) else None
    who = able_models(among or capability, spec, condition_kind, alone=alone)
    return PthetaError(
        f"this model cannot {verb}: it has no {lacks}{cure and f'; {cure}'}{who and f'; {who}'}"
    )


def able(
    capability: Ways, spec: DataSpec | None = None, condition_kind: str = "", *, alone: bool = False
) -> list[str]:
    """The names of the registered models that have a capability.

    spec: data that they must support; None for any
    condition_kind: the kind of condition that they must accept; "" for any
    alone: whether to leave out models that require a condition
    """
    entries = ((name, each, each.load_model()) for name, each in registry.models().items())
    rated = any(issubclass(way, HasLogRatio) for way in _several(capability))
    return [
        name
        for name, each, cls in entries
        if issubclass(cls, capability)
        and not (rated and unreadable(cls, each.load_config()()))
        and (spec is None or learns(cls, type(spec)))
        and (not condition_kind or takes(cls, condition_kind))
        and not (alone and wanted(each.load_config()()))
    ]


def _several(ways: Ways) -> tuple[type, ...]:
    return ways if isinstance(ways, tuple) else (ways,)


def unreadable(cls: type, config: object) -> bool:
    """Whether the discriminator's output is no density ratio with these options."""
    return issubclass(cls, ReadsRatio) and cls.unreadable(config) is not None


def learns(cls: type, kind: type[DataSpec]) -> bool:
    """Whether models of a class can learn such examples; unknown for external classes."""
    return not issubclass(cls, Model) or issubclass(kind, cls.specs)


def takes(cls: type, kind: str) -> bool:
    """Whether models of a class accept this kind of condition."""
    return issubclass(cls, Model) and kind in cls.takes


def refuse_unconditional(model: nn.Module, kind: str, verb: str, ways: Ways) -> None:
    """Raise PthetaError for a model that takes no condition of this kind, naming those that do.

    verb: the purpose, for the message; ways: capabilities that are needed as well
    """
    if takes(type(model), kind):
        return
    who = able_models(ways, model.spec if isinstance(model, Model) else None, kind)
    raise PthetaError(f"this model cannot {verb}: it takes no {kind}{who and f'; {who}'}")


def able_models(
    capability: Ways, spec: DataSpec | None = None, condition_kind: str = "", *, alone: bool = False
) -> str:
    """The models that have a capability, for a message: some of each family if there are many;
    empty if there are none. spec, condition_kind, alone: see `able`"""
    names = able(capability, spec, condition_kind, alone=alone)
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
    """A suggestion for a model that cannot sample: a prior, if it can decode; else its other
    uses."""
    return next((cure for capability, cure in INSTEAD if isinstance(model, capability)), "")
