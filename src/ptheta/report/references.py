"""Values of the training curves at the equilibrium of a game, where samples match the data."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from ptheta import config
from ptheta.losses.adversarial import LOSSES, AdversarialLoss

SHARES = ("discriminator/D(x)", "discriminator/D(G(z))")  # if the outputs are probabilities
NAMES = {
    2 * math.log(2): "2 log 2",
    math.log(2): "log 2",
    -math.log(2): "\u2212log 2",
    0.5: "1/2",
}


def references(options: config.Config) -> dict[str, float]:
    """Name of a logged curve -> its value if the discriminator cannot distinguish samples from real
    examples: d(x) = d(G(z)), at the corresponding optimal output. Empty for other models.

    Also empty with smoothed or noisy labels, which change the optimal output.
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
    """The losses of both players. The generator's is undefined if the critic's output has no
    absolute meaning."""
    d = torch.tensor([loss.boundary or 0.0], dtype=torch.float64)
    found = {"discriminator/adversarial": loss.discriminator(d, d).item()}
    if loss.boundary is not None or loss.compares:
        found["generator/adversarial"] = loss.generator(d, d).item()
    return found


def named(value: float) -> str:
    """A reference value as a formula, if known; else empty."""
    return next((name for known, name in NAMES.items() if math.isclose(value, known)), "")
