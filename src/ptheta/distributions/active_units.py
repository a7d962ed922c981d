"""Which dimensions of a code are used."""

from __future__ import annotations

from torch import Tensor

from ptheta.distributions.kl import kl_standard_normal
from ptheta.distributions.latents import Normal

ACTIVE_VARIANCE = 0.01  # of a posterior mean over the data
ACTIVE_KL = 0.1  # nats, mean over the data


def active_by_variance(means: Tensor) -> Tensor:
    """Which dimensions move with the image: Var over x of the posterior mean above 0.01 (Burda et
    al. 2016, section 5.2, arXiv:1509.00519). means: (N, L) -> bool (L,)."""
    return means.var(0) > ACTIVE_VARIANCE


def active_by_kl(kl: Tensor) -> Tensor:
    """Which dimensions carry information: mean KL(q(z_j | x) || N(0, 1)), which bounds it, above
    0.1 nats; kl: (N, L) -> bool (L,).

    A mean with a variance of 0.01 may carry 0.005 nats, next to nothing, and counts by variance
    alone. A bound on the KL is how Lucas et al. 2019 define a collapsed dimension (section 5.2,
    arXiv:1911.02469).
    """
    return kl.mean(0) > ACTIVE_KL


def active_units(posterior: Normal) -> dict[str, Tensor]:
    """How many dimensions are used, to be logged: by variance and KL, and by variance alone."""
    q = posterior.detach()
    moves, carries = active_by_variance(q.mean), active_by_kl(kl_standard_normal(q.mean, q.log_var))
    return {
        "active_units": (moves & carries).sum().float(),
        "active_by_variance": moves.sum().float(),
    }
