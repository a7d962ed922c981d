"""Restricted Boltzmann machine (Smolensky 1986; Hinton 2002; Salakhutdinov & Murray 2008)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.compute.precise import precise
from ptheta.conditions import ConditionSpec
from ptheta.config import Count, Fraction, OneOf, Parts, Positive, option
from ptheta.distributions.partition import LogPartition
from ptheta.games import Clock, Game, Move, Player, Terms
from ptheta.models.base import Model, refuse_missing, whole
from ptheta.models.energy.annealing import both_sides, enumerable
from ptheta.models.energy.boltzmann import Binary, Boltzmann, Normal, Visible
from ptheta.models.energy.centred import centred
from ptheta.models.energy.negative import LADDERS, NEGATIVES, Chains
from ptheta.models.energy.seen import Bits, seen_as
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.recipes import Recipes
from ptheta.optimizers import OptimizerConfig, OptimizerName
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, full

START_SD = 0.01  # of the weights (Hinton 2010, a practical guide)
LEAST_RATE = 1e-3  # of a visible unit being 1, for the base rates
PIXELS = 0.02  # of the learning rate, of images by Gaussian units
LEAST_SD = 0.05  # of a Gaussian unit: what is constant in training is not certain


@dataclass(frozen=True)
class RBMConfig(OptimizerConfig):
    hidden: Count = option(500, "hidden units", basic=True)
    negative: Annotated[str, OneOf(NEGATIVES)] = option(
        "pcd", "source of the negative samples", basic=True
    )
    gibbs: Parts = option(1, "Gibbs steps per training step")
    chains: Count = option(100, "persistent chains (pcd, tempered)")
    tempering: Annotated[Parts, Ge(2)] = option(
        10, "number of temperatures of each chain (tempered)"
    )
    ladder: Annotated[str, OneOf(LADDERS)] = option(
        "linear", "spacing of the temperatures (tempered)"
    )
    hottest: Fraction = option(
        0.0, "inverse temperature of the hottest chain; 0: independent units (tempered)"
    )
    centred: bool = option(True, "centred gradients (1203.4416)")
    offset_rate: Fraction = option(0.01, "rate at which the centring means follow the data")
    learn_sigma: bool = option(
        True,
        "learn the standard deviations of the visible units (images of more than 2 levels, "
        "tables); else keep those of the first batch",
    )
    sweeps: Count = option(200, "Gibbs steps from a persistent chain to a sample")
    temperatures: Count = option(10_000, "temperatures of annealed importance sampling, for log Z")
    ais_chains: Annotated[Count, Ge(2)] = option(
        100, "annealed importance sampling chains per direction"
    )
    optimizer: OptimizerName = option("sgd", "optimizer")
    lr: Positive = option(
        0.15, "learning rate; divided by 50 for images of more than 2 levels", basic=True
    )

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        if not seen_as(spec).dims:
            return "all columns are constant: there is nothing to learn"
        return None


@dataclass(frozen=True)
class Phases:
    """The two sides of the gradient. data: (B, D); model: negative samples, (n, D)"""

    data: Tensor
    model: Tensor


class RBM(Model):
    """p(x) = exp(-F(x)) / Z of binary images, or by Gaussian units of dequantised images and of
    tables. Formulas: `boltzmann`."""

    player = "rbm"
    specs = (ImageSpec, VectorSpec)
    mu: Tensor  # mean of s(v) over the data: where gradients are centred, and the base rates
    lam: Tensor  # mean of h
    states: Tensor  # of the chains, (temperatures, n, D)
    betas: Tensor

    def __init__(
        self, spec: DataSpec, config: RBMConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config, self.seen = config, seen_as(spec)
        self.binary = isinstance(self.seen, Bits)
        self.negative = NEGATIVES[config.negative]
        d, h = self.seen.dims, config.hidden
        self.weight = nn.Parameter(START_SD * torch.randn(d, h))
        self.bias = nn.Parameter(torch.zeros(d))  # of s(v)
        self.hidden_bias = nn.Parameter(torch.zeros(h))
        if not self.binary:
            self.log_sd = nn.Parameter(torch.zeros(d), requires_grad=config.learn_sigma)
        self.register_buffer("mu", torch.full((d,), 0.5 if self.binary else 0.0))
        self.register_buffer("lam", torch.full((h,), 0.5))
        many = config.tempering if self.negative.tempered else 1
        self.register_buffer("betas", LADDERS[config.ladder].betas(many, config.hottest))
        self.register_buffer("states", torch.zeros(many, config.chains, d))

    # -- the distribution

    def machine(self, *, learning: bool = False) -> Boltzmann:
        """learning: with gradients that are centred, where the config wants them"""
        w: Tensor = self.weight
        b: Tensor = self.bias
        c: Tensor = self.hidden_bias
        if learning and self.config.centred:
            w, b, c = centred(w, b, c, self.mu, self.lam)
        return Boltzmann(self._visible(b), w, c)

    def _visible(self, bias: Tensor) -> Visible:
        if self.binary:
            rates = self.mu.clamp(LEAST_RATE, 1 - LEAST_RATE)
            return Binary(bias, rates.logit())
        sd = self.log_sd.exp().clamp_min(LEAST_SD)
        return Normal(bias * sd, (self.mu * sd).detach(), sd)

    def energy(self, x: Tensor) -> Tensor:
        """F(v) in nats of the units of x, float64: of what has bins, of a number drawn in its bin,
        so that its mean is what bounds -log p(x) + log Z from above."""
        x = whole(self.spec, x)
        return self.machine().free_energy(self.seen.of(x)) + self.seen.log_unit(x)

    def exact(self) -> bool:
        return self.seen.exact

    @torch.no_grad()
    def log_partition(self, effort: float = 1.0) -> LogPartition:
        """By enumeration of up to 20 units; else from both sides (`annealing`), backward from
        `sweeps` Gibbs steps after the persistent chains."""
        machine = self.machine()
        if enumerable(machine, self.binary):
            value = machine.log_sum()
            return LogPartition(value, value)
        c = self.config
        temperatures = max(1, round(effort * c.temperatures))
        return both_sides(machine, temperatures, c.ais_chains, self._drawn(c.ais_chains))

    # -- learning

    @torch.no_grad()
    def start(self, batch: Batch) -> None:
        """Base rates of the first batch for the visible units, and chains of these."""
        v = self.seen.of(whole(self.spec, batch.x))
        if not self.binary:
            sd = v.std(0, correction=0).clamp_min(2 * LEAST_SD)
            self.log_sd.copy_(sd.log())
            v = v / sd
        self.mu.copy_(v.mean(0))
        known = self.mu.clamp(0.01, 0.99).logit() if self.binary else self.mu
        self.bias.copy_(known)
        many, n, d = self.states.shape
        self.states.copy_(self.machine().base(many * n).view(many, n, d))

    @torch.no_grad()
    def prepare(self, batch: Batch, clock: Clock) -> Phases:
        """Moves the chains."""
        v = self.seen.of(whole(self.spec, batch.x))
        chains, k = Chains(self.states, self.betas), self.config.gibbs
        with precise(v.device):
            model, chains = self.negative.draw(self.machine(), v, chains, k, clock.step)
        self.states.copy_(chains.states)
        return Phases(v, model)

    def loss(self, batch: Batch, shared: Phases) -> Terms:
        """F(v) - mean of F over the negative samples: (B,). Its gradient is that of -log p(v) if
        these are samples of the model; its value is the difference of the energies."""
        n, machine = len(shared.data), self.machine(learning=True)
        both = torch.cat([shared.data, shared.model])
        with precise(both.device):  # in half the difference of two energies would be noise
            field = machine.field(both)
            free = machine.free_energy(both, field)
        self._follow(machine.visible.scaled(shared.data), field[:n])
        return {"energy_gap": free[:n] - free[n:].mean()}

    @torch.no_grad()
    def _follow(self, scaled: Tensor, field: Tensor) -> None:
        """Moves the offsets; several processes average them."""
        rate = self.config.offset_rate
        self.mu.lerp_(scaled.mean(0), rate)
        self.lam.lerp_(field.sigmoid().mean(0), rate)

    def rate(self) -> float:
        """Of learning. Hundreds of Gaussian pixels, of variance 1 each and most of them alike, move
        a hidden unit together: at the rate of binary ones its weights run away."""
        many = isinstance(self.spec, ImageSpec) and not self.binary
        return self.config.lr * (PIXELS if many else 1.0)

    def game(self) -> Game[Phases]:
        return Game(
            players={self.player: Player((self,), self.config.optimizer_factory(self.rate()))},
            moves=(Move(self.player, self.loss),),
            prepare=self.prepare,
            start=self.start,
        )

    # -- the chain

    def _begun(self, n: int) -> Tensor:
        """States of persistent chains, each chosen at random; else draws of the base rates."""
        if not self.negative.persistent:
            return self.machine().base(n)
        cold = self.states[0]
        return cold[streams.integers(0, len(cold), n, device=cold.device)]

    def _drawn(self, n: int) -> Tensor:
        machine, v = self.machine(), self._begun(n)
        for _ in range(self.config.sweeps):
            v = machine.sweep(v)
        return v

    def chain_start(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.seen.examples(self._begun(n))

    def transition(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """One Gibbs step v -> h -> v. What has bins enters by a number drawn evenly in its bin, by
        which its stationary distribution is near p(x), and is p(x) of all else."""
        return self.seen.examples(self.machine().sweep(self.seen.of(x)))

    # -- uses

    @torch.no_grad()
    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.seen.examples(self._drawn(n))

    @torch.no_grad()
    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """Sample the unknown elements by `candidates` times `sweeps` Gibbs steps with the known
        ones clamped: exact in the limit (for discrete columns, given the middle of the bin)."""
        known = known.expand(x.shape)
        refuse_missing(self.spec, x[known])
        given, fixed = self.seen.middle(self.spec.check(x)), self.seen.elements(known)
        machine = self.machine()
        v = torch.where(fixed, given, machine.base(len(x)))
        for _ in range(candidates * self.config.sweeps):
            v = torch.where(fixed, given, machine.sweep(v))
        return torch.where(known, x, self.seen.examples(v).to(x))

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """p(h = 1 | x): (B, H)."""
        return full(self.machine().field(self.seen.middle(whole(self.spec, x)))).sigmoid()

    def graph(self) -> Graph:
        kind = "binary" if self.binary else "Gaussian"
        return Graph(
            (
                Variable("h", "latent", f"{self.config.hidden} binary units"),
                Variable("x", "observed", f"{self.spec.one}, {kind} units"),
            ),
            (
                Arrow("h", "x", law="p(x | h), independent"),
                Arrow("x", "h", "inference", "p(h | x), independent"),
            ),
        )


TEN_MINUTES = {
    "batch_size": 100,
    "schedule": "linear",
    "ema": 0.9995,
    "evaluate_every": 0,
    "sample_every": 0,
}
RECIPES: Recipes = {
    "default": {
        "about": "images of 2 levels (--levels 2): 500 hidden units, persistent chains, averaged "
        "weights; for other data see the recipes levels and points",
        "model": {},
        "train": {**TEN_MINUTES, "epochs": 50.0, "sample_every": 2000},
    },
    "ten-minutes": {
        "about": "binarised MNIST on one core: -85.1 nats by AIS from both sides, after 32,000 "
        "steps",
        "model": {},
        "train": {**TEN_MINUTES, "minutes": 9.5},
        "data": {"levels": 2, "dynamic": True},
    },
    "salakhutdinov-2008": {
        "about": "CD-25 of the paper: 86.34 nats on MNIST by AIS",
        "model": {"negative": "cd", "gibbs": 25, "centred": False, "lr": 0.05},
        "train": {**TEN_MINUTES, "epochs": 250.0},
        "data": {"levels": 2, "dynamic": True},
    },
    "levels": {
        "about": "Gaussian visible units, for images of more levels: clipped gradients",
        "model": {},
        "train": {**TEN_MINUTES, "epochs": 30.0, "clip": 200.0},
    },
    "points": {
        "about": "Gaussian visible units: a mixture of Gaussians with shared factors",
        "model": {"hidden": 20, "lr": 0.3},
        "train": {**TEN_MINUTES, "steps": 10_000, "clip": 5.0},
    },
}
