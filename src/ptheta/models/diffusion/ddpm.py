"""Denoising diffusion probabilistic model (Ho et al. 2020, arXiv:2006.11239).

    q(x_t | x) = N(sqrt(alpha_bar_t) x, (1 - alpha_bar_t) I),    t = 0, ..., T
    p(x_{t-1} | x_t) = N(mean of q(x_{t-1} | x_t, x^(x_t, t)), variance_t I)

A network predicts x^. The bound of log p(x) has T + 1 terms (equation 5):

    L_T     = KL(q(x_T | x) || N(0, I))                       the end of the path
    L_{t-1} = KL(q(x_{t-1} | x_t, x) || p(x_{t-1} | x_t))     t = 2, ..., T
    L_0     = -log p(x | x_1)

L_0 of images is the probability of the levels, a Gaussian that is integrated over the bin of each
(section 3.3); of vectors a density. Of what has bins in a vector, the numbers are drawn in them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import torch
from annotated_types import Ge, Le
from torch import Tensor

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import word
from ptheta.config import Count, Entry, Fraction, OneOf, option
from ptheta.distributions.gaussian import LOG_2PI
from ptheta.games import Terms
from ptheta.models.base import as_learned
from ptheta.models.diffusion.base import (
    IN_TEN_MINUTES,
    USUAL_TRAINING,
    Diffusion,
    DiffusionConfig,
    least_deviation,
    mean_of,
    most_deviation,
)
from ptheta.models.diffusion.paths import (
    LEAST,
    PREDICTIONS,
    Coefficients,
    Diffused,
    Path,
    ScheduleName,
)
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.mixtures.covariance import wide
from ptheta.models.recipes import Recipes

EDGE = 1e-4  # how far a level may be from black or white and be it: rounding
SNR = 5.0  # of the weight min-snr, as the paper has it


@dataclass(frozen=True)
class Weight(Entry):
    """bounded: whether the error of the example counts min(SNR, 5); bound: as in the bound"""

    bounded: bool = False
    bound: bool = False


WEIGHTS: dict[str, Weight] = {
    "simple": Weight(about="squared error of what is predicted (2006.11239, equation 14)"),
    "min-snr": Weight(bounded=True, about="of the example, times min(SNR, 5) (2303.09556)"),
    "bound": Weight(bound=True, about="the terms of the bound"),
}


@dataclass(frozen=True)
class Variance(Entry):
    """large: whether p(x_{t-1} | x_t) has that of q(x_t | x_{t-1}); else of q(x_{t-1} | x_t, x)"""

    large: bool = False


VARIANCES: dict[str, Variance] = {
    "small": Variance(about="of q(x_{t-1} | x_t, x)"),
    "large": Variance(large=True, about="of q(x_t | x_{t-1})"),
}


@dataclass(frozen=True)
class Sampler(Entry):
    """chain: whether every step draws, as in training"""

    chain: bool = False


SAMPLERS: dict[str, Sampler] = {
    "ddpm": Sampler(chain=True, about="the chain of training (2006.11239)"),
    "ddim": Sampler(reads=frozenset({"eta"}), about="the noise decides the sample (2010.02502)"),
}


WeightName: TypeAlias = Annotated[str, OneOf(WEIGHTS)]
VarianceName: TypeAlias = Annotated[str, OneOf(VARIANCES)]
SamplerName: TypeAlias = Annotated[str, OneOf(SAMPLERS)]


@dataclass(frozen=True)
class DDPMConfig(DiffusionConfig):
    noise_steps: Count = option(1000, "steps T of the chain of training", basic=True)
    noise_schedule: ScheduleName = option("cosine", "how fast noise grows", basic=True)
    weight: WeightName = option("simple", "what an error counts at each step", basic=True)
    free_edges: Annotated[float, Ge(0), Le(0.2)] = option(
        0.02,
        "share of the grey values at either end in which a prediction beyond the pixel, towards "
        "black or white, costs nothing, as samples clip it; 0: the squared error everywhere "
        "(images)",
    )
    variance: VarianceName = option("small", "of p(x_{t-1} | x_t)")
    sampler: SamplerName = option("ddpm", "how samples are drawn", basic=True)
    eta: Fraction = option(0.0, "noise of a step of ddim, in that of the chain: 1 is the chain")
    bound_draws: Count = option(
        8, "of the terms 1 to T - 1 of the bound, drawn evenly; T - 1 or more: all of them"
    )


class DDPM(Diffusion):
    """A chain of T steps from an example to noise, and the network that goes back."""

    player = "ddpm"
    spread = False
    config: DDPMConfig
    path: Diffused

    def _path(self) -> Path:
        return Diffused(self.config.noise_schedule, self.config.noise_steps)

    # -- predictions

    def deviation(self, now: Coefficients, then: Coefficients) -> Tensor:
        if VARIANCES[self.config.variance].large:
            return most_deviation(now, then)
        return least_deviation(now, then)

    def error(self, x: Tensor, predicted: Tensor) -> Tensor:
        """What a prediction lacks in training: (B, *shape)"""
        lacking, share = predicted - x, self.config.free_edges
        if not (self.space.bounded and share):
            return lacking
        at_edge, beyond = x.abs() > 1 - 2 * share, lacking * x > 0
        return lacking.masked_fill(at_edge & beyond, 0)

    # -- training

    def loss(self, batch: Batch, shared: None = None) -> Terms:
        """The squared error of a prediction at a time that is drawn, its mean over numbers."""
        w, given = self.examples_of(batch), self.given_in_training(batch)
        s = self.path.drawn(streams.uniform(len(w), device=w.device))
        noise = streams.normal_like(w)
        c = self.path.at(s, w)
        x_s, prediction = c.noised(w, noise), PREDICTIONS[self.config.prediction]
        error = self.error(w, prediction.x(self.output(x_s, s, given), x_s, c))
        return {"denoising": mean_of(self._counted(s, c) * error.square())}

    def _counted(self, s: Tensor, c: Coefficients) -> Tensor:
        """What a squared error of the example counts: (B, 1, ...)"""
        weight = WEIGHTS[self.config.weight]
        if weight.bounded:
            return (c.alpha / c.sigma).square().clamp(max=SNR)
        if weight.bound:
            return self._snr_drop(s).to(c.alpha).view_as(c.alpha)
        return PREDICTIONS[self.config.prediction].weight(c)

    def _snr_drop(self, s: Tensor) -> Tensor:
        """T (SNR(t - 1) - SNR(t)) / 2, of which SNR(0) is as if t were 2: (B,), float64, CPU"""
        t = self.path.index(s).clamp_min(min(2, self.path.steps))
        kept = self.path.kept_at(t)
        before = self.path.kept_at(t - 1).clamp(max=1 - LEAST)
        return 0.5 * self.path.steps * (before / (1 - before) - kept / (1 - kept))

    # -- the bound

    def bound_terms(self, x: Tensor, condition: Condition | None = None) -> Terms:
        """-log p(x | x_1), the sum of the terms 1 to T - 1 by `bound_draws` of them, and the KL of
        the end: nats."""
        return self._terms(x, condition, self.config.bound_draws)

    def elbo(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return _total(self.bound_terms(x, condition))

    def importance_bound(self, x: Tensor, k: int, condition: Condition | None = None) -> Tensor:
        """The bound by k of the terms 1 to T - 1, all of them where k is T - 1 or more: no tighter,
        but known better. Importance samples of whole paths would take T passes each."""
        return _total(self._terms(x, condition, k))

    def _terms(self, x: Tensor, condition: Condition | None, draws: int) -> Terms:
        x = as_learned(self.spec, x)
        w, given = self.space.drawn(x), self.embedded(self.asked(condition), len(x))
        return {
            "reconstruction": self._first(x, w, given),
            "denoising": self._middle_terms(w, given, draws),
            "prior_kl": self._last(w),
        }

    def _last(self, w: Tensor) -> Tensor:
        """KL(q(x_T | x) || N(0, I))"""
        kept = float(self.path.kept[-1])
        squares = w.double().square().flatten(1).sum(1)
        spread = (1 - kept) - 1 - math.log(1 - kept)
        return (0.5 * (kept * squares + self.space.dims * spread)).to(w)

    def _middle_terms(self, w: Tensor, given: Tensor | None, draws: int) -> Tensor:
        """The sum of L_1 to L_{T-1}: of every term, or of one that is drawn in each of so many
        equal parts of the path, in proportion."""
        last = self.path.steps
        total, n = w.new_zeros(len(w)), min(draws, last - 1)
        for j in range(n):
            u = streams.uniform(len(w), device=w.device) if n < last - 1 else 0.5
            t = ((j + u) * ((last - 1) / n) + 2) * torch.ones_like(total)
            t = t.floor().clamp(2, last)
            total = total + self.term(w, t, given) * ((last - 1) / n)
        return total

    def term(self, w: Tensor, t: Tensor, given: Tensor | None = None) -> Tensor:
        """L_{t-1}, t = 2 to T, (B,), by one draw of x_t: (B,) nats."""
        s = t / self.path.steps
        x_s = self.path.at(s, w).noised(w, streams.normal_like(w))
        lacking = (self.denoised(x_s, s, given, 1.0) - w).square().flatten(1).sum(1)
        k, i = self.path.kept, t.cpu().long()
        beta = 1 - k[i] / k[i - 1]
        least = beta * (1 - k[i - 1]) / (1 - k[i])
        variance = beta if VARIANCES[self.config.variance].large else least
        of_error = k[i - 1] * (beta / (1 - k[i])).square() / variance
        fixed = self.space.dims * ((variance / least).log() + least / variance - 1)
        return 0.5 * (of_error.to(lacking) * lacking + fixed.to(lacking))

    def first_deviation(self) -> float:
        """Of p(x | x_1): that of q(x_1 | x), for q(x_0 | x_1, x) has none."""
        return math.sqrt(1 - float(self.path.kept[1]))

    def _first(self, x: Tensor, w: Tensor, given: Tensor | None) -> Tensor:
        """L_0 = -log p(x | x_1), by one draw of x_1."""
        s = w.new_full((len(w),), 1 / self.path.steps)
        x_1 = self.path.at(s, w).noised(w, streams.normal_like(w))
        mean, deviation = self.denoised(x_1, s, given, 1.0), self.first_deviation()
        if self.space.bounded:
            half = 1 / (self.space.levels - 1)
            return -log_bin(wide(w), wide(mean), half, deviation).flatten(1).sum(1).to(w)
        scaled = ((w - mean) / deviation).square() + LOG_2PI + 2 * math.log(deviation)
        return 0.5 * scaled.flatten(1).sum(1) + self.space.log_unit(x).to(w)

    # -- uses

    @torch.no_grad()
    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        """Noise brought to an example, by the sampler."""
        given = self.embedded(self.asked(condition), n)
        eta = 1.0 if SAMPLERS[self.config.sampler].chain else self.config.eta
        return self.space.examples(self.walked(self.noise(n), given, eta))

    def generated(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        given = self.embedded(self.asked(condition), len(z))
        return self.space.scaled(self.walked(z.view(-1, *self.space.shape), given, 0.0))

    @torch.no_grad()
    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Noise (B, dims) brought to an example by DDIM, which draws nothing."""
        given = self.embedded(self.asked(condition), len(z))
        return self.space.examples(self.walked(z.view(-1, *self.space.shape), given, 0.0))

    @torch.no_grad()
    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The noise that DDIM makes x of, by its steps backwards: (B, dims). The shorter they are,
        the nearer (2010.02502, section 5.4)."""
        x = as_learned(self.spec, x)
        w, given = self.space.middle(x), self.embedded(self.asked(condition), len(x))
        of_output, least = PREDICTIONS[self.config.prediction].x, 1 / self.path.steps
        for more, less in reversed(self._pairs(w)):
            now, then = self.path.at(less, w), self.path.at(more, w)
            s = less.clamp_min(least)
            of_s, out = self.path.at(s, w), self.predicted(w, s, given, self.guidance)
            found = self.clipped(of_output(out, w, of_s), w, of_s)
            # at the example itself no noise can be read off: its first step is taken as it is
            of_now = now if float(less[0]) > 0 else of_s
            w = then.noised(found, of_now.noise(w, found))
        return w.flatten(1)

    def graph(self) -> Graph:
        last = self.path.steps
        noise = Variable(r"x_{T}", "latent", f"noise, {self.space.dims} numbers, N(0, I)")
        chain = Variable(r"x_{t}", "latent", f"with less noise, t = {last - 1:,} to 1")
        seen = Variable("x", "observed", self.spec.one)
        arrows = (
            Arrow(r"x_{T}", r"x_{t}", law="p(x_{t-1} | x_t), a step of the chain"),
            Arrow(r"x_{t}", "x", law="p(x | x_1)"),
            Arrow("x", r"x_{t}", "inference", "q(x_t | x), noise added"),
            Arrow(r"x_{t}", r"x_{T}", "inference", "q(x_t | x_{t-1})"),
        )
        graph = Graph((noise, chain, seen), arrows)
        if self.condition is None:
            return graph
        return graph.given(word(self.condition), r"x_{t}", "x")


def _total(terms: Terms) -> Tensor:
    return -torch.stack(list(terms.values())).sum(0)


def log_bin(x: Tensor, mean: Tensor, half: float, deviation: float) -> Tensor:
    """log of what N(mean, deviation^2) has between x - half and x + half, of the outermost bins,
    x = -1 and 1, to infinity: as x, float64 where the device has it."""
    low = torch.where(x <= EDGE - 1, -math.inf, (x - half - mean) / deviation)
    high = torch.where(x >= 1 - EDGE, math.inf, (x + half - mean) / deviation)
    flipped = low > 0  # both in the upper tail: its mirror image is known more exactly
    low, high = torch.where(flipped, -high, low), torch.where(flipped, -low, high)
    upper, lower = torch.special.log_ndtr(high), torch.special.log_ndtr(low)
    found: Tensor = upper + torch.log1p(-(lower - upper).exp())
    return found


RECIPES: Recipes = {
    "default": {
        "about": "a U-Net of 1.1 M weights that predicts v, cosine schedule of 1000 steps",
        "model": {},
        "train": USUAL_TRAINING,
    },
    "ten-minutes": IN_TEN_MINUTES,
    "points": {
        "about": "a network of three layers of 128 units: points in a minute on one core",
        "model": {"noise_steps": 100, "sample_steps": 100},
        "train": {"batch_size": 256, "steps": 6000, "schedule": "cosine", "ema": 0.998},
    },
}
