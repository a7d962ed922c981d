"""`register`: add entries to ptheta's registries."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, Protocol, TypeVar, runtime_checkable

from torch import nn

from ptheta import plugins
from ptheta.config import brief
from ptheta.corruption import NOISES, Noise
from ptheta.data.sources import SOURCES, PathKind
from ptheta.dynamics import DYNAMICS, Dynamics
from ptheta.errors import PthetaError, unknown
from ptheta.extractors.base import Extractor
from ptheta.extractors.table import EXTRACTORS
from ptheta.losses.adversarial import LOSSES, AdversarialLoss
from ptheta.losses.penalties import PENALTIES, Penalty
from ptheta.metrics.metric import Metric
from ptheta.metrics.table import METRICS
from ptheta.models.adversarial.conditioning import CONDITIONING, Conditioning
from ptheta.models.own import ModelEntry, entry_of, is_model
from ptheta.models.registry import MODELS
from ptheta.nets.adversarial.networks import NETWORKS, Network
from ptheta.nets.augment import AUGMENTATIONS, Augmentation
from ptheta.nets.coders import CODERS, CoderKind
from ptheta.nets.minibatch import MINIBATCH, MinibatchStatistic
from ptheta.nets.norms import NORMS, Normalisation
from ptheta.nets.text import ENCODERS, Encoder
from ptheta.plugins import Registered
from ptheta.runs.plan import Plan
from ptheta.runs.plugged import used
from ptheta.training.settings import SCHEDULES, Schedule

T = TypeVar("T")


@runtime_checkable
class MakesExtractor(Protocol):
    def __call__(self) -> Extractor: ...


class Kind(Protocol):
    """A kind of entry, and its registry."""

    def checked(self, name: str, entry: object) -> object:
        """Validates and converts the entry. Raises PthetaError if it has the wrong type."""
        ...

    def own(self, name: str) -> bool:
        """Whether the registry already has that name."""
        ...

    def put(self, name: str, entry: object) -> None: ...


@dataclass(frozen=True)
class Table(Generic[T]):
    """A registry. of: type of its entries; about: description of that type."""

    table: dict[str, T]
    of: type[T]
    about: str = ""

    def checked(self, name: str, entry: object) -> T:
        if not isinstance(entry, self.of):
            want = self.about or f"an object of {self.of.__module__}.{self.of.__qualname__}"
            raise PthetaError(f"{name} = {brief(entry)}: want {want}")
        return entry

    def own(self, name: str) -> bool:
        return name in self.table

    def put(self, name: str, entry: object) -> None:
        self.table[name] = self.checked(name, entry)


class _Models(Table[ModelEntry]):
    """Also accepts a model class or an instance."""

    def checked(self, name: str, entry: object) -> ModelEntry:
        if is_model(entry) or isinstance(entry, nn.Module):
            return entry_of(entry)
        return super().checked(name, entry)

    def own(self, name: str) -> bool:
        return name in MODELS

    def put(self, name: str, entry: object) -> None:
        MODELS[name] = self.checked(name, entry)


class _Metrics(Table[Metric]):
    """A metric contains its own name, which is part of its results."""

    def checked(self, name: str, entry: object) -> Metric:
        metric = super().checked(name, entry)
        if metric.name != name:
            raise PthetaError(f"metric {name!r} has the name {metric.name!r}: use the same name")
        return metric


class _Sources(Table[PathKind]):
    """Data sources, tried in order; registered ones come first."""

    def own(self, name: str) -> bool:
        return name in self.table

    def put(self, name: str, entry: object) -> None:
        if (before := self.table.get(name)) is not None:
            SOURCES.remove(before)
        super().put(name, entry)
        SOURCES.insert(0, self.table[name])


_EXTRACTOR = "a function that makes an extractor"
KINDS: dict[str, Kind] = {
    "model": _Models({}, ModelEntry, "a class of torch.nn.Module, or a ptheta.ModelEntry"),
    "loss": Table[AdversarialLoss](LOSSES, AdversarialLoss),
    "penalty": Table[Penalty](PENALTIES, Penalty),
    "network": Table[Network](NETWORKS, Network),
    "norm": Table[Normalisation](NORMS, Normalisation),
    "minibatch": Table[MinibatchStatistic](MINIBATCH, MinibatchStatistic),
    "augmentation": Table[Augmentation](AUGMENTATIONS, Augmentation),
    "conditioning": Table[Conditioning](CONDITIONING, Conditioning),
    "coder": Table[CoderKind](CODERS, CoderKind),
    "text_encoder": Table[Encoder](ENCODERS, Encoder),
    "noise": Table[Noise](NOISES, Noise),
    "dynamics": Table[Dynamics](DYNAMICS, Dynamics),
    "schedule": Table[Schedule](SCHEDULES, Schedule),
    "metric": _Metrics(METRICS, Metric),
    "source": _Sources({}, PathKind),
    "extractor": Table[MakesExtractor](EXTRACTORS, MakesExtractor, _EXTRACTOR),
}


def register(kind: str, name: str, entry: object) -> None:
    """Add an entry to one of ptheta's registries, in this process and for the runs it writes.

    The module that registered an entry may register it again.

    Args:
        kind: "model", "loss", "penalty", "metric", "source", "extractor", or another of `KINDS`
        name: name of the entry, as in options and listings
        entry: an object of the registry's type; for a model, also its class (see docs/plugins.md)

    Raises:
        PthetaError: for an unknown kind, an entry of another type, or a name that is taken
    """
    if kind not in KINDS:
        raise unknown("kind of entry", kind, KINDS)
    module: str = sys._getframe(1).f_globals.get("__name__", plugins.SCRIPTS[0])
    _put(Registered(kind, name, entry, plugins.origin(module)))


def _put(given: Registered) -> None:
    kind, name = KINDS[given.kind], given.name
    entry = kind.checked(name, given.entry)
    if kind.own(name) and plugins.find(given.kind, name) is None:
        raise PthetaError(f"{given.kind} {name!r} is one of ptheta's own: choose another name")
    plugins.remember(replace(given, entry=entry))
    kind.put(name, entry)


def for_processes(plan: Plan, processes: int) -> Callable[[], None] | None:
    """A function that registers, in the other ones of several processes, the entries that a plan
    uses from the user's program.

    Raises PthetaError for entries that cannot be pickled.
    """
    own = tuple(entry for entry in used(plan) if not entry.origin.package)
    if processes == 1 or not own:
        return None
    for entry in own:
        try:
            pickle.dumps(entry)
        except Exception as error:  # pickling may raise anything
            raise PthetaError(
                f"the {entry} cannot be pickled for other processes ({brief(error)}): define it "
                "at the top level of a module, or leave processes out"
            ) from None
    return partial(_again, own)


def _again(entries: Collection[Registered]) -> None:
    for entry in entries:
        _put(entry)
