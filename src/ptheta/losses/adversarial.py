"""Adversarial losses: pure functions of discriminator logits, one value per example.

D = sigmoid(d) is the probability of "real". Each entry of `LOSSES` pairs what the discriminator
and the generator minimise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import softplus


class Adversarial(NamedTuple):
    """discriminator(d_real, d_fake) -> (B,) and generator(d_fake) -> (B,)"""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def cross_entropy(d_real: Tensor, d_fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))): Goodfellow et al. 2014, eq. 1 (arXiv:1406.2661).

    With the best D its mean is 2 log 2 - 2 JSD(p_data, p_model) nats.
    """
    return softplus(-d_real) + softplus(d_fake)


def non_saturating(d_fake: Tensor) -> Tensor:
    """-log D(G(z)): Goodfellow et al. 2014, section 3 (arXiv:1406.2661)."""
    return softplus(-d_fake)


def log_odds(d_fake: Tensor) -> Tensor:
    """-log D(G(z)) + log(1 - D(G(z))) = -d: Rosca et al. 2017, algorithm 1 (arXiv:1706.04987).

    With the best D it is log p_model / p_data, so its mean is KL(p_model || p_data).
    """
    return -d_fake


LOSSES: dict[str, Adversarial] = {
    "non_saturating": Adversarial(cross_entropy, non_saturating),
}
