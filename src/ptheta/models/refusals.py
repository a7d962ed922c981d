"""Parts that the discriminator or generator of a model cannot have, each in a sentence."""

from __future__ import annotations

from collections.abc import Mapping

from ptheta.losses.adversarial import LOSSES
from ptheta.nets.norms import NORMS


def odd_norm(norms: Mapping[str, str]) -> str | None:
    """Why one of these cannot be; None where all can. norms: the name of each option -> of
    `NORMS`"""
    fitting = ", ".join(name for name, norm in NORMS.items() if not norm.refers)
    for option, norm in norms.items():
        if NORMS[norm].refers:
            return (
                f"{option} = {norm} needs a reference batch, which this model does not keep: use "
                f"{option} = {fitting}"
            )
    return None


def odd_loss(loss: str) -> str | None:
    """Why this one, of `LOSSES`, cannot be; None where it can."""
    if not LOSSES[loss].autoencoding:
        return None
    fitting = ", ".join(name for name, entry in LOSSES.items() if not entry.autoencoding)
    return (
        f"loss = {loss} needs an autoencoding discriminator, which this model does not have: "
        f"use loss = {fitting}"
    )
