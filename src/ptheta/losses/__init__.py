"""Losses: pure functions of tensors, documented with their formulas.

They can be used in custom training loops: `LOSSES["hinge"].discriminator(d_real, d_fake)` and
`penalise(PENALTIES["r1"], d, real, fake)` return `(B,)`, to be averaged and minimised.
"""

from ptheta.losses.adversarial import (
    LOSSES,
    AdversarialLoss,
    accuracy,
    convergence,
    cross_entropy,
    equilibrium,
    hinge_discriminator,
    least_squares,
    least_squares_discriminator,
    log_odds,
    minimax,
    negative_critic,
    non_saturating,
    relativistic,
    relativistic_average,
    relativistic_average_discriminator,
    relativistic_discriminator,
    wasserstein_critic,
)
from ptheta.losses.matching import contrastive, same_rows
from ptheta.losses.penalties import (
    PENALTIES,
    Evaluation,
    Penalty,
    interpolate,
    one_centred,
    penalise,
    perturb_real,
    squared_grad_norm,
    zero_centred,
)

__all__ = [
    "LOSSES",
    "PENALTIES",
    "AdversarialLoss",
    "Evaluation",
    "Penalty",
    "accuracy",
    "contrastive",
    "convergence",
    "cross_entropy",
    "equilibrium",
    "hinge_discriminator",
    "interpolate",
    "least_squares",
    "least_squares_discriminator",
    "log_odds",
    "minimax",
    "negative_critic",
    "non_saturating",
    "one_centred",
    "penalise",
    "perturb_real",
    "relativistic",
    "relativistic_average",
    "relativistic_average_discriminator",
    "relativistic_discriminator",
    "same_rows",
    "squared_grad_norm",
    "wasserstein_critic",
    "zero_centred",
]
