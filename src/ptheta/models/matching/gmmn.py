"""Generative moment matching network (Li et al. 2015, arXiv:1502.02761; Dziugaite et al. 2015,
arXiv:1505.03906), and drifting (Deng et al. 2026, arXiv:2602.04770).

A generator G maps noise to examples. There is no discriminator: its samples are compared with the
data by a kernel, in large batches (`matching`):

    mmd: the maximum mean discrepancy of both (`ptheta.losses.mmd`)
    drifting: G(z) is regressed on G(z) + V(G(z)), V a field from one to the other
        (`ptheta.losses.drifting`)

Pixel distances are not very informative for images. With codes (section 4 of the first paper), an
autoencoder is trained first and then frozen; G generates codes, and codes are matched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import torch
from annotated_types import Gt, Lt
from torch import Tensor, nn

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import AtLeastZero, Count, OneOf, option
from ptheta.distributions.base import ElementDistribution
from ptheta.games import Clock, Game, Move, Player, Terms
from ptheta.models.adversarial.latents import PRIORS
from ptheta.models.base import Model, whole
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.matching.options import (
    SPACES,
    MatchingConfig,
    MatchingName,
    SpaceName,
    matched,
)
from ptheta.models.recipes import Recipes
from ptheta.nets.coders import CoderConfig, decoder, decoder_to, encoder, odd_net
from ptheta.nets.heads import Likelihood, example_head, odd_likelihood
from ptheta.nets.mlp import mlp
from ptheta.nets.outputs import OutputConfig, output
from ptheta.optimizers import OptimizerConfig
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, full


@dataclass(frozen=True)
class GMMNConfig(MatchingConfig, CoderConfig, OutputConfig, OptimizerConfig):
    latent: Count = option(10, "dimensions of the noise z", basic=True)
    prior: Annotated[str, OneOf(PRIORS)] = option("uniform", "distribution of z", basic=True)
    matching: MatchingName = option("mmd", "objective that matches samples to the data", basic=True)
    space: SpaceName = option(
        "pixels", "space in which samples are matched: pixels or autoencoder codes", basic=True
    )
    code: Count = option(16, "code dimensions of the autoencoder (codes)", basic=True)
    generator: tuple[Count, ...] = option(
        (256, 256, 256), "units of the layers from noise to code (codes)", basic=True
    )
    pretraining: Annotated[float, Gt(0), Lt(1)] = option(
        0.5, "share of the run that trains the autoencoder, before the generator (codes)"
    )
    code_noise: AtLeastZero = option(
        0.1, "standard deviation of noise on the decoder's codes in training (codes)"
    )
    code_weight: AtLeastZero = option(
        0.2,
        "weight of |code|^2 / 2, which stops codes from growing until the noise has no effect "
        "(codes)",
    )
    likelihood: Likelihood = option(
        "auto", "p(x | code) per pixel or column, as in vae (codes)", basic=True
    )
    temperature: AtLeastZero = option(
        1.0,
        "temperature of p(x | code) in sampling (codes): multiplies the log-odds of the uniform "
        "noise, so that 0 gives medians; for 2 levels, divides the logits",
    )

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return (
            super().unsupported(spec, condition)
            or odd_net(spec, self.net)
            or odd_likelihood(spec, self.likelihood)
        )


class GMMN(Model):
    """learned: whether the autoencoder is completely trained, if there is one"""

    config: GMMNConfig
    specs = (ImageSpec, VectorSpec)
    learned: Tensor
    generator: nn.Module

    def __init__(
        self, spec: DataSpec, config: GMMNConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = c = config
        self.coded = SPACES[c.space].coded
        if self.coded:
            self.generator = mlp([c.latent, *c.generator, c.code])
            of_codes = replace(c, latent=c.code)
            self.encoder = encoder(spec, of_codes, c.code)
            self.head = example_head(spec, c.likelihood)
            self.decoder = decoder_to(spec, of_codes, self.head.out_shape)
            self.register_buffer("learned", torch.zeros((), dtype=torch.bool))
        else:
            self.generator = decoder(spec, c, 1)
            self.output = output(spec, c)

    # -- what is made

    def made(self, z: Tensor, *, drawn: bool = True) -> Tensor:
        """Noise (B, L) -> what is matched: codes (B, code), or examples as a network sees them.
        drawn: as of `Output`"""
        out = full(self.generator(z))
        return out if self.coded else self.output(out, drawn)

    def likelihood(self, code: Tensor) -> ElementDistribution:
        """p(x | code): (B, code) -> distribution of the shape of x."""
        return self.head(full(self.decoder(code)))

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        device = next(self.parameters()).device
        return PRIORS[self.config.prior].sample(n, self.config.latent, device)

    def code_at(self, t: Tensor) -> Tensor:
        return PRIORS[self.config.prior].at(t)

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        made = self.made(self.sample_latent(n))
        if not self.coded:
            return self.spec.unscaled(made)
        law, most = self.likelihood(made), 1 - torch.finfo(made.dtype).eps
        u = streams.uniform(*law.shape, device=law.device).clamp(1 - most, most)
        return law.icdf(torch.sigmoid(self.config.temperature * torch.logit(u)))

    def draws_elements(self) -> bool:
        """Of an autoencoder's p(x | code), where there is one."""
        return bool(self.coded)

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Noise (B, L) -> examples, or the mean of p(x | code); words are the most probable."""
        made = self.made(z, drawn=False)
        return self.likelihood(made).mean_example() if self.coded else self.spec.unscaled(made)

    def generated(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        made = self.made(z, drawn=False)
        return self.likelihood(made).scaled_mean(self.spec) if self.coded else made

    def present_stage(self) -> str:
        """That the autoencoder learns, and the generator has not yet."""
        return "" if not self.coded or self.learned else "the autoencoder learns"

    # -- training

    def prepare(self, batch: Batch, clock: Clock) -> Tensor:
        """The examples of the step as a network sees them."""
        if self.coded:
            self.learned.fill_(clock.share >= self.config.pretraining)
        return self.spec.scaled(whole(self.spec, batch.x))

    def code(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (B, code) of examples as a network sees them, without and with noise."""
        code = full(self.encoder(s))
        return code, code + self.config.code_noise * streams.normal_like(code)

    def generator_loss(self, batch: Batch, s: Tensor) -> Terms:
        c, made = self.config, self.made(self.sample_latent(len(s)))
        if self.coded:
            with torch.no_grad():
                _, s = self.code(s)
        return {c.matching: matched(c.matching, c, made, s)}

    def autoencoder_loss(self, batch: Batch, s: Tensor) -> Terms:
        """-log p(x | code + noise), and the size of the code: the KL of N(code, s^2) and N(0, I) up
        to a constant, s being fixed."""
        code, noisy = self.code(s)
        return {
            "reconstruction": -self.likelihood(noisy).log_prob_of_example(batch.x),
            "size": 0.5 * self.config.code_weight * code.square().sum(1),
        }

    def game(self) -> Game[Tensor]:
        factory, share = self.config.optimizer_factory(), self.config.pretraining
        players = {"generator": Player((self.generator,), factory)}
        moves: tuple[Move[Tensor], ...] = (Move("generator", self.generator_loss),)
        if self.coded:
            players["autoencoder"] = Player((self.encoder, self.decoder), factory)
            moves = (
                Move("autoencoder", self.autoencoder_loss, span=(0.0, share)),
                Move("generator", self.generator_loss, span=(share, 1.0)),
            )
        return Game(players=players, moves=moves, prepare=self.prepare)

    def graph(self) -> Graph:
        c = self.config
        noise = Variable("z", "latent", f"{c.latent} numbers, {c.prior}")
        x = Variable("x", "observed", self.spec.one)
        if not self.coded:
            return Graph((noise, x), (Arrow("z", "x", law="G(z), implicit"),))
        code = Variable("h", "deterministic", f"code of {c.code} dimensions")
        return Graph(
            (noise, code, x),
            (
                Arrow("z", "h", law="G(z)"),
                Arrow("h", "x", law="p(x | h)"),
                Arrow("x", "h", "inference", "encoder"),
            ),
        )


_BIG = {"batch_size": 500, "epochs": 300.0, "schedule": "cosine"}

RECIPES: Recipes = {
    "default": {
        "about": "MMD in the codes of an autoencoder with two hidden layers, batches of 500",
        "model": {"space": "codes"},
        "train": _BIG,
    },
    "pixels": {
        "about": "MMD in pixels, batches of 1000 (1502.02761)",
        "model": {"hidden": (1024, 256, 256, 64)},
        "train": {**_BIG, "batch_size": 1000},
    },
    "drifting": {
        "about": "the drifting field in the codes of an autoencoder (2602.04770)",
        "model": {"space": "codes", "matching": "drifting", "prior": "normal"},
        "train": _BIG,
    },
    "eight-minutes": {
        "about": "digits of 2 levels in eight minutes on one core: drifting in codes, pixels "
        "sampled at a lower temperature",
        "model": {
            "space": "codes",
            "matching": "drifting",
            "prior": "normal",
            "latent": 12,
            "code": 12,
            "normalised": False,
            "temperatures": (0.05, 0.1, 0.2),
            "temperature": 0.5,
            "pretraining": 0.35,
            "lr": 2e-3,
        },
        "train": {"batch_size": 250, "minutes": 8.0, "schedule": "cosine"},
        "data": {"levels": 2},
    },
    "points": {
        "about": "drifting of points, in a minute on one core",
        "model": {
            "hidden": (128, 128, 128),
            "latent": 4,
            "prior": "normal",
            "matching": "drifting",
            "widths": (0.03, 0.1, 0.3, 1.0),
            "root": False,
        },
        "train": {"batch_size": 500, "steps": 3000, "schedule": "cosine"},
    },
}
