"""Flow matching (Lipman et al. 2023, arXiv:2210.02747): a velocity that carries noise to examples.

    x_t = t x + (1 - (1 - l) t) e,    e ~ N(0, I),    v = dx_t / dt = x - (1 - l) e

A network is regressed on v of examples and noise that are paired at random, or by optimal transport
within a batch. Its minimum is E[v | x_t], the velocity of a flow that carries N(0, I) to the
examples. A sample is noise carried along by an ODE, and the density follows the flow back:

    log p(x_1) = log N(x_0) - int_0^1 div v(x_t, t) dt

which is an estimate: an ODE is solved in steps, and beyond a few dimensions the divergence is
estimated as well. In this package s = 1 - t is the time of every path, from an example to noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Lt
from torch import Tensor

from ptheta.batch import Batch, Condition
from ptheta.capabilities import LogProbEstimate
from ptheta.compute import streams
from ptheta.conditions import word
from ptheta.config import Count, NonNegative, OneOf, Parts, option
from ptheta.distributions.gaussian import LOG_2PI
from ptheta.games import Terms
from ptheta.models.base import as_learned
from ptheta.models.diffusion.base import (
    IN_TEN_MINUTES,
    USUAL_TRAINING,
    Diffusion,
    DiffusionConfig,
    mean_of,
)
from ptheta.models.diffusion.ode import SOLVERS, Field, Solver, integrate, with_divergence
from ptheta.models.diffusion.pairing import PAIRINGS, PairingName
from ptheta.models.diffusion.paths import PREDICTIONS, Path, Straight
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.recipes import Recipes

SolverName = Annotated[str, OneOf(SOLVERS)]


@dataclass(frozen=True)
class FlowMatchingConfig(DiffusionConfig):
    pairing: PairingName = option("independent", "of noise and examples in a batch", basic=True)
    least_noise: Annotated[float, Ge(0), Lt(1)] = option(
        0.0, "deviation l of the noise that is left at the end of a path"
    )
    solver: SolverName = option("midpoint", "of the ODE", basic=True)
    sample_steps: Count = option(20, "steps of the ODE from noise to a sample", basic=True)
    density_steps: Annotated[Count, Ge(2)] = option(
        16, "steps of the ODE of log p; half as many are also taken, to say the error"
    )
    exact_trace: NonNegative = option(
        16, "dimensions up to which the divergence is exact, by a product for each"
    )
    probes: Parts = option(
        2, "vectors of random signs by which the divergence of more dimensions is estimated"
    )


class FlowMatching(Diffusion):
    """A velocity and its ODE."""

    player = "flow-matching"
    spread = True
    config: FlowMatchingConfig
    path: Straight

    def _path(self) -> Path:
        return Straight(self.config.least_noise, self.config.prediction)

    def velocity(self, w: Tensor, s: Tensor, given: Tensor | None, guidance: float) -> Tensor:
        """v = dx / dt at times s = 1 - t, (B,), by what is predicted."""
        out, c = self.predicted(w, s, given, guidance), self.path.at(s, w)
        entry = PREDICTIONS[self.config.prediction]
        if entry.is_v:
            return out
        x = self.clipped(entry.x(out, w, c), w, c)
        return c.v(x, c.noise(w, x))

    def field(self, given: Tensor | None, guidance: float) -> Field:
        """dw/ds = -v of rows (B, dims)."""

        def f(rows: Tensor, s: float) -> Tensor:
            w = rows.view(len(rows), *self.space.shape)
            return -self.velocity(w, w.new_full((len(w),), s), given, guidance).flatten(1)

        return f

    # -- training

    def loss(self, batch: Batch, shared: None = None) -> Terms:
        """The squared error of what is predicted, its mean over numbers."""
        w, given = self.examples_of(batch), self.given_in_training(batch)
        noise = PAIRINGS[self.config.pairing].noise(w, streams.normal_like(w))
        s = self.path.drawn(streams.uniform(len(w), device=w.device))
        c = self.path.at(s, w)
        target = PREDICTIONS[self.config.prediction].target(w, noise, c)
        error = self.output(c.noised(w, noise), s, given) - target
        return {"matching": mean_of(error.square())}

    # -- the density

    def log_prob_estimate(self, x: Tensor, condition: Condition | None = None) -> LogProbEstimate:
        """log p(x): of what has bins, the log-density of numbers drawn within them, whose mean is a
        bound. Errors are those of the probes and of the steps, the latter by a solution with half
        as many (Richardson 1911)."""
        x = as_learned(self.spec, x)
        w = self.space.drawn(x).flatten(1)
        field = self.field(self.embedded(self.asked(condition), len(x)), 1.0)
        exact = self.space.dims <= self.config.exact_trace
        probes = self._probes(w, exact)
        steps, solver = self.config.density_steps, SOLVERS[self.config.solver]
        each = self._log_densities(field, w, probes, exact, (steps, solver))
        fewer = self._log_densities(field, w, probes, exact, (steps // 2, solver))
        value = each.mean(1)
        bias = (value - fewer.mean(1)) / ((steps / (steps // 2)) ** solver.order - 1)
        k = each.shape[1]
        noise = each.std(1) / k**0.5 if k > 1 else torch.zeros_like(value)
        return LogProbEstimate(value - self.space.log_unit(x).to(value), noise, bias)

    def estimated_by(self) -> str:
        c = self.config
        exact = self.space.dims <= c.exact_trace
        trace = "exact divergence" if exact else f"divergence by {c.probes} random vectors"
        binned = "" if self.space.numbers.exact else ", of dequantised numbers"
        return f"ODE by {c.density_steps} steps of {c.solver}, {trace}{binned}"

    def _probes(self, w: Tensor, exact: bool) -> Tensor:
        """(K, B, D)"""
        n, dims = w.shape
        if exact:
            return torch.eye(dims, dtype=w.dtype, device=w.device)[:, None].expand(dims, n, dims)
        signs = streams.integers(0, 2, n * self.config.probes, dims, device=w.device)
        return (2 * signs - 1).to(w).view(self.config.probes, n, dims)

    def _log_densities(
        self, field: Field, w: Tensor, probes: Tensor, exact: bool, how: tuple[int, Solver]
    ) -> Tensor:
        """log p(w) of rows (B, dims) by each estimate of the divergence: (B, K)"""
        steps, solver = how
        both = with_divergence(field, probes, exact)
        beside = w.new_zeros(len(w), 1 if exact else len(probes))
        times = self.path.grid(steps).flip(0).tolist()
        rows = integrate(both, torch.cat([w, beside], 1), times, solver)
        z, integral = rows[:, : w.shape[1]], rows[:, w.shape[1] :]
        return -0.5 * (z.square() + LOG_2PI).sum(1, keepdim=True) + integral

    # -- uses

    def carried(self, z: Tensor, given: Tensor | None) -> Tensor:
        """Noise (B, dims) at the end of the ODE: (B, *shape)"""
        times = self.path.grid(self.sample_steps).tolist()
        w = integrate(self.field(given, self.guidance), z, times, SOLVERS[self.config.solver])
        return w.view(len(z), *self.space.shape)

    @torch.no_grad()
    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Noise (B, dims) carried along by the ODE, and rounded."""
        return self.space.examples(self.carried(z, self.embedded(self.asked(condition), len(z))))

    def generated(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        made = self.carried(z, self.embedded(self.asked(condition), len(z)))
        return self.space.scaled(made)

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.decode(self.sample_latent(n), condition)

    def sample_at(self, n: int, temperature: float, condition: Condition | None = None) -> Tensor:
        """Of noise times the temperature."""
        return self.decode(temperature * self.sample_latent(n), condition)

    @torch.no_grad()
    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The noise that the ODE carries to the middles of the bins: (B, dims)"""
        x = as_learned(self.spec, x)
        given, w = self.embedded(self.asked(condition), len(x)), self.space.middle(x).flatten(1)
        times = self.path.grid(self.sample_steps).flip(0).tolist()
        return integrate(self.field(given, self.guidance), w, times, SOLVERS[self.config.solver])

    def graph(self) -> Graph:
        noise = Variable("z", "latent", f"noise, {self.space.dims} numbers, N(0, I)")
        seen = Variable("x", "observed", self.spec.one)
        arrows = (
            Arrow("z", "x", law="the ODE dx/dt = v(x, t)"),
            Arrow("x", "z", "inference", "the ODE, backwards"),
        )
        graph = Graph((noise, seen), arrows)
        if self.condition is None:
            return graph
        return graph.given(word(self.condition), "x", inferred=["z"])


RECIPES: Recipes = {
    "default": {
        "about": "a U-Net of 1.1 M weights that gives the velocity",
        "model": {},
        "train": USUAL_TRAINING,
    },
    "ten-minutes": IN_TEN_MINUTES,
    "optimal-transport": {
        "about": "noise and examples paired by optimal transport in each batch (2302.00482)",
        "model": {"pairing": "optimal-transport"},
        "train": {"batch_size": 128, "epochs": 100.0, "schedule": "cosine", "ema": 0.999},
    },
    "points": {
        "about": "a network of three layers of 128 units: points in a minute on one core",
        "model": {"pairing": "optimal-transport"},
        "train": {"batch_size": 256, "steps": 6000, "schedule": "cosine", "ema": 0.998},
    },
}
