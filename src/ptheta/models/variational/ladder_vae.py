"""Ladder variational autoencoder (Sonderby et al. 2016, arXiv:1602.02282): several layers of codes.

With `bottom_up` it is the plain hierarchical VAE that the paper compares with (Burda et al. 2016,
arXiv:1509.00519).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ptheta.batch import Batch, Condition
from ptheta.conditions import ConditionSpec
from ptheta.config import Count, Layers, Positive, option
from ptheta.distributions.active_units import ACTIVE_KL
from ptheta.distributions.base import ElementDistribution
from ptheta.distributions.kl import kl_divergence
from ptheta.distributions.latents import LatentDistribution, Normal, StandardNormal
from ptheta.games import Game, Move, Player, Terms
from ptheta.models.base import Model, whole
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.recipes import Recipes
from ptheta.models.variational.collapse import CollapseMonitor
from ptheta.nets.coders import CoderConfig, CoderNet, decoder_to, encoder, odd_net
from ptheta.nets.heads import HeadOptions, Likelihood, Sigma, example_head, odd_likelihood
from ptheta.optimizers import OptimizerConfig
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, full

FEWEST, MOST = 2, 5  # layers of codes
PIXELS_AT_ONCE = 2**22  # that a decoder gives: memory does not grow with the importance samples
SMALLEST = 1e-4  # variance


@dataclass(frozen=True)
class LadderVAEConfig(OptimizerConfig):
    layers: Layers = option(
        (32, 16, 8), "dimensions of each layer of codes, from that next to x up; 2 to 5", basic=True
    )
    bottom_up: bool = option(
        False, "q(z_i | z_(i-1)) from x up, as of a plain hierarchical VAE", basic=True
    )
    batch_norm: bool = option(
        False, "batch normalisation between the layers of the networks", basic=True
    )
    net: CoderNet = option("mlp", "network between x and the first layer", basic=True)
    hidden: tuple[Count, ...] = option(
        (256,), "units between x and the first layer (mlp)", basic=True
    )
    features: Count = option(32, "channels of the largest feature map (conv, resize)")
    units: Layers = option(
        (256, 128, 64), "units of the network at each layer; the last for all above", basic=True
    )
    likelihood: Likelihood = option(
        "auto",
        "p(x | z) of a pixel or a column; auto: bernoulli for 2 levels, categorical up to 16, else "
        "logistic; gaussian for numbers",
        basic=True,
    )
    components: Count = option(1, "mixed in each pixel (logistic), or column of numbers")
    sigma: Sigma = option("pixel", "where the width comes from (gaussian)")
    scale: Positive = option(0.1, "width at the start, or fixed; white - black = 1 (gaussian)")

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        if not FEWEST <= len(self.layers) <= MOST:
            return (
                f"{len(self.layers)} layers of codes: give {FEWEST} to {MOST}, such as "
                "--layers 32,16,8; for one take vae"
            )
        return (
            super().unsupported(spec, condition)
            or odd_net(spec, self.net)
            or odd_likelihood(spec, self.likelihood, self.sigma)
        )

    def coder(self, latent: int) -> CoderConfig:
        """Of the network between x and the first layer."""
        return CoderConfig(latent, self.net, self.hidden, self.features)

    def units_at(self, i: int) -> int:
        return self.units[min(i, len(self.units) - 1)]


class Gaussian(nn.Module):
    """h -> N(mean, var), of a network with one hidden layer; var = softplus(...)."""

    def __init__(self, inputs: int, units: int, out: int, batch_norm: bool) -> None:
        super().__init__()
        self.body = hidden_layer(inputs, units, batch_norm)
        self.mean = nn.Linear(units, out)
        self.variance = nn.Linear(units, out)

    def forward(self, h: Tensor) -> tuple[Tensor, Normal]:
        """(what the hidden layer gives, the distribution)"""
        h = self.body(h.to(self.mean.weight.dtype))
        variance = nn.functional.softplus(full(self.variance(h))) + SMALLEST
        return h, Normal(full(self.mean(h)), variance.log())


def hidden_layer(inputs: int, units: int, batch_norm: bool) -> nn.Sequential:
    norm = [nn.BatchNorm1d(units)] if batch_norm else []
    return nn.Sequential(nn.Linear(inputs, units, bias=not norm), *norm, nn.LeakyReLU(0.1))


def combined(a: Normal, b: Normal) -> Normal:
    """The normalised product of two Gaussians, their means weighted by precision (eq. 17, 18)."""
    precision_a, precision_b = (-a.log_var).exp(), (-b.log_var).exp()
    variance = 1 / (precision_a + precision_b)
    return Normal(variance * (a.mean * precision_a + b.mean * precision_b), variance.log())


class Drawn(NamedTuple):
    """A draw of all layers, from that next to x up: codes (B, L_i), and of each the distribution q
    that it was drawn from and p that the generative model has there."""

    z: list[Tensor]
    q: list[Normal]
    p: list[LatentDistribution]

    def log_ratio(self) -> Tensor:
        """log p(z) - log q(z | x): (B,) nats."""
        every = zip(self.z, self.q, self.p, strict=True)
        return sum((p.log_prob(z) - q.log_prob(z) for z, q, p in every), torch.zeros(()))


class LadderVAE(Model):
    """p(x, z) = p(x | z_1) p(z_1 | z_2) ... p(z_L), each a Gaussian whose moments a network gives
    of the layer above, and z_L normal. A network goes from x up without drawing, h_1, ..., h_L,
    and at each layer says a Gaussian of its own. Inference then goes down:

        q(z_L | x) = N(h_L),    q(z_i | z_(i+1), x) = N(h_i) p(z_i | z_(i+1)), normalised

    so a layer starts from its prior, and the data only correct it. In a plain hierarchical VAE
    (`bottom_up`) inference goes up, q(z_1 | x) q(z_2 | z_1) ..., and upper layers tend to say
    nothing. The KL is a sum over layers; where the layer above is drawn first it has a closed form.
    """

    specs = (ImageSpec, VectorSpec)

    def __init__(
        self, spec: DataSpec, config: LadderVAEConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = c = config
        self.likelihood_head = example_head(
            spec, c.likelihood, HeadOptions(c.components, c.sigma, c.scale)
        )
        first = c.units_at(0)
        self.encoder = encoder(spec, c.coder(first), first)
        self.decoder = decoder_to(spec, c.coder(c.layers[0]), self.likelihood_head.out_shape)
        self.up = nn.ModuleList()
        inputs = first
        for i, size in enumerate(c.layers):
            self.up.append(Gaussian(inputs, c.units_at(i), size, c.batch_norm))
            inputs = size if c.bottom_up else c.units_at(i)
        self.down = nn.ModuleList(
            Gaussian(above, c.units_at(i), size, c.batch_norm)
            for i, (size, above) in enumerate(pairwise(c.layers))
        )

    # -- the distributions

    def above(self, i: int, z: Tensor) -> Normal:
        """p(z_i | z_(i+1)), layers counted from 0. z: (B, L_(i+1))"""
        found: Normal = self.down[i](z)[1]
        return found

    def top(self, n: int, device: torch.device) -> StandardNormal:
        return StandardNormal(self.config.layers[-1], device, n)

    def likelihood(self, z: Tensor) -> ElementDistribution:
        """p(x | z_1) of the codes next to x."""
        return self.likelihood_head(full(self.decoder(z.to(next(self.parameters()).dtype))))

    def split(self, z: Tensor) -> list[Tensor]:
        """The layers of codes (B, L), from that next to x up."""
        return list(z.split(self.config.layers, 1))

    def infer(self, x: Tensor, draws: int = 1, means: bool = False) -> Drawn:
        """A draw of q(z | x), or the mean of each layer given the mean of the one before.

        draws: of each example; row i is of example i modulo B
        """
        h = full(self.encoder(self.spec.scaled(whole(self.spec, x))))
        h = nn.functional.leaky_relu(h, 0.1)
        go = self._up if self.config.bottom_up else self._up_and_down
        return go(h, draws, means)

    def _up(self, h: Tensor, draws: int, means: bool) -> Drawn:
        """q(z_1 | x), then each layer of the one below."""
        z: list[Tensor] = []
        q: list[Normal] = []
        for i, layer in enumerate(self.up):
            found: Normal = layer(h)[1]
            q.append(found.expand(draws * len(found.mean)) if i == 0 else found)
            z.append(q[i].mean if means else q[i].sample())
            h = z[i]
        p: list[LatentDistribution] = [self.above(i, z[i + 1]) for i in range(len(z) - 1)]
        return Drawn(z, q, [*p, self.top(len(h), h.device)])

    def _up_and_down(self, h: Tensor, draws: int, means: bool) -> Drawn:
        """What the data say of each layer, then q from the top layer down."""
        said: list[Normal] = []
        for layer in self.up:
            h, found = layer(h)
            said.append(found.expand(draws * len(found.mean)))
        q, p = [said[-1]], list[LatentDistribution]([self.top(len(said[-1].mean), h.device)])
        z = [said[-1].mean if means else said[-1].sample()]
        for i in reversed(range(len(said) - 1)):
            prior = self.above(i, z[0])
            q.insert(0, combined(said[i], prior))
            p.insert(0, prior)
            z.insert(0, q[0].mean if means else q[0].sample())
        return Drawn(z, q, p)

    # -- bounds

    def kl_parts(self, drawn: Drawn) -> list[Tensor]:
        """The KL of each layer, by dimension where it has a closed form: (B, L_i) each, or (B, 1).

        Of q that goes up, the layers below the top have log q - log p at the draw alone: p(z_i |
        z_(i+1)) is of a layer that depends on z_i.
        """
        top = len(drawn.z) - 1
        return [
            (q.log_prob(z) - p.log_prob(z))[:, None]
            if self.config.bottom_up and i < top
            else kl_divergence(q, p, z)
            for i, (z, q, p) in enumerate(zip(*drawn, strict=True))
        ]

    def layer_kl(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """An estimate of the KL of each layer by one draw: (B, layers) nats, from x up. They add up
        to the KL of the bound."""
        return torch.stack([part.sum(1) for part in self.kl_parts(self.infer(x))], 1)

    def bound_terms(self, x: Tensor, condition: Condition | None = None) -> Terms:
        drawn = self.infer(x)
        log_p = self.likelihood(drawn.z[0]).log_prob_of_example(x)
        kl = torch.cat(self.kl_parts(drawn), 1).sum(1)
        return {"reconstruction": -log_p, "kl": kl}

    def elbo(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        terms = self.bound_terms(x, condition)
        return -(terms["reconstruction"] + terms["kl"])

    def importance_bound(self, x: Tensor, k: int, condition: Condition | None = None) -> Tensor:
        """log 1/k sum_i p(x, z_i) / q(z_i | x): (B,) nats, a few codes at a time."""
        total = torch.full((len(x),), -math.inf, device=x.device)
        chunk = max(1, min(k, PIXELS_AT_ONCE // max(1, len(x) * self.spec.dims)))
        for done in range(0, k, chunk):
            drawn = self.infer(x, min(chunk, k - done))
            log_p = self.likelihood(drawn.z[0]).log_prob_of_example(x)
            log_w = (log_p + drawn.log_ratio()).view(-1, len(x))
            total = torch.logaddexp(total.to(log_w), log_w.logsumexp(0))
        return total - math.log(k)

    def log_prior(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        each = self.split(z)
        log_p = self.top(len(z), z.device).log_prob(each[-1])
        for i in range(len(each) - 1):
            log_p = log_p + self.above(i, each[i + 1]).log_prob(each[i])
        return log_p

    def log_likelihood(self, x: Tensor, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.likelihood(self.split(z)[0]).log_prob_of_example(x)

    # -- uses

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The means of all layers, each given the mean of the one before, from x up: (B, L)."""
        return torch.cat(self.infer(x, means=True).z, 1)

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """The mean of p(x | z_1), of which the upper layers of z (B, L) are no part."""
        return self.likelihood(self.split(z)[0]).mean_example()

    def generated(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.likelihood(self.split(z)[0]).scaled_mean(self.spec)

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        z = [self.top(n, next(self.parameters()).device).sample()]
        for i in reversed(range(len(self.down))):
            z.insert(0, self.above(i, z[0]).sample())
        return torch.cat(z, 1)

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.likelihood(self.split(self.sample_latent(n, condition))[0]).sample()

    def draws_elements(self) -> bool:
        return True

    # -- learning

    def loss(self, batch: Batch, shared: None = None) -> Terms:
        drawn = self.infer(batch.x)
        parts = self.kl_parts(drawn)
        for i, part in enumerate(parts):
            batch.logs[f"kl_{i + 1}"] = part.detach().sum(1)
        active = [(part.detach().mean(0) > ACTIVE_KL).sum() for part in parts]
        batch.logs["active_units"] = torch.stack(active).sum().float()
        log_p = self.likelihood(drawn.z[0]).log_prob_of_example(batch.x)
        return {"reconstruction": -log_p, "kl": torch.cat(parts, 1)}

    def game(self) -> Game[None]:
        name = "ladder-vae"
        return Game(
            players={name: Player((self,), self.config.optimizer_factory())},
            moves=(Move(name, self.loss),),
            monitor=CollapseMonitor(name),
        )

    def graph(self) -> Graph:
        c = self.config
        names = [f"z_{i + 1}" for i in range(len(c.layers))]
        every = zip(names, c.layers, strict=True)
        codes = tuple(Variable(name, "latent", f"{size} numbers") for name, size in every)
        down = tuple(Arrow(a, b, law=f"p({b} | {a})") for b, a in pairwise(names))
        return Graph(
            (*codes[::-1], Variable("x", "observed", self.spec.one)),
            (*down, Arrow("z_1", "x", law="p(x | z_1)"), *self._inference(names)),
        )

    def _inference(self, names: Sequence[str]) -> tuple[Arrow, ...]:
        if self.config.bottom_up:
            return tuple(
                Arrow(a, b, "inference", f"q({b} | {a})") for a, b in pairwise(("x", *names))
            )
        of_x = tuple(Arrow("x", name, "inference", "q(z | x)") for name in names)
        return (*of_x, *(Arrow(a, b, "inference") for b, a in pairwise(names)))


RECIPES: Recipes = {
    "default": {
        "about": "three layers of 32, 16 and 8 dimensions, the KL warmed up over 2,000 steps",
        "model": {},
        "train": {"batch_size": 128, "epochs": 50.0, "beta_warmup": 2000},
    },
    "paper": {
        "about": "binarised MNIST: five layers, batch normalisation, warm-up of 200 epochs",
        "model": {
            "layers": (64, 32, 16, 8, 4),
            "batch_norm": True,
            "hidden": (512,),
            "units": (512, 256, 128, 64, 32),
        },
        "train": {"batch_size": 256, "epochs": 2000.0, "beta_warmup": 47_000},
        "data": {"levels": 2, "dynamic": True},
    },
    "digits": {
        "about": "digits of 2 levels, three layers, a minute of one core: KL by layer as in "
        "docs/hierarchies.md",
        "model": {"batch_norm": True},
        "train": {"batch_size": 128, "steps": 1500, "schedule": "cosine", "beta_warmup": 750},
        "data": {"levels": 2},
    },
    "points": {
        "about": "two layers of 2 numbers, mixtures of 5 Gaussians: points in a minute on one core",
        "model": {"layers": (2, 2), "hidden": (64,), "units": (64,), "components": 5, "lr": 2e-3},
        "train": {"batch_size": 256, "steps": 2000, "schedule": "cosine", "beta_warmup": 500},
    },
}
