"""Distributions over x and over codes, under one protocol; divergences between them; and what
makes a density of real numbers a bound on the probabilities of levels (dequantisation)."""

from ptheta.distributions.base import Distribution
from ptheta.distributions.dequantisation import dequantise, log_prob_bound, requantise
from ptheta.distributions.kl import kl_divergence, kl_normal, kl_standard_normal
from ptheta.distributions.latents import (
    Flow,
    GaussianMixture,
    LatentDistribution,
    Mixture,
    Normal,
    StandardNormal,
)
from ptheta.distributions.pixels import (
    Bernoulli,
    Categorical,
    DiscretisedGaussian,
    LogisticMixture,
    PixelDistribution,
)

__all__ = [
    "Bernoulli",
    "Categorical",
    "DiscretisedGaussian",
    "Distribution",
    "Flow",
    "GaussianMixture",
    "LatentDistribution",
    "LogisticMixture",
    "Mixture",
    "Normal",
    "PixelDistribution",
    "StandardNormal",
    "dequantise",
    "kl_divergence",
    "kl_normal",
    "kl_standard_normal",
    "log_prob_bound",
    "requantise",
]
