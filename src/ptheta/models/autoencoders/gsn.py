"""Generative stochastic network (Bengio et al. 2014, arXiv:1306.1091): a denoising autoencoder with
a probabilistic output, sampled by its Markov chain.

    x~ ~ C(x~ | x),    x ~ P(x | x~)

If P(x | x~) is the conditional distribution of the data, the chain that alternates the two steps
has the stationary distribution p(x) (theorem 1, if it is ergodic). Training needs no normalisation:
the loss is -log P(x | x~) of the corrupted example.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.batch import Batch, Condition
from ptheta.conditions import ConditionSpec
from ptheta.config import AtLeastZero, Count, Parts, Positive, option
from ptheta.corruption import NOISES, NoiseName, corrupt, odd_level, odd_noise
from ptheta.distributions.base import ElementDistribution
from ptheta.games import Game, Move, Player, Terms
from ptheta.models.autoencoders.chain import from_noise
from ptheta.models.base import Model, as_learned
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.recipes import Recipes
from ptheta.nets.coders import CoderConfig, decoder_to, encoder, odd_net
from ptheta.nets.heads import HeadOptions, Likelihood, Sigma, example_head, odd_likelihood
from ptheta.optimizers import OptimizerConfig
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, filled, full


@dataclass(frozen=True)
class GSNConfig(CoderConfig, OptimizerConfig):
    noise: NoiseName = option("salt-and-pepper", "noise of the corruption process C", basic=True)
    level: AtLeastZero = option(
        0.4, "noise level: standard deviation (gaussian, white - black = 1) or share of values"
    )
    walkback: Parts = option(
        1,
        "chain steps from each example in training, each trained to reconstruct it (algorithm 1)",
        basic=True,
    )
    sweeps: Count = option(100, "Markov-chain steps from noise to a sample")
    likelihood: Likelihood = option(
        "auto",
        "P(x | x~) per pixel or column; auto: bernoulli for 2 levels, categorical up to 16, "
        "else logistic; gaussian for numbers",
        basic=True,
    )
    components: Count = option(1, "mixture components per pixel (logistic) or numeric column")
    sigma: Sigma = option("pixel", "parametrisation of the width (gaussian)", basic=True)
    scale: Positive = option(0.1, "initial or fixed width, white - black = 1 (gaussian)")
    latent: Count = option(500, "dimensions between encoder and decoder", basic=True)

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return (
            super().unsupported(spec, condition)
            or odd_net(spec, self.net)
            or odd_likelihood(spec, self.likelihood, self.sigma)
            or odd_level(self.noise, self.level)
            or odd_noise(self.noise, spec)
        )


class GSN(Model):
    """P(x | x~), independent over pixels or columns, by an encoder and a decoder."""

    specs = (ImageSpec, VectorSpec)

    def __init__(
        self, spec: DataSpec, config: GSNConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        options = HeadOptions(config.components, config.sigma, config.scale)
        self.head = example_head(spec, config.likelihood, options)
        self.encoder = encoder(spec, config, config.latent)
        self.decoder = decoder_to(spec, config, self.head.out_shape)

    # -- the two distributions of the chain

    def damaged(self, x: Tensor) -> Tensor:
        """x~ ~ C(x~ | x)"""
        return corrupt(x, self.config.noise, self.config.level, self.spec)

    def restored(self, damaged: Tensor) -> ElementDistribution:
        """P(x | x~). A cell that is lost is 0 to the encoder."""
        code = self.encoder(filled(self.spec.scaled(damaged)))
        return self.head(full(self.decoder(full(code))))

    def chain_start(self, n: int, condition: Condition | None = None) -> Tensor:
        """Noise, which no chain of a trained model stays near."""
        return from_noise(self.spec, n, next(self.parameters()).device)

    def transition(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.restored(self.damaged(x)).sample()

    @torch.no_grad()
    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        x = self.chain_start(n)
        for _ in range(self.config.sweeps):
            x = self.transition(x)
        return x

    # -- learning

    def loss(self, batch: Batch, shared: None = None) -> Terms:
        """-log P(x | x~), (B,) nats: the mean over x~ of `walkback` steps of the chain from x."""
        x = state = as_learned(self.spec, batch.x)
        terms = []
        for i in range(self.config.walkback):
            p = self.restored(self.damaged(state))
            terms.append(-p.log_prob_of_example(x))
            if i + 1 < self.config.walkback:
                with torch.no_grad():
                    state = p.sample()
        return {"restoration": torch.stack(terms).mean(0)}

    def game(self) -> Game[None]:
        return Game(
            players={"gsn": Player((self,), self.config.optimizer_factory())},
            moves=(Move("gsn", self.loss),),
        )

    # -- uses

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        x = self.spec.check(x) if NOISES[self.config.noise].loses else as_learned(self.spec, x)
        return full(self.encoder(filled(self.spec.scaled(x))))

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """The mean of P(x | x~) by the code of x~."""
        return self.head(full(self.decoder(z))).mean_example()

    def generated(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.head(full(self.decoder(z))).scaled_mean(self.spec)

    def graph(self) -> Graph:
        return Graph(
            (
                Variable(r"x_{t}", "latent", f"{self.spec.one}, a step of the chain"),
                Variable(r"\tilde{x}", "latent", f"{self.config.noise} noise added"),
                Variable(r"x_{t+1}", "observed", "the next"),
            ),
            (
                Arrow(r"x_{t}", r"\tilde{x}", law="noise C"),
                Arrow(r"\tilde{x}", r"x_{t+1}", law="P(x | x~)"),
            ),
        )


RECIPES: Recipes = {
    "default": {
        "about": "salt and pepper on 40% of the pixels, two hidden layers of 500 units",
        "model": {},
        "train": {"batch_size": 128, "epochs": 30.0, "schedule": "cosine"},
    },
    "walkback": {
        "about": "trained on five steps of its own chain (walkback), as in the paper",
        "model": {"walkback": 5},
        "train": {"batch_size": 128, "epochs": 30.0, "schedule": "cosine"},
        "data": {"levels": 2},
    },
    "points": {
        "about": "points: Gaussian noise, clean points as mixtures of 5 Gaussians",
        "model": {
            "noise": "gaussian",
            "level": 0.3,
            "hidden": (128, 128),
            "latent": 64,
            "components": 5,
        },
        "train": {"batch_size": 256, "steps": 3000, "schedule": "cosine"},
    },
}
