"""The base class of autoregressive models: p(x) = prod_i p(x_i | x_<i), pixel by pixel.

A model implements two views: `conditionals` evaluates all pixels in parallel (training and
scoring), and `stepper` evaluates them sequentially (sampling and completion). The sampler of `walk`
serves all models; given the same noise, it gives the same image as evaluating `conditionals` again
for each sub-pixel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.batch import Batch, Condition
from ptheta.conditions import ConditionSpec, word
from ptheta.config import Count, option
from ptheta.distributions.base import ElementDistribution
from ptheta.games import Game, Move, Player, Terms
from ptheta.models.autoregressive import walk
from ptheta.models.autoregressive.walk import Stepper, agreement, repeated, resampled
from ptheta.models.base import EVERY_KIND, Model, refuse_missing
from ptheta.models.graph import EXAMPLES, Arrow, Graph, Variable
from ptheta.models.worded import ReadsBetween, TextConditional
from ptheta.nets.heads import Likelihood, odd_likelihood
from ptheta.nets.masked import even_kernel
from ptheta.specs import DataSpec, ImageSpec


@dataclass(frozen=True)
class AutoregressiveConfig(TextConditional):
    """Options common to autoregressive models."""


@dataclass(frozen=True)
class LikelihoodConfig(AutoregressiveConfig):
    """Options of models with a choice of likelihood."""

    likelihood: Likelihood = option(
        "auto",
        "p(x_i | earlier); auto: bernoulli for 2 levels, categorical up to 16, else logistic; "
        "gaussian for numbers",
        basic=True,
    )
    components: Count | None = option(
        None, "mixture components per pixel (logistic; default 1) or numeric column (default 10)"
    )

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return super().unsupported(spec, condition) or odd_likelihood(spec, self.likelihood)


@dataclass(frozen=True)
class MaskedConvConfig(AutoregressiveConfig):
    """Options of models with a masked first convolution and a convolutional head."""

    first_kernel: Count = option(7, "width of the first kernel, pixels (odd)")
    head: Count = option(64, "channels of the last two 1x1 convolutions")

    def kernels(self) -> dict[str, int]:
        """The widths of kernels that have a middle, pixels, by the names of the options."""
        return {"first_kernel": self.first_kernel}

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return super().unsupported(spec, condition) or even_kernel(**self.kernels())


class Autoregressive(ReadsBetween, Model, ABC):
    """condition: None for an unconditional model."""

    takes = EVERY_KIND
    temperature = 1.0  # that examples are drawn at

    def __init__(
        self, spec: DataSpec, config: AutoregressiveConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.optimizer = config.optimizer_factory()
        self.path = walk.Path.of(spec)

    @abstractmethod
    def conditionals(self, x: Tensor, condition: Condition | None = None) -> ElementDistribution:
        """p(x_i | x_<i) of every sub-pixel or column at once: of the shape of x."""

    @abstractmethod
    def stepper(self, n: int, condition: Condition | None = None) -> Stepper:
        """The same, pixel by pixel or column by column, for n examples."""

    @property
    def order(self) -> list[int]:
        """The pixels in the order of the factorisation, as row * W + column, R, G, B inside; or the
        columns of a vector."""
        return list(range(self.path.places))

    def pixel_order(self) -> list[int]:
        return self.order

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.conditionals(x, condition).log_prob_of_example(x)

    @torch.no_grad()
    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.sample_from_noise(self.noise(n), condition)

    @torch.no_grad()
    def sample_at(self, n: int, temperature: float, condition: Condition | None = None) -> Tensor:
        """Every conditional to the power 1 / temperature, normalised."""
        self.temperature = temperature
        try:
            return self.sample(n, condition)
        finally:
            self.temperature = 1.0

    @torch.no_grad()
    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """Sample the unknown elements of x, sub-pixels or cells; known: bool, as x. Unknown cells
        may be NaN.

        Each element is sampled exactly given the known ones before it in the order. Known elements
        that follow are taken into account by importance resampling: one of `candidates` completions
        is chosen with probability proportional to p(later known pixels | preceding ones). A single
        candidate ignores them; more candidates approach exact conditioning.
        """
        x, known = self.spec.check(x), known.expand(x.shape)
        refuse_missing(self.spec, x[known])
        xs, kept, ys = repeated(candidates, x, known, condition)
        drawn = self.drawn(self.stepper(len(xs), ys), self.noise(len(xs)), xs, kept)
        if candidates == 1:
            return drawn
        agree = agreement(self.conditionals(drawn, ys), drawn, kept)
        return resampled(drawn.unflatten(0, (candidates, -1)), agree.unflatten(0, (candidates, -1)))

    def late(self, known: Tensor) -> Tensor:
        return walk.late(known, self.order)

    def noise(self, n: int) -> Tensor:
        """Uniform noise that determines n samples: (n, *shape)."""
        return walk.noise(self.spec, n, next(self.parameters()).device)

    def drawn(
        self,
        stepper: Stepper,
        u: Tensor,
        given: Tensor | None = None,
        known: Tensor | None = None,
        order: Sequence[int] | None = None,
    ) -> Tensor:
        """The samples determined by the noise u. order: of the stepper's pixels, if it has one"""
        return walk.draw(
            stepper,
            self.order if order is None else order,
            *(u, self.path.dtype, given, known),
            temperature=self.temperature,
        )

    @torch.no_grad()
    def sample_from_noise(
        self,
        u: Tensor,
        condition: Condition | None = None,
        given: Tensor | None = None,
        known: Tensor | None = None,
    ) -> Tensor:
        """The samples determined by uniform noise u (n, *shape), element by element.

        given, known: a batch and its mask of known elements (bool), which are kept
        """
        return self.drawn(self.stepper(len(u), condition), u, given, known)

    @torch.no_grad()
    def fixed_point_sample(
        self, u: Tensor, condition: Condition | None = None
    ) -> tuple[Tensor, int]:
        """The same by Jacobi iteration, and the number of passes that it took.

        All elements are redrawn at once from the conditionals of the last guess until nothing
        changes (Song et al. 2021, arXiv:2002.03629). One is right once all that it sees
        are, so C * H * W passes always suffice; usually a small part of that does. It pays where a
        pass over all pixels costs little more than one over a single pixel: on a GPU.
        """
        x = self.blank(u)
        for passes in range(1, self.spec.dims + 1):
            guess = self.conditionals(x, condition).icdf(u)
            if torch.equal(guess, x):
                return x, passes
            x = guess
        return x, self.spec.dims

    def blank(self, u: Tensor) -> Tensor:
        """Examples to begin with, one for each row of u: black, or the middle of each column."""
        if isinstance(self.spec, ImageSpec):
            return torch.zeros(u.shape, dtype=torch.uint8, device=u.device)
        return self.spec.unscaled(torch.zeros(len(u), *self.spec.scaled_shape, device=u.device))

    def loss(self, batch: Batch, shared: None = None) -> Terms:
        return {"nll": -self.log_prob(batch.x, self.asked(batch.condition))}

    def game(self) -> Game[None]:
        name = type(self).__name__.lower()
        return Game({name: Player((self,), self.optimizer)}, (Move(name, self.loss),))

    def graph(self) -> Graph:
        """One element after the other: each given all before it."""
        each, what = element(self.spec)
        plates = (EXAMPLES, f"{self.spec.dims} {each}")
        graph = Graph(
            (
                Variable("x_{<i}", "observed", "all earlier ones", plates),
                Variable("x_i", "observed", what, plates),
            ),
            (Arrow("x_{<i}", "x_i", law="p(x_i | x_<i)"),),
        )
        return graph if self.condition is None else graph.given(word(self.condition), "x_i")


class PixelModel(Autoregressive):
    """An autoregressive model of images only."""

    spec: ImageSpec

    def __init__(
        self, spec: ImageSpec, config: AutoregressiveConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)


def element(spec: DataSpec) -> tuple[str, str]:
    """(name of the elements, description of one)"""
    if isinstance(spec, ImageSpec):
        return "sub-pixels", f"one of {spec.levels} levels"
    return "columns", "a number or a category"
