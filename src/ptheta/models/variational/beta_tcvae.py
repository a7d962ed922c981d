"""Beta-TCVAE (Chen et al. 2018, arXiv:1802.04942): a VAE that penalises total correlation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple, TypeAlias

import torch
from torch import Tensor

from ptheta.batch import Batch
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import AtLeastZero, Count, Entry, OneOf, option
from ptheta.distributions.active_units import active_units
from ptheta.distributions.gaussian import LOG_2PI
from ptheta.distributions.latents import LatentDistribution, Normal
from ptheta.games import Terms
from ptheta.models.recipes import Recipes
from ptheta.models.variational.vae import VAE, VAEConfig
from ptheta.specs import DataSpec


@dataclass(frozen=True)
class Estimator(Entry):
    """How log q(z), the aggregate posterior 1/N sum_n q(z | x_n), is estimated from a batch.

    log_weights: (rows of the batch that the codes belong to (B,), size M of the batch, number N of
        training examples, None where it is not known) -> log-weights of log q(z_i | x_m), (B, M)
    needs_examples: whether N must be known
    """

    log_weights: Callable[[Tensor, int, int | None], Tensor]
    needs_examples: bool = False


def weighted(rows: Tensor, m: int, n: int | None) -> Tensor:
    """Minibatch-weighted sampling: 1 / (N M) for each example of the batch (appendix C.1).

    It underestimates log q(z). N adds a constant to the terms and nothing to their gradients.
    Without N the batch counts as the data set.
    """
    constant = -math.log(m if n is None else n * m)
    return torch.full((len(rows), m), constant, device=rows.device)


def stratified(rows: Tensor, m: int, n: int | None) -> Tensor:
    """Minibatch-stratified sampling: 1 / N for the example of the code itself, which is always in
    the batch, and (N - 1) / (N (M - 1)) for each other one.

    Unbiased for q(z). Appendix C.2 gives one of the other examples the odd part of the weight; this
    is the mean of that estimator over the order of the batch.
    """
    n = m if n is None else n
    others = math.log((n - 1) / (n * (m - 1))) if m > 1 and n > 1 else -math.inf
    weights = torch.full((len(rows), m), others, device=rows.device)
    return weights.scatter(1, rows[:, None], -math.log(n if m > 1 else 1))


ESTIMATORS: dict[str, Estimator] = {
    "weighted": Estimator(weighted, about="every example of the batch alike, biased"),
    "stratified": Estimator(
        stratified, needs_examples=True, about="the code's own example apart, unbiased for q(z)"
    ),
}

EstimatorName: TypeAlias = Annotated[str, OneOf(ESTIMATORS)]


class Decomposition(NamedTuple):
    """The parts of log q(z | x) - log p(z), whose mean is the KL (eq. 2): (B,) nats each.

    information: index-code mutual information, log q(z | x) - log q(z)
    correlation: total correlation, log q(z) - sum_j log q(z_j)
    dimensions: dimension-wise KL, sum_j log q(z_j) - log p(z)
    """

    information: Tensor
    correlation: Tensor
    dimensions: Tensor


def decomposition(
    z: Tensor, own: Normal, batch: Normal, prior: LatentDistribution, log_weights: Tensor
) -> Decomposition:
    """The three parts at codes z (B, L), which add up to log q(z | x) - log p(z) exactly, whatever
    the estimate of q(z) is.

    own: q(z | x) of the examples of these codes; batch: of the M examples that q(z) is estimated
    from; log_weights: of these, (B, M)
    """
    centred = z[:, None] - batch.mean  # (B, M, L)
    each = -0.5 * (centred.square() * (-batch.log_var).exp() + batch.log_var + LOG_2PI)
    log_q = (each.sum(2) + log_weights).logsumexp(1)
    log_marginals = (each + log_weights[..., None]).logsumexp(1).sum(1)
    return Decomposition(
        own.log_prob(z) - log_q, log_q - log_marginals, log_marginals - prior.log_prob(z)
    )


@dataclass(frozen=True)
class BetaTCVAEConfig(VAEConfig):
    latent: Count = option(10, "dimensions of the code z", basic=True)
    tc: AtLeastZero = option(6.0, "weight of the total correlation, beta of the paper", basic=True)
    mi: AtLeastZero = option(1.0, "weight of the index-code mutual information, alpha")
    dimension_kl: AtLeastZero = option(1.0, "weight of the dimension-wise KL, gamma")
    estimator: EstimatorName = option("weighted", "of q(z) from a batch")
    examples: Count | None = option(
        None, "number of training examples, which --estimator stratified needs"
    )

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        if ESTIMATORS[self.estimator].needs_examples and self.examples is None:
            return (
                f"estimator = {self.estimator} needs the number of training examples: give it by "
                "--examples, or take --estimator weighted"
            )
        return super().unsupported(spec, condition)


class BetaTCVAE(VAE):
    """A VAE whose KL is taken apart, the total correlation of the code weighted by `tc`:

        -E log p(x | z) + mi I(z; n) + tc KL(q(z) || prod_j q(z_j))
            + dimension_kl sum_j KL(q(z_j) || p(z_j))

    The three parts add up to the KL, so it is the loss of a VAE with each weight less one times its
    part. The KL of the VAE stands in the term `kl`, in closed form, and `--beta`, its warm-up and
    free bits apply to it as ever; parts with weight 1 add nothing. A code that is a product of its
    marginals has no total correlation, and its dimensions tend to stand for one factor each.
    """

    player = "beta-tcvae"
    config: BetaTCVAEConfig

    def loss(self, batch: Batch, shared: None = None) -> Terms:
        c = self.config
        q = self.posterior(batch.x)
        batch.logs |= active_units(q)
        parts = self.decomposed(q)
        batch.logs |= {name: part.detach() for name, part in parts._asdict().items()}
        terms = self.negative_elbo(batch.x, q, draws=c.draws)
        weights = {"mi": c.mi, "tc": c.tc, "dimension": c.dimension_kl}
        extra = {
            f"{name}_penalty": (weight - 1) * part
            for (name, weight), part in zip(weights.items(), parts, strict=True)
            if weight != 1
        }
        return ({"kl": terms["kl"]} if c.kl_only else terms) | extra

    def decomposed(self, q: Normal) -> Decomposition:
        """The parts of the KL at one code of each example of a batch. q: q(z | x)"""
        c = self.config
        every = Normal(streams.whole(q.mean), streams.whole(q.log_var))
        n = len(every.mean)
        at = torch.arange(n, device=q.mean.device)
        rows = streams.here(at) if n > len(q.mean) else at
        log_weights = ESTIMATORS[c.estimator].log_weights(rows, n, c.examples)
        prior = self.prior().expand(len(q.mean))
        return decomposition(q.sample(), q, every, prior, log_weights)


RECIPES: Recipes = {
    "default": {
        "about": "two hidden layers of 500 units, 10 latent dimensions, total correlation times 6",
        "model": {},
        "train": {"batch_size": 128, "epochs": 50.0},
    },
    "shapes": {
        "about": "scenes of one object, 16 pixels, three minutes of one core: information gap "
        "below that of PCA (docs/hierarchies.md)",
        "model": {
            "net": "conv",
            "features": 16,
            "likelihood": "gaussian",
            "sigma": "fixed",
            "scale": 0.2,
        },
        "train": {"batch_size": 128, "steps": 3000, "schedule": "cosine"},
        "data": {"size": 16, "where": ("objects=1",)},
    },
    "points": {
        "about": "a code of 2 numbers, mixtures of 5 Gaussians: points in a minute on one core",
        "model": {"hidden": (128, 128), "latent": 2, "components": 5, "lr": 5e-3, "tc": 2.0},
        "train": {"batch_size": 256, "steps": 3000, "schedule": "cosine", "beta_warmup": 1000},
    },
}
