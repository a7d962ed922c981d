"""Optimizers and their options.

An entry of `OPTIMIZERS` is a frozen dataclass of an optimizer's options; calling it with the
parameters creates the optimizer. The command-line options are generated from the table.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeAlias

import torch
from annotated_types import Ge, Lt
from torch import nn
from torch.optim import Optimizer

from ptheta.config import AtLeastZero, OneOf, Option, Positive, option, options, plain
from ptheta.errors import PthetaError, unknown

if TYPE_CHECKING:
    from ptheta.conditions import ConditionSpec
    from ptheta.specs import DataSpec

Factory = Callable[[Iterable[nn.Parameter]], Optimizer]
Decay = Annotated[float, Ge(0), Lt(1)]  # decay rate of a running mean
FUSED = ("cpu", "cuda")  # devices with fused optimizers in torch


@dataclass(frozen=True)
class Rule(ABC):
    """An optimizer with its options. about, traits, excludes: as for `config.Choice`."""

    about: ClassVar[str] = ""
    traits: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[Mapping[str, str]] = {}

    lr: Positive = option(1e-3, "learning rate", basic=True)

    @abstractmethod
    def __call__(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """Creates the optimizer of these parameters. Raises PthetaError if `odd` gives a reason."""

    def odd(self) -> str | None:
        """Why these options cannot be combined: one sentence, or None."""
        return None


@dataclass(frozen=True)
class Adam(Rule):
    """Kingma & Ba 2015 (arXiv:1412.6980); with L2 weight decay, added to the gradient."""

    about: ClassVar[str] = "1412.6980"
    decoupled: ClassVar[bool] = False

    lr: Positive = option(1e-3, "learning rate", basic=True)
    beta1: Decay = option(0.9, "decay of the running mean of the gradient")
    beta2: Decay = option(0.999, "decay of the running mean of the squared gradient")
    weight_decay: AtLeastZero = option(0.0, "weight decay coefficient")

    def __call__(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        weights = list(parameters)
        return torch.optim.Adam(
            weights,
            lr=self.lr,
            betas=(self.beta1, self.beta2),
            weight_decay=self.weight_decay,
            decoupled_weight_decay=self.decoupled,
            fused=all(p.device.type in FUSED for p in weights),
        )


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101)."""

    about: ClassVar[str] = "adam with decoupled weight decay (1711.05101)"
    decoupled: ClassVar[bool] = True

    weight_decay: AtLeastZero = option(0.01, "weight decay coefficient")


@dataclass(frozen=True)
class RMSprop(Rule):
    """Tieleman & Hinton 2012 without momentum, as the Wasserstein GAN has it (arXiv:1701.07875)."""

    about: ClassVar[str] = "without momentum"

    lr: Positive = option(5e-5, "learning rate", basic=True)
    alpha: Decay = option(0.99, "decay of the running mean of the squared gradient")
    weight_decay: AtLeastZero = option(0.0, "weight decay coefficient")

    def __call__(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        return torch.optim.RMSprop(
            parameters, lr=self.lr, alpha=self.alpha, weight_decay=self.weight_decay
        )


@dataclass(frozen=True)
class SGD(Rule):
    """Stochastic gradient descent (Robbins & Monro 1951), with Polyak's momentum or Nesterov's."""

    about: ClassVar[str] = "gradient descent"

    lr: Positive = option(1e-2, "learning rate", basic=True)
    momentum: Decay = option(0.0, "momentum: decay of the velocity")
    nesterov: bool = option(False, "Nesterov momentum")
    weight_decay: AtLeastZero = option(0.0, "weight decay coefficient")

    def __call__(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        odd = self.odd()
        if odd is not None:
            raise PthetaError(odd)
        weights = list(parameters)
        return torch.optim.SGD(
            weights,
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            fused=all(p.device.type in FUSED for p in weights),
        )

    def odd(self) -> str | None:
        if self.nesterov and not self.momentum:
            return "nesterov needs momentum: give --momentum 0.9"
        return None


OPTIMIZERS: dict[str, type[Rule]] = {
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "sgd": SGD,
}

OptimizerName: TypeAlias = Annotated[str, OneOf(OPTIMIZERS)]


@dataclass(frozen=True)
class _Chosen:
    """The choice of an optimizer; `OptimizerConfig` adds the options of all entries."""

    optimizer: OptimizerName = option("adam", "optimizer")
    lr: Positive = option(1e-3, "learning rate", basic=True)

    def chosen(self) -> tuple[str, ...]:
        """Names of the optimizers of all players; each option must belong to one of them."""
        return (self.optimizer,)

    def optimizer_factory(self, lr: float | None = None, optimizer: str | None = None) -> Rule:
        """The factory of a player's optimizer. lr, optimizer: override the config's.

        Raises PthetaError for an option that none of the optimizers has.
        """
        odd = self.odd_optimizer()
        if odd is not None:
            raise PthetaError(odd)
        return self._rule(optimizer or self.optimizer, self.lr if lr is None else lr)

    def _rule(self, name: str, lr: float) -> Rule:
        rule, values = OPTIMIZERS[name], dataclasses.asdict(self)
        given = {name: values[name] for name in options(rule) if values[name] is not None}
        return rule(**{**given, "lr": lr})

    def odd_optimizer(self) -> str | None:
        """Why the optimizer options are invalid: one sentence, or None."""
        chosen = dict.fromkeys(self.chosen())
        for name in chosen:
            if name not in OPTIMIZERS:
                return str(unknown("optimizer", name, OPTIMIZERS))
        theirs = {option for name in chosen for option in options(OPTIMIZERS[name])}
        values = dataclasses.asdict(self)
        usual = {field.name: field.default for field in dataclasses.fields(self)}
        for name in sorted(OPTIMIZER_OPTIONS.keys() - theirs):
            if values[name] not in (usual[name], None):
                owners = [other for other in OPTIMIZERS if name in options(OPTIMIZERS[other])]
                return (
                    f"{name} = {values[name]}, which {' and '.join(chosen)} does not have: leave "
                    f"it out, or choose --optimizer {' or '.join(owners)}"
                )
        return None

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        """Why this config does not support a spec and condition: one sentence, or None.

        Subclasses extend it for the options they add.
        """
        odd = self.odd_optimizer()
        if odd is not None:
            return odd
        rules = (self._rule(name, self.lr) for name in self.chosen())
        return next((odd for rule in rules if (odd := rule.odd())), None)


def _optimizer_options() -> dict[str, Option]:
    """The options of all entries except lr; None means the optimizer's own default."""
    found: dict[str, Option] = {}
    for name in dict.fromkeys(o for entry in OPTIMIZERS.values() for o in options(entry)):
        if name == "lr":
            continue
        theirs = {n: options(e)[name] for n, e in OPTIMIZERS.items() if name in options(e)}
        first = next(iter(theirs.values()))
        text = f"{first.help} ({_defaults(theirs)})"
        if first.is_flag:
            found[name] = Option(name, first.default, text, first.hint)
        else:
            found[name] = Option(name, None, text, first.hint | None)
    return found


def _defaults(theirs: Mapping[str, Option]) -> str:
    """The optimizers that have an option, with its default: "adam, adamw: 0.9"."""
    by_value: dict[str, list[str]] = {}
    for name, o in theirs.items():
        by_value.setdefault(f"{plain(o.default)}", []).append(name)
    return "; ".join(f"{', '.join(names)}: {value}" for value, names in by_value.items())


OPTIMIZER_OPTIONS = _optimizer_options()

if TYPE_CHECKING:
    OptimizerConfig = _Chosen
else:
    OptimizerConfig = dataclasses.make_dataclass(
        "OptimizerConfig",
        [(o.name, o.hint, option(o.default, o.help)) for o in OPTIMIZER_OPTIONS.values()],
        bases=(_Chosen,),
        frozen=True,
    )
    OptimizerConfig.__module__ = __name__
