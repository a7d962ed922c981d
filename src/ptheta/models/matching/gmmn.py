"""Generative moment matching network (Li et al. 2015, arXiv:1502.02761; Dziugaite et al. 2015,
arXiv:1505.03906), and drifting (Deng et al. 2026, arXiv:2602.04770).

A generator G makes examples of noise. Nothing is trained against it: its samples are held against
those of the data by a kernel, in big batches (`matching`):

    mmd: the maximum mean discrepancy of both (`ptheta.losses.mmd`)
    drifting: G(z) is regressed on G(z) + V(G(z)), V a field from one to the other
        (`ptheta.losses.drifting`)

In pixels a distance says little of images. In codes (section 4 of the first paper) an autoencoder
learns first and is then fixed; G makes codes, and what is matched are codes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import torch
from annotated_types import Gt, Lt
from torch import Tensor

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import AtLeastZero, Count, OneOf, option
from ptheta.games import Clock, Game, Move, Player, Terms
from ptheta.models.adversarial.latents import PRIORS
from ptheta.models.base import Model, whole
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.matching.options import MatchingConfig, MatchingName, SpaceName, matched
from ptheta.models.recipes import Recipes
from ptheta.nets.coders import CoderConfig, decoder, encoder, odd_net
from ptheta.nets.mlp import mlp
from ptheta.nets.outputs import OutputConfig, output
from ptheta.optimizers import OptimizerConfig
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, full


@dataclass(frozen=True)
class GMMNConfig(MatchingConfig, CoderConfig, OutputConfig, OptimizerConfig):
    latent: Count = option(10, "numbers that an example is made of")
    prior: Annotated[str, OneOf(PRIORS)] = option("uniform", "their distribution")
    matching: MatchingName = option("mmd", "how samples are brought to the data")
    space: SpaceName = option("pixels", "where they are matched")
    code: Count = option(16, "dimensions of the codes of the autoencoder (codes)")
    generator: tuple[Count, ...] = option(
        (256, 256, 256), "units of the layers from noise to code (codes)"
    )
    pretraining: Annotated[float, Gt(0), Lt(1)] = option(
        0.5, "share of the run in which the autoencoder learns; then the generator does (codes)"
    )
    code_noise: AtLeastZero = option(
        0.2, "deviation of the noise on codes, from which the decoder learns (codes)"
    )
    code_weight: AtLeastZero = option(
        0.5, "weight of |code|^2 / 2 beside the squared error, against which noise counts (codes)"
    )

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return super().unsupported(spec, condition) or odd_net(spec, self.net)


class GMMN(Model):
    """learned: whether the autoencoder has learned what it will, where there is one."""

    config: GMMNConfig
    specs = (ImageSpec, VectorSpec)
    learned: Tensor

    def __init__(
        self, spec: DataSpec, config: GMMNConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = c = config
        self.output = output(spec, config)
        self.coded = c.space == "codes"
        if self.coded:
            self.generator = mlp([c.latent, *c.generator, c.code])
            of_codes = replace(c, latent=c.code)
            self.encoder = encoder(spec, of_codes, c.code)
            self.decoder = decoder(spec, of_codes, 1)
            self.register_buffer("learned", torch.zeros((), dtype=torch.bool))
        else:
            self.generator = decoder(spec, c, 1)

    # -- what is made

    def made(self, z: Tensor) -> Tensor:
        """Noise (B, L) -> what is matched: codes (B, code), or examples as a network sees them."""
        out = full(self.generator(z))
        return out if self.coded else self.output(out)

    def generate(self, z: Tensor, *, drawn: bool = True) -> Tensor:
        """Noise (B, L) -> examples as a network sees them. drawn: as of `Output`"""
        out = full(self.generator(z))
        return self.output(full(self.decoder(out)) if self.coded else out, drawn)

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        device = next(self.parameters()).device
        return PRIORS[self.config.prior].sample(n, self.config.latent, device)

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.spec.unscaled(self.generate(self.sample_latent(n)))

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Noise (B, L) -> examples, whose words are the most probable."""
        return self.spec.unscaled(self.generate(z, drawn=False))

    def present_stage(self) -> str:
        """That the autoencoder learns, and the generator has not yet."""
        return "" if not self.coded or self.learned else "the autoencoder learns"

    # -- training

    def prepare(self, batch: Batch, clock: Clock) -> Tensor:
        """The examples of the step as a network sees them."""
        if self.coded:
            self.learned.fill_(clock.share >= self.config.pretraining)
        return self.spec.scaled(whole(self.spec, batch.x))

    def generator_loss(self, batch: Batch, x: Tensor) -> Terms:
        c = self.config
        made = self.made(self.sample_latent(len(x)))
        if self.coded:
            with torch.no_grad():
                code = full(self.encoder(x))
                x = code + c.code_noise * streams.normal_like(code)
        return {c.matching: matched(c.matching, c, made, x)}

    def autoencoder_loss(self, batch: Batch, x: Tensor) -> Terms:
        """Squared error, summed over an example as a network sees it, of a code with noise. Noise
        would count for nothing beside codes that may grow, so these have a cost: the KL of
        N(code, s^2) and N(0, I), s fixed, up to a constant."""
        c, code = self.config, full(self.encoder(x))
        noisy = code + c.code_noise * streams.normal_like(code)
        return {
            "reconstruction": self._error(full(self.decoder(noisy)), x),
            "size": 0.5 * c.code_weight * code.square().sum(1),
        }

    def _error(self, out: Tensor, x: Tensor) -> Tensor:
        return (self.output(out, False) - x).square().flatten(1).sum(1)

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
        code = Variable("h", "deterministic", f"code of {c.code} numbers")
        return Graph(
            (noise, code, x),
            (
                Arrow("z", "h", law="G(z)"),
                Arrow("h", "x", law="decoder"),
                Arrow("x", "h", "inference", "encoder"),
            ),
        )


_BIG = {"batch_size": 500, "epochs": 300.0, "schedule": "cosine"}

RECIPES: Recipes = {
    "default": {
        "about": "MMD in codes of an autoencoder of two hidden layers, batches of 500",
        "model": {"space": "codes"},
        "train": _BIG,
    },
    "pixels": {
        "about": "MMD in pixels, batches of 1000 (1502.02761)",
        "model": {"hidden": (1024, 256, 256, 64)},
        "train": {**_BIG, "batch_size": 1000},
    },
    "drifting": {
        "about": "the drifting field in codes of an autoencoder (2602.04770)",
        "model": {"space": "codes", "matching": "drifting", "prior": "normal"},
        "train": _BIG,
    },
    "points": {
        "about": "the energy distance of points, in a minute on one core",
        "model": {
            "hidden": (128, 128, 128),
            "latent": 4,
            "prior": "normal",
            "kernel": "energy",
            "root": False,
        },
        "train": {"batch_size": 500, "steps": 3000, "schedule": "cosine"},
    },
}
