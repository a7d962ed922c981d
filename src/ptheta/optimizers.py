"""Optimizers: how a player's weights follow its gradients.

An entry of `OPTIMIZERS` is a frozen dataclass of an optimizer's own options; called with the
weights, it makes the optimizer. The options of the command line are read off the table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias

import torch
from annotated_types import Ge, Lt
from torch import nn
from torch.optim import Optimizer

from ptheta.config import AtLeastZero, Option, Positive, option, options, plain
from ptheta.errors import PthetaError, unknown

Factory = Callable[[Iterable[nn.Parameter]], Optimizer]
Decay = Annotated[float, Ge(0), Lt(1)]  # of a running mean
FUSED = ("cpu", "cuda")  # where torch updates all weights in one pass


@dataclass(frozen=True)
class Adam:
    """Kingma & Ba 2015 (arXiv:1412.6980); the weight decay is a part of the gradient."""

    decoupled: ClassVar[bool] = False

    lr: Positive = option(1e-3, "learning rate")
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

    decoupled: ClassVar[bool] = True

    weight_decay: AtLeastZero = option(0.01, "how fast weights fall to 0")


@dataclass(frozen=True)
class RMSprop:
    """Tieleman & Hinton 2012 without momentum, as the Wasserstein GAN has it (arXiv:1701.07875)."""

    lr: Positive = option(5e-5, "learning rate")
    alpha: Decay = option(0.99, "decay of the mean of the squared gradient")
    weight_decay: AtLeastZero = option(0.0, "how fast weights fall to 0")

    def __call__(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        return torch.optim.RMSprop(
            parameters, lr=self.lr, alpha=self.alpha, weight_decay=self.weight_decay
        )


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent (Robbins & Monro 1951), with Polyak's momentum or Nesterov's."""

    lr: Positive = option(1e-2, "learning rate")
    momentum: Decay = option(0.0, "decay of the velocity")
    nesterov: bool = option(False, "look ahead along the velocity")
    weight_decay: AtLeastZero = option(0.0, "how fast weights fall to 0")

    def __call__(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """Raises PthetaError for a look ahead without a velocity."""
        if self.nesterov and not self.momentum:
            raise PthetaError("nesterov looks ahead along the velocity: give --momentum 0.9")
        weights = list(parameters)
        return torch.optim.SGD(
            weights,
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            fused=all(p.device.type in FUSED for p in weights),
        )


OPTIMIZERS: dict[str, type[Adam] | type[RMSprop] | type[SGD]] = {
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "sgd": SGD,
}

if TYPE_CHECKING:
    OptimizerName: TypeAlias = str
else:  # the names are those of the table
    OptimizerName = Literal[*OPTIMIZERS]


@dataclass(frozen=True)
class _Chosen:
    """The choice of an optimizer; `OptimizerConfig` has the options of every entry as well."""

    optimizer: OptimizerName = option("adam", "how weights follow their gradients")
    lr: Positive = option(1e-3, "learning rate")

    def chosen(self) -> tuple[str, ...]:
        """The optimizers of all players, by name: an option must be of one of them."""
        return (self.optimizer,)

    def optimizer_factory(self, lr: float | None = None, optimizer: str | None = None) -> Factory:
        """What makes a player's optimizer. lr, optimizer: in place of the config's

        Raises PthetaError for an option that no player's optimizer has.
        """
        for name in self.chosen():
            if name not in OPTIMIZERS:
                raise unknown("optimizer", name, OPTIMIZERS)
        entry = OPTIMIZERS[optimizer or self.optimizer]
        values, own = dataclasses.asdict(self), options(entry)
        usual = {field.name: field.default for field in dataclasses.fields(self)}
        theirs = {name for chosen in self.chosen() for name in options(OPTIMIZERS[chosen])}
        for name in sorted(BESIDE_LR.keys() - theirs):
            if values[name] != usual[name]:
                owners = [other for other in OPTIMIZERS if name in options(OPTIMIZERS[other])]
                mine = " and ".join(dict.fromkeys(self.chosen()))
                raise PthetaError(
                    f"{name} = {values[name]}, which {mine} does not have: leave it out, "
                    f"or choose --optimizer {' or '.join(owners)}"
                )
        given = {name: values[name] for name in own if values[name] is not None}
        return entry(**{**given, "lr": self.lr if lr is None else lr})


def _beside_lr() -> dict[str, Option]:
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


BESIDE_LR = _beside_lr()

if TYPE_CHECKING:
    OptimizerConfig = _Chosen
else:
    OptimizerConfig = dataclasses.make_dataclass(
        "OptimizerConfig",
        [(o.name, o.hint, option(o.default, o.help)) for o in BESIDE_LR.values()],
        bases=(_Chosen,),
        frozen=True,
    )
    OptimizerConfig.__module__ = __name__
