"""Adversarial variational Bayes, adaptive contrast (Mescheder et al. 2017, arXiv:1701.04722)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from annotated_types import Gt, Le
from torch import Tensor, nn

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import Count, Layers, Parts, Positive, option
from ptheta.distributions.active_units import active_units
from ptheta.distributions.kl import kl_standard_normal
from ptheta.distributions.latents import Normal
from ptheta.games import Clock, Game, Move, Player, Terms
from ptheta.losses.adversarial import accuracy, cross_entropy
from ptheta.models.base import whole
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.recipes import Recipes
from ptheta.models.variational.base import Variational, VariationalConfig
from ptheta.models.variational.collapse import CollapseMonitor
from ptheta.nets.mlp import mlp
from ptheta.specs import DataSpec, full

DRAWS = 512  # of the noise, for the moments of its features


@dataclass(frozen=True)
class AVBConfig(VariationalConfig):
    noise: Count = option(32, "dimensions of each noise vector of the encoder", basic=True)
    bases: Parts = option(8, "number of noise vectors, each with its own network")
    gaussian: Annotated[float, Gt(0), Le(1)] = option(
        0.25, "minimum share of Gaussian noise in the variance of each code dimension"
    )
    critic: Layers = option((500, 500), "units of the discriminator T(x, z)", basic=True)
    critic_steps: Count = option(
        1,
        "discriminator updates per encoder and decoder update",
        basic=True,
    )
    critic_lr: Positive = option(1e-3, "learning rate of the discriminator")

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        if self.prior != "normal":
            return f"prior = {self.prior}: avb supports only the prior N(0, I)"
        return super().unsupported(spec, condition)


class Noisy(NamedTuple):
    """What the moves of one step share, with the encoder's graph where it will move.

    s: the step's examples as a network sees them; u: the noise of their codes (B, L)
    r: the Gaussian of their codes' moments; share: of u that is not Gaussian, (B, L)
    """

    s: Tensor
    u: Tensor
    r: Normal
    share: Tensor


class AVB(Variational):
    """q(z | x) is what the encoder makes of noise: z = mean(x) + sigma(x) u, where
    u_k = sqrt(1 - s_k(x)) e_k + sqrt(s_k(x)) sum_i a_ik(x) v_ik(e_i), sum_i a_ik^2 = 1.

    The v_i are networks of noise vectors that all dimensions share, so that q can be skewed, of
    several modes, and correlated; u has zero mean and unit variance. It has samples and moments but
    no density. A discriminator T(x, .) tells u from N(0, I), so at its best T = log q(z | x) - log
    r(z | x) with r(z | x) = N(mean, sigma^2) the Gaussian of the same moments (section 3.3 of the
    paper, adaptive contrast), and -ELBO = T + log r(z | x) - log p(z) - log p(x | z).

    s_k stays below 1 - `gaussian`: the density ratio is then bounded and smooth. Without such a
    share the encoder outruns T: it puts nearly all mass into a narrow core and keeps the variance
    by rare far draws, and the KL that T reports falls to a few nats while that of q grows.

    `posterior` is r: bounds and estimates of log p(x) made with it as the proposal hold whatever T
    has learned.
    """

    takes_missing = False
    config: AVBConfig
    eps: Tensor

    def __init__(
        self, spec: DataSpec, config: AVBConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition, outputs=3 + config.bases)
        latent = config.latent
        self.basis = nn.ModuleList(mlp([config.noise, 64, latent]) for _ in range(config.bases))
        # the first layer in two parts: that of x serves codes and noise alike
        self.critic = nn.ModuleDict(
            {
                "image": nn.Linear(math.prod(spec.scaled_shape), config.critic[0]),
                "code": nn.Linear(latent, config.critic[0], bias=False),
                "rest": mlp([*config.critic, 1]),
            }
        )
        draws = torch.randn(DRAWS, config.noise, generator=torch.Generator().manual_seed(0))
        self.register_buffer("eps", draws, persistent=False)

    def parts(self, s: Tensor) -> tuple[Tensor, Tensor, Normal]:
        """(the share s (B, L), a (B, m, L), r(z | x)) of images as the encoder sees them."""
        out = full(self.encoder(s)).unflatten(1, (-1, self.config.latent))
        share = (1 - self.config.gaussian) * torch.sigmoid(out[:, 2] - 2)
        a = torch.nn.functional.normalize(out[:, 3:], dim=1)
        return share, a, Normal(out[:, 0], out[:, 1])

    def features(self, n: int) -> Tensor:
        """v of n draws of the noise, of zero mean and unit variance: (n, m, L).

        In training the moments are those of new draws each time: from fixed ones the networks would
        learn features that have these moments on them alone.
        """
        eps = torch.randn_like(self.eps) if self.training else self.eps
        noise = streams.normal(len(self.basis) * n, self.config.noise, device=eps.device)
        features = []
        for net, e in zip(self.basis, noise.unflatten(0, (-1, n)), strict=True):
            reference = full(net(eps))
            centred = full(net(e)) - reference.mean(0)
            features.append(centred / (reference.var(0) + 1e-6).sqrt())
        return torch.stack(features, 1)

    def mixed(self, share: Tensor, a: Tensor) -> Tensor:
        """u, drawn: (B, L)."""
        shaped = (a * self.features(len(a))).sum(1)
        return (1 - share).sqrt() * streams.normal_like(share) + share.sqrt() * shaped

    def infer(self, s: Tensor, condition: Condition | None = None) -> Normal:
        """The Gaussian r(z | x) with the moments of q(z | x)."""
        return self.parts(s)[2]

    def contrast(self, s: Tensor, *codes: Tensor) -> list[Tensor]:
        """T(x, u) of each batch u of codes, (B,). u: the code less the mean, over sigma."""
        from_image = self.critic["image"](s.flatten(1))
        hidden = [(from_image + self.critic["code"](u)).relu() for u in codes]
        return [full(self.critic["rest"](h)).squeeze(1) for h in hidden]

    def prepare(self, batch: Batch, clock: Clock) -> Noisy:
        s = self.spec.scaled(whole(self.spec, batch.x))
        with torch.set_grad_enabled("avb" in clock.movers):
            share, a, r = self.parts(s)
            return Noisy(s, self.mixed(share, a), r, share)

    def inference_loss(self, batch: Batch, shared: Noisy) -> Terms:
        s, u, r, share = shared
        z = r.mean + (0.5 * r.log_var).exp() * u
        batch.logs |= active_units(r)
        batch.logs["share"] = share.mean(1)
        log_p = self.log_likelihood(batch.x, z)
        # log r(z | x) - log p(z) in expectation: u has the moments of N(0, I), so it is KL(r || p)
        (t,) = self.contrast(s, u)
        kl = t[:, None] / r.mean.shape[1] + kl_standard_normal(r.mean, r.log_var)
        return {"reconstruction": -log_p, "kl": kl}

    def critic_loss(self, batch: Batch, shared: Noisy) -> Terms:
        s, u = shared.s, shared.u.detach()
        on_code, on_noise = self.contrast(s, u, streams.normal_like(u))
        batch.logs["T(x, z)"] = on_code
        batch.logs["accuracy"] = accuracy(on_code.detach(), on_noise.detach(), 0.0)
        return {"adversarial": cross_entropy(on_code, on_noise)}

    def game(self) -> Game[Noisy]:
        c = self.config
        inference = (self.encoder, self.basis, self.decoder, self.likelihood_head)
        return Game(
            players={
                "avb": Player(inference, c.optimizer_factory()),
                "critic": Player((self.critic,), c.optimizer_factory(c.critic_lr)),
            },
            moves=(
                Move("critic", self.critic_loss),
                Move("avb", self.inference_loss, every=c.critic_steps),
            ),
            prepare=self.prepare,
            monitor=CollapseMonitor("avb"),
        )

    def graph(self) -> Graph:
        """q(z | x) is what a network makes of x and noise."""
        z, x = super().graph().variables
        noise = Variable(
            "e", "latent", f"noise, {self.config.bases} x {self.config.noise} dimensions"
        )
        inferred = Arrow("x", "z", "inference", "q(z | x), implicit")
        return Graph(
            (noise, z, x), (Arrow("z", "x", law="p(x | z)"), inferred, Arrow("e", "z", "inference"))
        )


RECIPES: Recipes = {
    "default": {
        "about": "the default vae's decoder, 8 noise vectors in the encoder",
        "model": {},
        "train": {"batch_size": 128, "epochs": 50.0},
    },
}
