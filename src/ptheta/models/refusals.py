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
                f"{option} = {norm} needs a reference batch, and none is kept: take {option} = "
                f"{fitting}"
            )
    return None


def odd_loss(loss: str) -> str | None:
    """Why this one, of `LOSSES`, cannot be; None where it can."""
    if not LOSSES[loss].autoencoding:
        return None
    fitting = ", ".join(name for name, entry in LOSSES.items() if not entry.autoencoding)
    return (
        f"loss = {loss} is of a discriminator that rebuilds images, and this one rates them: "
        f"take loss = {fitting}"
    )
