"""A plug-in of ptheta. Importing this module registers what it brings."""

import ptheta
from ptheta.losses.adversarial import AdversarialLoss
from ptheta.losses.penalties import Penalty
from toy_ptheta.data import LINES
from toy_ptheta.losses import consistency, squared, squares
from toy_ptheta.measuring import Means, brightness
from toy_ptheta.model import Blobs

ptheta.register(
    "model",
    "toy-blobs",
    ptheta.ModelEntry(
        Blobs,
        family="toys",
        paper="none",
        named={
            "default": {"about": "one step", "model": {}, "train": {"steps": 1}},
            "wide": {"about": "more units", "model": {"hidden": 32}, "train": {"steps": 2}},
        },
    ),
)
ptheta.register(
    "loss",
    "toy-squares",
    AdversarialLoss(squares, squared, ("(d(x) - 1)^2 + d(G(z))^2", "(d(G(z)) - 1)^2"), "none"),
)
ptheta.register(
    "penalty",
    "toy-consistency",
    Penalty("real", consistency, 1.0, "(d(x) - d(flipped x))^2", "none"),
)
ptheta.register("metric", brightness.name, brightness)
ptheta.register("source", "toy-lines", LINES)
ptheta.register("extractor", "toy-means", Means)
