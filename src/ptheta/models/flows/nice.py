"""NICE: additive couplings (Dinh et al. 2015, arXiv:1410.8516)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ptheta.config import Layers, OneOf, Parts, option
from ptheta.models.flows.base import PRIORS, Flow, FlowConfig, FlowPrior
from ptheta.models.recipes import Recipes
from ptheta.nets.flows.conditioners import perceptron
from ptheta.nets.flows.couplings import Coupling, Interleaved
from ptheta.nets.flows.elementwise import Scaling
from ptheta.nets.flows.laws import Additive
from ptheta.nets.flows.shapes import Flatten
from ptheta.nets.flows.transform import Chain, Transform


@dataclass(frozen=True)
class NICEConfig(FlowConfig):
    couplings: Parts = option(4, "number of additive couplings")
    hidden: Layers = option((1000,) * 5, "units of each coupling's hidden layers", basic=True)
    prior: Annotated[str, OneOf(PRIORS)] = option("logistic", "p(z)", basic=True)


class NICE(Flow):
    """Couplings that move no volume, y_b = x_b + m(x_a), then z = exp(s) y: a and b are the numbers
    in even and in odd places, in turn. An image is one row of numbers."""

    config: NICEConfig

    def transform(self) -> Transform:
        c, law = self.config, Additive()
        parts: list[Transform] = [Flatten(self.inner)]
        for i in range(c.couplings):
            parting = Interleaved(self.dims, bool(i % 2))
            parts.append(Coupling(parting, perceptron(parting.seen, parting.moved, c.hidden), law))
        return Chain([*parts, Scaling((self.dims,))])

    def prior(self) -> FlowPrior:
        return PRIORS[self.config.prior]


RECIPES: Recipes = {
    "default": {
        "about": "four couplings of two layers of 500 units",
        "model": {"hidden": (500, 500)},
        "train": {"batch_size": 128, "epochs": 50.0, "schedule": "cosine", "clip": 50.0},
    },
    "dinh-2014": {
        "about": "the sizes of arXiv:1410.8516 on MNIST: five layers of 1000 units, 1500 epochs",
        "model": {"input": "none"},
        "train": {"batch_size": 200, "epochs": 1500.0, "clip": 50.0},
    },
    "points": {
        "about": "eight couplings of 128 units: points in a minute on one core",
        "model": {"couplings": 8, "hidden": (128, 128), "lr": 2e-3, "prior": "normal"},
        "train": {"batch_size": 256, "steps": 3000, "schedule": "cosine", "clip": 10.0},
    },
}
