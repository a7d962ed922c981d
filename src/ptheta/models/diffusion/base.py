"""What diffusion and flow matching share: a network that is asked, at any time of a path from an
example to noise, what the example was; steps back along the path; guidance; completion.

A step from s to u < s takes the predicted example x^ and the noise e^ that goes with it to

    x_u = alpha_u x^ + sqrt(sigma_u^2 - d^2) e^ + d z,    z ~ N(0, I),    d = eta d_q,
    d_q^2 = sigma_u^2 (1 - alpha_s^2 sigma_u^2 / (alpha_u^2 sigma_s^2))

the variance of q(x_u | x_s, x): eta = 0 is DDIM (Song et al. 2021, arXiv:2010.02502, equation 16),
eta = 1 the Markov chain of training. Guidance (Ho & Salimans 2022, arXiv:2207.12598) predicts

    without + w (with - without) the condition:  w = 0 leaves it out, w = 1 takes it as it is.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
from annotated_types import Gt, Le
from torch import Tensor, nn

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import AtLeastZero, Count, Fraction, Layers, Parts, option
from ptheta.errors import PthetaError
from ptheta.games import Game, Move, Player, Terms
from ptheta.models.autoencoders.chain import from_noise
from ptheta.models.base import EVERY_KIND, Model, whole
from ptheta.models.diffusion.paths import (
    LEAST,
    PREDICTIONS,
    Coefficients,
    Path,
    PredictionName,
    shaped,
)
from ptheta.models.diffusion.space import Space
from ptheta.models.recipes import Recipe
from ptheta.models.worded import ReadsBetween, TextConditional
from ptheta.nets.condition import embedding
from ptheta.nets.diffusion.embedding import TimeEmbedding
from ptheta.nets.diffusion.unet import UNet
from ptheta.nets.diffusion.vectors import VectorNet
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, full

FARTHEST = 8.0  # that numbers and noise are from 0, deviations

# recipes of every model of this kind
IN_TEN_MINUTES: Recipe = {
    "about": "digits in ten minutes on two cores, about 6,000 steps of batches of 32",
    "model": {"attention": True, "lr": 2e-3},
    "train": {
        "batch_size": 32,
        "minutes": 10.0,
        "schedule": "cosine",
        "warmup": 100,
        "clip": 1.0,
        "ema": 0.999,
        "evaluate_every": 0,
    },
}
USUAL_TRAINING: Mapping[str, object] = {
    "batch_size": 64,
    "epochs": 100.0,
    "schedule": "cosine",
    "ema": 0.999,
}


@dataclass(frozen=True)
class DiffusionConfig(TextConditional):
    prediction: PredictionName = option("v", "what the network gives", basic=True)
    sample_steps: Count = option(
        50, "steps from noise to a sample, each one pass of the network", basic=True
    )
    guidance: AtLeastZero = option(
        1.0,
        "weight of the condition in samples: 0 leaves it out, 1 takes it as it was learned, more "
        "exaggerates it",
        basic=True,
    )
    drop_condition: Fraction = option(
        0.0, "share of training examples whose condition is left out, for guidance", basic=True
    )
    features: Layers = option(
        (48, 96), "of each resolution of the U-Net, each half of the one before (images)"
    )
    blocks: Parts = option(1, "residual blocks at each resolution, on either way (images)")
    patch: Annotated[Count, Le(16)] = option(
        2, "pixels of the side of a square that is one place to the U-Net (images)", basic=True
    )
    attention: bool = option(False, "among all places of the lowest resolution (images)")
    hidden: Count = option(128, "units of a layer (vectors)", basic=True)
    layers: Parts = option(3, "residual layers (vectors)", basic=True)
    embedding: Count = option(128, "numbers that time and condition are made")
    dropout: Annotated[float, Le(0.9)] = option(
        0.0, "share of activations that training leaves out"
    )
    chain_noise: Annotated[float, Gt(0), Le(1)] = option(
        0.5, "time up to which noise is added in a step of `ptheta chain`; 1: all is drawn anew"
    )
    resample: Parts = option(5, "passes of each step of a completion (RePaint, 2201.09865)")

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return super().unsupported(spec, condition) or self._odd(spec, condition)

    def _odd(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        if not 0 <= self.dropout <= 0.9:
            return f"dropout = {self.dropout:g}: want 0 to 0.9"
        if condition is None and (self.drop_condition or self.guidance != 1):
            return (
                "guidance and drop_condition are of a condition, and this model is given none: "
                "leave them out, or choose --condition labels"
            )
        if self.guidance != 1 and not self.drop_condition:
            return (
                f"guidance = {self.guidance:g} wants a network that also knows no condition: give "
                "--drop-condition 0.1"
            )
        if isinstance(spec, VectorSpec) and all(
            column.continuous and column.low == column.high for column in spec.columns
        ):
            return f"every column of {spec} has but one value: give columns that vary"
        return None


class Diffusion(ReadsBetween, Model):
    """A network and a path. guidance, sample_steps: as the options, or as a use changes them."""

    takes = EVERY_KIND
    specs = (ImageSpec, VectorSpec)
    player: str
    spread: bool  # of the space
    config: DiffusionConfig
    path: Path

    def __init__(
        self, spec: DataSpec, config: DiffusionConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = c = config
        self.space = Space(spec, spread=self.spread)
        self.path = self._path()
        self.guidance, self.sample_steps = c.guidance, c.sample_steps
        self.time = TimeEmbedding(c.embedding)
        self.asked_for = embedding(condition, c.embedding, c)
        self.nothing = nn.Parameter(torch.zeros(c.embedding)) if c.drop_condition else None
        self.net: nn.Module
        if isinstance(spec, ImageSpec):
            self.net = UNet(
                spec.channels, c.features, c.blocks, c.patch, c.embedding, c.dropout, c.attention
            )
        else:
            self.net = VectorNet(self.space.dims, c.hidden, c.layers, c.embedding, c.dropout)

    @abstractmethod
    def _path(self) -> Path: ...

    # -- the network

    def embedded(self, condition: Condition | None, n: int) -> Tensor | None:
        """What the network is given of the conditions of n examples, (B, E); None of a model that
        is given none."""
        if self.asked_for is None:
            return None
        given: Tensor = self.asked_for(self.given(condition))
        return given

    def output(self, x_s: Tensor, s: Tensor, given: Tensor | None) -> Tensor:
        """What the network gives of numbers (B, *shape) at times (B,)."""
        e = self.time(s.to(x_s))
        e = e if given is None else e + given.to(e)
        out: Tensor = self.net(x_s, e)
        return full(out)

    def predicted(self, x_s: Tensor, s: Tensor, given: Tensor | None, guidance: float) -> Tensor:
        """The output with guidance."""
        if given is None or guidance == 1:
            return self.output(x_s, s, given)
        assert self.nothing is not None  # see `DiffusionConfig.unsupported`
        without = self.nothing.expand_as(given)
        if guidance == 0:
            return self.output(x_s, s, without)
        both = self.output(
            torch.cat([x_s, x_s]), torch.cat([s, s]), torch.cat([given, without.to(given)])
        )
        conditional, unconditional = both.chunk(2)
        return torch.lerp(unconditional, conditional, guidance)

    def clipped(self, x: Tensor, x_s: Tensor, c: Coefficients) -> Tensor:
        """A predicted example: levels in their range; of vectors, whose numbers are standardised,
        within 8 deviations, but where x_s lies beyond what such a number gives. Near pure noise a
        small error of a predicted e is a very large one of the example."""
        if self.space.bounded:
            return x.clamp(-1, 1)
        beyond = x_s.abs() > FARTHEST * (c.alpha + c.sigma)
        return torch.where(beyond, x, x.clamp(-FARTHEST, FARTHEST))

    def denoised(self, x_s: Tensor, s: Tensor, given: Tensor | None, guidance: float) -> Tensor:
        """x^, the predicted example, by what is predicted."""
        out, c = self.predicted(x_s, s, given, guidance), self.path.at(s, x_s)
        return self.clipped(PREDICTIONS[self.config.prediction].x(out, x_s, c), x_s, c)

    # -- back along the path

    def step(self, x_s: Tensor, s: Tensor, u: Tensor, x: Tensor, eta: float) -> Tensor:
        """x_u, from times s to times u < s, (B,) both, by the predicted example x."""
        now, then = self.path.at(s, x_s), self.path.at(u, x_s)
        noise, least = now.noise(x_s, x), eta * least_deviation(now, then)
        mean = then.alpha * x + (then.sigma.square() - least.square()).clamp_min(0).sqrt() * noise
        if not eta:
            return mean
        drawn = eta * self.deviation(now, then) * (shaped(u, x_s) > 0)
        return mean + drawn * streams.normal_like(x_s)

    def deviation(self, now: Coefficients, then: Coefficients) -> Tensor:
        """Of the noise that a step of the chain adds."""
        return least_deviation(now, then)

    def walked(self, w: Tensor, given: Tensor | None, eta: float, *, start: float = 1.0) -> Tensor:
        """Numbers w (B, *shape) at time `start` brought to an example. eta: of every step"""
        for s, u in self._pairs(w, start):
            w = self.step(w, s, u, self.denoised(w, s, given, self.guidance), eta)
        return w

    def _pairs(self, like: Tensor, start: float = 1.0) -> list[tuple[Tensor, Tensor]]:
        """The times (B,) of each step, from `start` on: that share of all steps."""
        steps = self.sample_steps if start == 1 else max(1, round(start * self.sample_steps))
        of = [like.new_full((len(like),), s) for s in self.path.grid(steps, start).tolist()]
        return list(pairwise(of))

    # -- uses

    @contextmanager
    def drawing(self, steps: int | None, guidance: float | None) -> Iterator[None]:
        """Inside, samples take so many steps, with such guidance; None: as ever."""
        before = self.sample_steps, self.guidance
        if guidance not in (None, 1.0) and self.nothing is None:
            raise PthetaError(
                f"--guidance {guidance:g}: this model does not know what is drawn without a "
                "condition; train it with --condition labels --drop-condition 0.1"
            )
        self.sample_steps = before[0] if steps is None else self.path.allowed(steps)
        self.guidance = before[1] if guidance is None else guidance
        try:
            yield
        finally:
            self.sample_steps, self.guidance = before

    def sample_in_steps(
        self,
        n: int,
        steps: int | None = None,
        guidance: float | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        with self.drawing(steps, guidance):
            return self.sample(n, condition)

    @abstractmethod
    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        """Noise brought to examples."""

    def noise(self, n: int) -> Tensor:
        """N(0, I): (n, *shape)"""
        return streams.normal(n, *self.space.shape, device=next(self.parameters()).device)

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        """Noise, in one row: (n, dims)"""
        return self.noise(n).flatten(1)

    @torch.no_grad()
    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """RePaint (Lugmayr et al. 2022, arXiv:2201.09865, algorithm 1): in each step what is known
        is drawn from q(x_u | x) and the rest made by the step, and the step is made `resample`
        times, with noise added anew in between, so that both parts come to fit. candidates are not
        told apart."""
        x = self.spec.check(x)
        filler = torch.zeros_like(x)
        w = self.space.middle(torch.where(known, x, filler))
        there, given = self.space.mask(known), self.embedded(self.asked(condition), len(x))
        found = self._repainted(w, there, given)
        return torch.where(known, x, self.space.examples(found))

    def _repainted(self, w: Tensor, there: Tensor, given: Tensor | None) -> Tensor:
        now = streams.normal_like(w)
        for s, u in self._pairs(w):
            passes = self.config.resample if float(u[0]) > 0 else 1
            for i in range(passes):
                now = now if not i else self._noised_again(now, u, s)
                made = self.step(now, s, u, self.denoised(now, s, given, self.guidance), 1.0)
                kept = self.path.at(u, w).noised(w, streams.normal_like(w))
                now = torch.where(there, kept, made)
        return now

    def _noised_again(self, x_u: Tensor, u: Tensor, s: Tensor) -> Tensor:
        """x_s drawn given x_u, s > u."""
        less, more = self.path.at(u, x_u), self.path.at(s, x_u)
        share = more.alpha / less.alpha.clamp_min(LEAST)
        return share * x_u + most_deviation(more, less) * streams.normal_like(x_u)

    # -- its chain

    def chain_start(self, n: int, condition: Condition | None = None) -> Tensor:
        """Noise."""
        return from_noise(self.spec, n, next(self.parameters()).device)

    @torch.no_grad()
    def transition(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Along the path up to the time `chain_noise`, and back by the chain of training: what
        leaves p(x) as it is where the network is right, as the chain of `gsn`."""
        start, given = self.config.chain_noise, self.embedded(self.asked(condition), len(x))
        w = self.space.middle(x)
        c = self.path.at(w.new_full((len(w),), start), w)
        noised = c.noised(w, streams.normal_like(w))
        return self.space.examples(self.walked(noised, given, 1.0, start=start))

    # -- training

    def given_in_training(self, batch: Batch) -> Tensor | None:
        """What the network is given of a batch: of a share of the examples that it has none."""
        given = self.embedded(self.asked(batch.condition), len(batch))
        if given is None or self.nothing is None:
            return given
        u = streams.uniform(len(given), 1, device=given.device)
        return torch.where(u < self.config.drop_condition, self.nothing.to(given), given)

    def examples_of(self, batch: Batch) -> Tensor:
        """Numbers of the examples of a batch, as they are learned."""
        return self.space.drawn(whole(self.spec, batch.x))

    @abstractmethod
    def loss(self, batch: Batch, shared: None = None) -> Terms: ...

    def game(self) -> Game[None]:
        return Game(
            players={self.player: Player((self,), self.config.optimizer_factory())},
            moves=(Move(self.player, self.loss),),
        )


def mean_of(errors: Tensor) -> Tensor:
    """The mean over the numbers of each example: (B, ...) -> (B,)"""
    return errors.flatten(1).mean(1)


def least_deviation(now: Coefficients, then: Coefficients) -> Tensor:
    """Of q(x_u | x_s, x), s the time now and u that of then."""
    ratio = now.alpha * then.sigma / (then.alpha * now.sigma).clamp_min(LEAST**2)
    return then.sigma * (1 - ratio.square()).clamp_min(0).sqrt()


def most_deviation(now: Coefficients, then: Coefficients) -> Tensor:
    """Of q(x_s | x_u)."""
    share = now.alpha / then.alpha.clamp_min(LEAST)
    return (now.sigma.square() - (share * then.sigma).square()).clamp_min(0).sqrt()
