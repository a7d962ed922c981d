"""Models from outside: any nn.Module class as an entry of the registry.

Its options are the arguments of its constructor that follow the spec. A class that is made as the
models here are, `Model(spec, config, condition)`, has those of the dataclass that `config` is
annotated with.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard, get_type_hints

from torch import nn

from ptheta import plugins
from ptheta.capabilities import CAPABILITIES
from ptheta.conditions import ConditionSpec, word
from ptheta.config import Config, option
from ptheta.errors import PthetaError
from ptheta.models.base import Fits, HasLoss, Plays
from ptheta.models.entries import Listed
from ptheta.models.recipes import Recipes
from ptheta.models.registry import MODELS
from ptheta.optimizers import OptimizerConfig
from ptheta.specs import DataSpec

CONFIG, CONDITION = "config", "condition"  # arguments that have a meaning


@dataclass(frozen=True)
class ModelEntry(Listed):
    """A class of models, for `ptheta.register("model", NAME, ModelEntry(...))`.

    model: the class, with `game()`, `fit(batches)` or `loss(batch)`; created by
        model(spec, **options) or model(spec, config, condition)
    family, paper: for lists; about: a short description
    named: recipes, like `RECIPES` of the models of this package
    given: an object of the class to use instead of new weights
    """

    model: type[nn.Module]
    family: str = "own"
    paper: str = ""
    about: str = ""
    named: Recipes = field(default_factory=lambda: {"default": {"about": "", "model": {}}})
    given: nn.Module | None = None

    def __post_init__(self) -> None:
        """Raise PthetaError for a class that cannot be trained, or that has a capability with
        another signature."""
        if not is_model(self.model):
            raise PthetaError(
                f"{self.model!r}: give a class of torch.nn.Module, or an object of one"
            )
        name = self.model.__name__
        if not issubclass(self.model, Plays | Fits | HasLoss):
            raise PthetaError(f"{name} has no game(), fit(batches) or loss(batch) to learn by")
        if (fault := _fault(self.model)) is not None:
            raise PthetaError(f"{name}.{fault}: see ptheta.capabilities")
        self.load_config()

    @property
    def name(self) -> str:
        """The name that a run has of a class that was not registered."""
        return f"{self.model.__module__}:{self.model.__qualname__}"

    def load_model(self) -> type[nn.Module]:
        return self.model

    def load_config(self) -> type:
        """Raise PthetaError for a constructor with arguments that cannot be options."""
        return _base(self.model) if self.given is not None else config_of(self.model)

    def recipes(self) -> Mapping[str, Mapping[str, Any]]:
        return self.named

    def build(
        self,
        spec: DataSpec,
        config: Config,
        condition: ConditionSpec | None,
        to_train: bool = False,
    ) -> nn.Module:
        """Its weights are not counted beforehand: not every constructor works on shapes alone."""
        return self.maker(spec, config, condition)()

    def maker(
        self, spec: DataSpec, config: Config, condition: ConditionSpec | None
    ) -> Callable[[], nn.Module]:
        return lambda: _with_spec(self._made(spec, config, condition), spec)

    def _made(self, spec: DataSpec, config: Config, condition: ConditionSpec | None) -> nn.Module:
        if self.given is not None:
            return copy.deepcopy(self.given)
        cls: Callable[..., nn.Module] = self.model
        arguments = _arguments(self.model)
        if CONFIG in arguments:
            return cls(spec, config, *((condition,) if CONDITION in arguments else ()))
        if condition is not None:
            raise PthetaError(
                f"{self.model.__name__} cannot be conditional on {word(condition)}: its "
                f"constructor takes no {CONFIG} and {CONDITION}"
            )
        values = vars(config)
        return cls(spec, **{name: values[name] for name in arguments})


def registered(model: type[nn.Module] | nn.Module, name: str = "") -> ModelEntry:
    """Register a class, or an object of one, as a model.

    name: default: MODULE:CLASS
    """
    entry = entry_of(model)
    name, origin = name or entry.name, plugins.origin(entry.model.__module__)
    plugins.remember(plugins.Registered("model", name, entry, origin))
    MODELS[name] = entry
    return entry


def is_model(cls: object) -> TypeGuard[type[nn.Module]]:
    """Whether something is a class of modules."""
    return isinstance(cls, type) and issubclass(cls, nn.Module)


def entry_of(model: type[nn.Module] | nn.Module) -> ModelEntry:
    """The entry of a class, or of an object, whose weights are the initial ones."""
    if isinstance(model, nn.Module):
        return ModelEntry(type(model), given=model)
    return ModelEntry(model)


def _with_spec(model: nn.Module, spec: DataSpec) -> nn.Module:
    """Set the spec of a model that does not define it, since tasks need it."""
    if "spec" not in dir(model):
        model.__dict__["spec"] = spec
    return model


def _arguments(cls: type) -> Mapping[str, inspect.Parameter]:
    """The parameters of the constructor after the spec."""
    found = list(inspect.signature(cls).parameters.values())
    return {p.name: p for p in found[1:]}


def _base(cls: type) -> type:
    """The options that training adds: of the optimizer, where the class has a loss alone."""
    return OptimizerConfig if not issubclass(cls, Plays | Fits) else _None


@dataclass(frozen=True)
class _None:
    """No options."""


CONFIGS: dict[type, type] = {}  # one for each class: two of them would not be equal


def config_of(cls: type) -> type:
    """The dataclass of the options of a class, see `_config_of`."""
    if cls not in CONFIGS:
        CONFIGS[cls] = _config_of(cls)
    return CONFIGS[cls]


def _config_of(cls: type) -> type:
    """The dataclass of the options of a class.

    Raises PthetaError for arguments that are no options: without a default, or of any number.
    """
    name, arguments = cls.__name__, _arguments(cls)
    hints = get_type_hints(method(cls, "__init__"), include_extras=True)
    if CONFIG in arguments:
        found = hints.get(CONFIG)
        if not isinstance(found, type) or not dataclasses.is_dataclass(found):
            raise PthetaError(f"{name}(spec, config): annotate config with its dataclass")
        if _base(cls) is OptimizerConfig and not issubclass(found, OptimizerConfig):
            raise PthetaError(
                f"{name} learns by its loss, with an optimizer by option: let "
                f"{found.__name__} extend ptheta.optimizers.OptimizerConfig"
            )
        return found
    fields = []
    for p in arguments.values():
        if p.default is p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise PthetaError(
                f"{name}({p.name}): arguments after the spec are options, so give it a default"
            )
        hint = hints.get(p.name, type(p.default))
        fields.append((p.name, hint, option(p.default, f"of {name}")))
    return dataclasses.make_dataclass(f"{name}Config", fields, bases=(_base(cls),), frozen=True)


def _fault(cls: type[nn.Module]) -> str | None:
    """A capability of the class with an unsupported signature; None if there is none."""
    for protocol in CAPABILITIES.values():
        if not issubclass(cls, protocol):
            continue
        for name, wanted in vars(protocol).items():
            if name.startswith("_") or not callable(wanted):
                continue
            given = list(inspect.signature(wanted).parameters)[1:]
            own = inspect.signature(method(cls, name))
            try:
                own.bind(None, *given)
            except TypeError:
                return f"{name}{own} cannot be called as {name}({', '.join(given)})"
    return None


def method(cls: type, name: str) -> Callable[..., object]:
    """A method, as the class or a parent has it."""
    found: Callable[..., object] = next(vars(c)[name] for c in cls.__mro__ if name in vars(c))
    return found
