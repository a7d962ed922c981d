"""Optimizers: how a player's weights follow its gradients.

An entry of `OPTIMIZERS` is a frozen dataclass of an optimizer's own options; called with the
weights, it makes the optimizer. The options of the command line are read off the table.
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
Decay = Annotated[float, Ge(0), Lt(1)]  # of a running mean
FUSED = ("cpu", "cuda")  # where torch updates all weights in one pass


@dataclass(frozen=True)
class Rule(ABC):
    """An optimizer with its options. about, traits, excludes: as of `config.Choice`"""

    about: ClassVar[str] = ""
    traits: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[Mapping[str, str]] = {}

    lr: Positive = option(1e-3, "learning rate", basic=True)

    @abstractmethod
    def __call__(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """The optimizer of these weights. Raises PthetaError where `odd` says why not."""

    def odd(self) -> str | None:
        """Why these options do not go together: one sentence, or None."""
        return None


@dataclass(frozen=True)
class Adam(Rule):
    """Kingma & Ba 2015 (arXiv:1412.6980); the weight decay is a part of the gradient."""

    about: ClassVar[str] = "1412.6980"
    decoupled: ClassVar[bool] = False

    lr: Positive = option(1e-3, "learning rate", basic=True)
    beta1: Decay = option(0.9, "decay of the mean of the gradient")
    beta2: Decay = option(0.999, "decay of the mean of its square")
    weight_decay: AtLeastZero = option(0.0, "how fast weights fall to 0")

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
    """Adam whose weight decay stands beside the gradient (Loshchilov & Hutter 2019,
    arXiv:1711.05101)."""

    about: ClassVar[str] = "adam, its weight decay beside the gradient (1711.05101)"
    decoupled: ClassVar[bool] = True

    weight_decay: AtLeastZero = option(0.01, "how fast weights fall to 0")


@dataclass(frozen=True)
class RMSprop(Rule):
    """Tieleman & Hinton 2012 without momentum, as the Wasserstein GAN has it (arXiv:1701.07875)."""

    about: ClassVar[str] = "without momentum"

    lr: Positive = option(5e-5, "learning rate", basic=True)
    alpha: Decay = option(0.99, "decay of the mean of the squared gradient")
    weight_decay: AtLeastZero = option(0.0, "how fast weights fall to 0")

    def __call__(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        return torch.optim.RMSprop(
            parameters, lr=self.lr, alpha=self.alpha, weight_decay=self.weight_decay
        )


@dataclass(frozen=True)
class SGD(Rule):
    """Stochastic gradient descent (Robbins & Monro 1951), with Polyak's momentum or Nesterov's."""

    about: ClassVar[str] = "gradient descent"

    lr: Positive = option(1e-2, "learning rate", basic=True)
    momentum: Decay = option(0.0, "decay of the velocity")
    nesterov: bool = option(False, "look ahead along the velocity")
    weight_decay: AtLeastZero = option(0.0, "how fast weights fall to 0")

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
            return "nesterov looks ahead along the velocity: give --momentum 0.9"
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
    """The choice of an optimizer; `OptimizerConfig` has the options of every entry as well."""

    optimizer: OptimizerName = option("adam", "how weights follow their gradients")
    lr: Positive = option(1e-3, "learning rate", basic=True)

    def chosen(self) -> tuple[str, ...]:
        """The optimizers of all players, by name: an option must be of one of them."""
        return (self.optimizer,)

    def optimizer_factory(self, lr: float | None = None, optimizer: str | None = None) -> Rule:
        """What makes a player's optimizer. lr, optimizer: in place of the config's

        Raises PthetaError for an option that no player's optimizer has.
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
        """Why there are no such optimizers: one sentence, or None."""
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
        """Why no model of this config is of such a spec and condition: one sentence, or None.

        To be extended by what options a config adds.
        """
        odd = self.odd_optimizer()
        if odd is not None:
            return odd
        rules = (self._rule(name, self.lr) for name in self.chosen())
        return next((odd for rule in rules if (odd := rule.odd())), None)


def _optimizer_options() -> dict[str, Option]:
    """The options of all entries; a number may be left to the optimizer's own default (None)."""
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
    """Who has an option, and what it is by default: "adam, adamw: 0.9"."""
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
