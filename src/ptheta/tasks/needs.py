"""What a task needs of a model: a capability, or one sentence that says what is missing."""

from __future__ import annotations

from typing import Protocol, TypeVar, runtime_checkable

from torch import nn

from ptheta.capabilities import Completes, Decodes, Encodes, HasPrior, Translates
from ptheta.errors import PthetaError

C = TypeVar("C")

FIT = "fit a prior to its codes first (ptheta fit)"
INSTEAD: tuple[tuple[type, str], ...] = (
    (Decodes, FIT),
    (Translates, "it carries images over (ptheta translate)"),
    (Completes, "it completes images (ptheta inpaint)"),
)


@runtime_checkable
class Autoencodes(Encodes, Decodes, Protocol):
    """Gives back what its code holds of an image."""


@runtime_checkable
class DecodesPrior(Decodes, HasPrior, Protocol):
    """Decodes codes of its prior."""


def require(model: nn.Module, capability: type[C], verb: str, cure: str = "") -> C:
    """The model, as what can do this.

    capability: a protocol of `ptheta.capabilities`, or several in one; verb: what it is wanted for
    Raises PthetaError where the model lacks a method of it. cure: what to do then
    """
    if isinstance(model, capability):
        return model
    methods = sorted(name for name in dir(capability) if not name.startswith("_"))
    missing = [name for name in methods if name not in dir(model)]
    named = [verb] if verb in missing else missing  # what is called as what is wanted says enough
    lacks = " and no ".join(f"`{name}`" for name in named)
    raise PthetaError(f"this model cannot {verb}: it has no {lacks}{cure and f'; {cure}'}")


def prior_cure(model: nn.Module) -> str:
    """What makes a model sample: a prior, where it decodes codes; else what it does in place of
    sampling."""
    return next((cure for capability, cure in INSTEAD if isinstance(model, capability)), "")
