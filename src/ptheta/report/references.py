"""The values that the curves of a game have at its equilibrium, where samples are real examples."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from ptheta import config
from ptheta.losses.adversarial import LOSSES, AdversarialLoss

SHARES = ("discriminator/D(x)", "discriminator/D(G(z))")  # where outputs are of probabilities
NAMES = {
    2 * math.log(2): "2 log 2",
    math.log(2): "log 2",
    -math.log(2): "\u2212log 2",
    0.5: "1/2",
}


def references(options: config.Config) -> dict[str, float]:
    """Name of a logged curve -> its value where the discriminator cannot tell samples from real
    examples: d(x) = d(G(z)), at the output that says so. Empty for a model that plays no such game.

    A smoothed or noisy label moves the best output, and then nothing is said.
    """
    values = config.as_dict(options)
    loss = LOSSES.get(str(values.get("loss")))
    if loss is None or loss.autoencoding or _moved(values):
        return {}
    found = {"discriminator/accuracy": 0.5, "discriminator/critic_gap": 0.0}
    return found | _losses(loss) | (dict.fromkeys(SHARES, 0.5) if loss.probability else {})


def _moved(values: Mapping[str, object]) -> bool:
    return any(values.get(name) for name in ("label_smoothing", "label_noise", "label_flips"))


def _losses(loss: AdversarialLoss) -> dict[str, float]:
    """Of both players. A generator that is rated by an output which says nothing by itself can have
    any value."""
    d = torch.tensor([loss.boundary or 0.0], dtype=torch.float64)
    found = {"discriminator/adversarial": loss.discriminator(d, d).item()}
    if loss.boundary is not None or loss.compares:
        found["generator/adversarial"] = loss.generator(d, d).item()
    return found


def named(value: float) -> str:
    """A reference as a formula, where it is one; else empty."""
    return next((name for known, name in NAMES.items() if math.isclose(value, known)), "")
