"""Variational autoencoder (Kingma & Welling 2014, arXiv:1312.6114)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ptheta.batch import Batch, Condition, repeated
from ptheta.conditions import ConditionSpec, word
from ptheta.config import Count, Parts, Positive, check_choices, option
from ptheta.distributions.latents import (
    Flow,
    Mixture,
    Posterior,
    Prior,
    StandardNormal,
    masked_flow,
)
from ptheta.distributions.pixels import PixelDistribution
from ptheta.games import Game, Move, Player, Terms
from ptheta.models.base import ImageModel
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.nets.coders import CoderConfig, decoder, encoder
from ptheta.nets.heads import Head, Kind, Sigma
from ptheta.optimizers import OptimizerConfig
from ptheta.specs import ImageSpec, from_unit, full, to_symmetric

CHUNK = 2**22  # pixels that a decoder gives at once: memory does not grow with the samples
COLLAPSED = 0.5  # nats of KL below which the code says nothing about the image


@dataclass(frozen=True)
class VAEConfig(CoderConfig, OptimizerConfig):
    likelihood: Kind = option(
        "auto",
        "p(x | z) of a pixel; auto: bernoulli for 2 levels, categorical up to 16, else logistic",
    )
    components: Count = option(1, "logistics mixed in each pixel (logistic)")
    sigma: Sigma = option("pixel", "width for each pixel, one learned, or --scale (gaussian)")
    scale: Positive = option(0.1, "width at the start, or fixed; white - black = 1 (gaussian)")
    prior: Literal["normal", "vamp", "flow"] = option(
        "normal",
        "p(z): N(0, I); a mixture of posteriors of learned pseudo-images (arXiv:1705.07120); a "
        "masked autoregressive flow",
    )
    pseudo_inputs: Count = option(200, "pseudo-images (vamp)")
    transforms: Parts = option(2, "transformations of the flow (flow)")


class VAE(ImageModel):
    """q(z | x) Gaussian, p(z) by config, p(x | z) independent over pixels.

    Beta, its annealing and free bits belong to the training (`TrainSettings`), not to the model.
    """

    player = "vae"

    def __init__(
        self,
        spec: ImageSpec,
        config: VAEConfig,
        condition: ConditionSpec | None = None,
        *,
        planes: int = 0,
        numbers: int = 0,
        outputs: int = 2,
    ) -> None:
        """planes, numbers: what a condition adds to the encoder's and the decoder's input;
        outputs: numbers that the encoder gives for each latent dimension."""
        super().__init__(spec, config, condition)
        check_choices(config)
        self.config = config
        c = config
        self.likelihood_head = Head(spec, c.likelihood, c.components, c.sigma, c.scale)
        self.encoder = encoder(spec, config, outputs * config.latent, planes)
        self.decoder = decoder(spec, config, self.likelihood_head.per_pixel, numbers)
        self.pseudo: nn.Parameter | None = None
        self.flow: nn.Module | None = None
        if config.prior == "vamp":
            # near 0.05 on average, as the images of the paper
            self.pseudo = nn.Parameter(torch.randn(config.pseudo_inputs, *spec.shape) * 0.5 - 2)
        elif config.prior == "flow":
            self.flow = masked_flow(config.latent, config.transforms, 128)

    # -- the distributions

    def q(self, s: Tensor, condition: Condition | None = None) -> Posterior:
        """q(z | x) of images as the encoder sees them, in [-1, 1]."""
        return Posterior(*full(self.encoder(s)).chunk(2, 1))

    def posterior(self, x: Tensor, condition: Condition | None = None) -> Posterior:
        """q(z | x) of an image batch."""
        return self.q(to_symmetric(self.spec.check(x)), condition)

    def prior(self, condition: Condition | None = None) -> Prior:
        """p(z)"""
        if self.pseudo is not None:  # Tomczak & Welling 2018, eq. 9
            return Mixture(*self.q(2 * self.pseudo.sigmoid() - 1))
        if self.flow is not None:
            return Flow(self.flow())
        return StandardNormal(self.config.latent, next(self.parameters()).device)

    def likelihood(self, z: Tensor, condition: Condition | None = None) -> PixelDistribution:
        """p(x | z): z (B, L) -> distribution of shape (B, C, H, W)."""
        return self.likelihood_head(full(self.decoder(z)))

    # -- bounds

    def terms(self, x: Tensor, condition: Condition | None = None) -> Terms:
        """The two halves of -ELBO in nats (eq. 3 of the paper, one z for each x): reconstruction
        (B,), and kl (B, L), or (B, 1) where it has no closed form."""
        return self._terms(x, condition, self.posterior(x, condition))

    def _terms(self, x: Tensor, condition: Condition | None, q: Posterior) -> Terms:
        z = q.sample()
        log_p = self.likelihood(z, condition).log_prob(x).sum((1, 2, 3))
        return {"reconstruction": -log_p, "kl": self.prior(condition).kl(q, z)}

    def bound_terms(self, x: Tensor, condition: Condition | None = None) -> Terms:
        """The terms of -ELBO, (B,) nats each."""
        return {k: v if v.ndim == 1 else v.sum(1) for k, v in self.terms(x, condition).items()}

    def elbo(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        terms = self.bound_terms(x, condition)
        return -(terms["reconstruction"] + terms["kl"])

    def log_weights(
        self, x: Tensor, z: Tensor, q: Posterior, prior: Prior, condition: Condition | None
    ) -> Tensor:
        """log p(x | z) p(z) / q(z | x) with k codes for each image: z (k B, L) -> (k, B) nats.

        q, prior: for the k B codes
        """
        k = len(z) // len(x)
        every = None if condition is None else repeated(condition, k)
        log_p = self.likelihood(z, every).log_prob_of_image(x)
        return (log_p + prior.log_prob(z) - q.log_prob(z)).view(k, len(x))

    def importance_bound(self, x: Tensor, k: int, condition: Condition | None = None) -> Tensor:
        """log 1/k sum_i p(x | z_i) p(z_i) / q(z_i | x), z_i ~ q: (B,) nats.

        Burda et al. 2016, eq. 8 (arXiv:1509.00519). Its expectation grows with k to log p(x). The k
        samples go through the decoder a few at a time, so memory does not grow with k.
        """
        q, prior = self.posterior(x, condition), self.prior(condition)
        total = q.mean.new_full((len(x),), -math.inf)
        chunk = max(1, min(k, CHUNK // max(1, len(x) * self.spec.dims)))
        for done in range(0, k, chunk):
            m = min(chunk, k - done)
            many = q.repeat(m)
            log_w = self.log_weights(x, many.sample(), many, prior.repeat(m), condition)
            total = torch.logaddexp(total, log_w.logsumexp(0))
        return total - math.log(k)

    def log_prior(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.prior(condition).log_prob(z)

    def log_likelihood(self, x: Tensor, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.likelihood(z, condition).log_prob(x).sum((1, 2, 3))

    # -- uses

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The mean of q(z | x): (B, L)."""
        return self.posterior(x, condition).mean

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """The mean image of p(x | z), in 256 levels: uint8 (B, C, H, W)."""
        return from_unit(self.likelihood(z, condition).mean())

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.prior(condition).sample(n)

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        """x ~ p(x | z) with z ~ p(z): pixels are drawn, not averaged (for means: decode)."""
        return self.likelihood(self.sample_latent(n, condition), condition).sample()

    # -- training

    def loss(self, batch: Batch, shared: None = None) -> Terms:
        condition = batch.condition if self.condition is not None else None
        q = self.posterior(batch.x, condition)
        batch.logs |= q.active()
        return self._terms(batch.x, condition, q)

    def game(self) -> Game[Any]:
        return Game(
            players={self.player: Player((self,), self.config.optimizer_factory())},
            moves=(Move(self.player, self.loss),),
            monitor=collapse,
        )

    def graph(self) -> Graph:
        c = self.config
        graph = Graph(
            (
                Variable("z", "latent", f"{c.latent} numbers, p(z) {c.prior}"),
                Variable("x", "observed", f"image {self.spec}"),
            ),
            (Arrow("z", "x", law="p(x | z)"), Arrow("x", "z", "inference", "q(z | x)")),
        )
        if self.condition is None:
            return graph
        prior = ("z",) if c.prior == "normal" and self.prior_depends() else ()
        return graph.given(word(self.condition), "x", *prior, inferred=["z"])

    def prior_depends(self) -> bool:
        """Whether p(z) depends on the condition."""
        return False


def collapse(averages: Mapping[str, float]) -> dict[str, str]:
    """Warns of a posterior that has become the prior (Bowman et al. 2016, arXiv:1511.06349).

    Where the KL is a term of the loss it decides; where it is not (iwae), the active units do.
    averages: of what was logged since the last call, names as in metrics.jsonl
    """
    for name, used in averages.items():
        if not name.endswith("/active_units"):
            continue
        kl = averages.get(name.removesuffix("active_units") + "kl")
        if kl is None and used >= 0.5:  # on average over the interval
            continue
        if kl is not None and kl >= COLLAPSED:
            continue
        found = "" if kl is None else f"the KL is {kl:.2g} nats and "
        text = (
            f"posterior collapse: {found}{used:.0f} dimensions are used, so the code says nothing "
            "about the image: try "
        )
        cure = (
            "a smaller --latent or a lower --lr" if kl is None else "--beta-warmup or --free-bits"
        )
        return {"posterior collapse": text + cure}
    return {}


RECIPES: dict[str, dict[str, Any]] = {
    "default": {
        "about": "two hidden layers of 500 units, 40 latent dimensions",
        "model": {},
        "train": {"batch_size": 128, "epochs": 50.0},
    },
    "burda-2016": {
        "about": "the one-layer VAE of arXiv:1509.00519: 86.76 nats (IS-5000) on dynamic MNIST",
        "model": {"hidden": (200, 200), "latent": 50},
        "train": {"batch_size": 20, "epochs": 3280.0},
        "data": {"levels": 2, "dynamic": True},
    },
    "demo": {
        "about": "digits in under a minute on two cores",
        "model": {"latent": 24},
        "train": {"batch_size": 128, "minutes": 0.8, "schedule": "cosine"},
        "data": {"levels": 4},
    },
}
