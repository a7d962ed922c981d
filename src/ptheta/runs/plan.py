"""The plan of a run: model, data and training settings, as stored in config.json."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypedDict, runtime_checkable

from ptheta import conditions, config
from ptheta.data.memory import Source
from ptheta.data.names import record, shortened
from ptheta.data.request import DataSettings
from ptheta.errors import PthetaError, unknown
from ptheta.models import registry
from ptheta.schemas import Config
from ptheta.training.settings import NO_KL, OF_KL, RESUMABLE, TrainSettings

LENGTHS = ("steps", "minutes", "epochs")


@runtime_checkable
class KnowsItsTerms(Protocol):
    """A config that determines the loss terms before training."""

    def has_kl(self) -> bool:
        """Whether the model's losses have a term named kl, which training scales."""


@runtime_checkable
class LearnsKL(Protocol):
    """A config of a model with loss terms other than kl."""

    def learns_kl_alone(self) -> bool:
        """Whether all other terms are disabled."""


class Written(TypedDict):
    """A plan as JSON: the options by name."""

    model: str
    recipe: str
    config: dict[str, object]
    source: str
    data: dict[str, object]
    train: dict[str, object]


@dataclass(frozen=True)
class Plan:
    """All settings that determine a run; `to_json` makes it JSON-ready."""

    model: str
    config: config.Config  # the model's own
    source: str  # name or absolute path of the data, as `ptheta.data.names.record` gives it
    data: DataSettings
    train: TrainSettings
    recipe: str = "default"

    def __repr__(self) -> str:
        train = self.train
        lengths = {"steps": train.steps, "minutes": train.minutes, "epochs": train.epochs}
        length = ", ".join(f"{n:g} {name}" for name, n in lengths.items() if n is not None)
        source = shortened(self.source)
        return (
            f"Plan({self.model!r}, recipe {self.recipe!r}, on {source!r} with {self.data.levels} "
            f"levels, {length}, seed {self.train.seed})"
        )

    def to_json(self) -> Written:
        return {
            "model": self.model,
            "recipe": self.recipe,
            "config": config.as_dict(self.config),
            "source": self.source,
            "data": config.as_dict(self.data),
            "train": config.as_dict(self.train),
        }

    @classmethod
    def from_json(cls, values: Written) -> Plan:
        """Raises PthetaError for an unknown option or a value out of range."""
        kind = "key in config.json"
        own = registry.entry(values["model"]).load_config()
        return cls(
            model=values["model"],
            config=config.build(own, values["config"], kind, strict=True),
            source=values["source"],
            data=config.build(DataSettings, values["data"], kind, strict=True),
            train=config.build(TrainSettings, values["train"], kind, strict=True),
            recipe=values["recipe"],
        )

    @classmethod
    def from_config(cls, about: Config) -> Plan:
        """The plan of a run. Raises PthetaError as `from_json` does."""
        return cls.from_json(
            {
                "model": about.model,
                "recipe": about.recipe,
                "config": about.config,
                "source": about.source,
                "data": about.data,
                "train": about.train,
            }
        )


def sections(model: str) -> dict[str, type]:
    """The config classes whose fields are the options of `model`."""
    return {
        "model": registry.entry(model).load_config(),
        "data": DataSettings,
        "train": TrainSettings,
    }


def make(
    model: str, source: Source, options: Mapping[str, object], recipe: str = "default"
) -> Plan:
    """The plan of a recipe with these options overridden.

    Raises PthetaError for an unknown model, recipe or option (naming the nearest one) and for a
    value out of range.
    """
    recipes = registry.entry(model).recipes()
    if recipe not in recipes:
        raise unknown(f"recipe of {model}", recipe, recipes)
    classes = sections(model)
    values: dict[str, dict[str, object]] = {
        part: dict(recipes[recipe].get(part, {})) for part in classes
    }
    homes = _homes(classes)
    if any(options.get(length) is not None for length in LENGTHS):
        for length in LENGTHS:  # the given length replaces the recipe's
            values["train"].pop(length, None)
    for name, value in options.items():
        if name not in homes:
            raise unknown(f"option of {model}", name, homes)
        values[homes[name]][name] = value
    own: config.Config = config.build(classes["model"], values["model"])
    given = {name for name, value in options.items() if value is not None}
    asked = options.get("condition")
    if asked not in (None, conditions.NONE) and not conditions.wanted(own):
        raise PthetaError(
            f"condition = {asked}, but {model} with these options is unconditional: choose how "
            "the condition is used, such as --conditioning label, or leave it out"
        )
    data = config.build(DataSettings, values["data"])
    train = _trained(model, own, values["train"], options)
    for part in (own, data, train):
        if (idle := config.idle_option(part, given)) is not None:
            raise PthetaError(idle)
    return Plan(model, own, record(source), data, train, recipe)


def _trained(
    model: str, own: config.Config, values: dict[str, object], options: Mapping[str, object]
) -> TrainSettings:
    """The training settings. Drops settings of the recipe that do not apply to this config. Raises
    PthetaError if the user gave them."""
    lacks_kl = isinstance(own, KnowsItsTerms) and not own.has_kl()
    if lacks_kl:
        values = {k: v for k, v in values.items() if k not in OF_KL or k in options}
    train = config.build(TrainSettings, values).budget()
    if lacks_kl and train.treats_kl:
        raise PthetaError(f"{NO_KL}, and {model} with these options has none: leave them out")
    if isinstance(own, LearnsKL) and own.learns_kl_alone() and not train.beta:
        raise PthetaError(
            "beta = 0 removes the kl term, which is the only loss of this model: give another beta"
        )
    return train


def extend(old: Plan, options: Mapping[str, object]) -> Plan:
    """The plan of a resumed run: only its length and reports may change.

    Raises PthetaError for an option that would change what was already trained.
    """
    classes = sections(old.model)
    homes = _homes(classes)
    current = {"model": old.config, "data": old.data, "train": old.train}
    changes = {}
    for name, value in options.items():
        if name not in homes:
            raise unknown(f"option of {old.model}", name, homes)
        part = homes[name]
        asked = config.as_dict(config.build(classes[part], {name: value}))[name]
        before = config.as_dict(current[part])[name]
        if name in RESUMABLE:
            changes[name] = asked
        elif asked != before:
            raise PthetaError(
                f"{name} = {asked}, but the run was started with {before}: leave the option out, "
                "or train into a new --out"
            )
    train = config.as_dict(old.train)
    if any(changes.get(length) is not None for length in LENGTHS):
        train |= dict.fromkeys(LENGTHS)
    return dataclasses.replace(old, train=config.build(TrainSettings, train | changes).budget())


def _homes(classes: Mapping[str, type]) -> dict[str, str]:
    """Option name -> the section it belongs to."""
    return {name: part for part, cls in classes.items() for name in config.options(cls)}
