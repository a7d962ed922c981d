"""What every autoregressive model shares: p(x) = prod_i p(x_i | x_<i), one pixel after the other.

A model says how all conditionals are computed at once (`conditionals`: training and scoring) and
how they are computed one pixel after the other (`stepper`: sampling and completion). The sampler
below is the only one; given the same noise it draws the image that `conditionals`, evaluated anew
for each sub-pixel, would draw.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.batch import Batch, Condition
from ptheta.batch import repeated as copies
from ptheta.compute import streams
from ptheta.conditions import Conditional, ConditionSpec, word
from ptheta.config import Count, option
from ptheta.distributions.pixels import PixelDistribution
from ptheta.games import Game, Move, Player, Terms
from ptheta.models.base import EVERY_KIND, ImageModel
from ptheta.models.graph import EXAMPLES, Arrow, Graph, Variable
from ptheta.nets.heads import Likelihood, odd_likelihood
from ptheta.nets.masked import even_kernel
from ptheta.optimizers import OptimizerConfig
from ptheta.specs import DataSpec, ImageSpec
from ptheta.terminal.progress import watched


@dataclass(frozen=True)
class AutoregressiveConfig(Conditional, OptimizerConfig):
    """What every autoregressive model is told."""


@dataclass(frozen=True)
class LikelihoodConfig(AutoregressiveConfig):
    """Of a model whose network gives the parameters of any likelihood."""

    likelihood: Likelihood = option(
        "auto", "auto: bernoulli for 2 levels, categorical to 16, logistic"
    )
    components: Count = option(1, "logistics mixed in each pixel (logistic)")

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return super().unsupported(spec, condition) or odd_likelihood(spec, self.likelihood)


@dataclass(frozen=True)
class MaskedConvConfig(AutoregressiveConfig):
    """Of a model whose first layer and head are masked convolutions."""

    first_kernel: Count = option(7, "width of the first kernel, pixels (odd)")
    head: Count = option(64, "channels of the two last 1x1 convolutions")

    def kernels(self) -> dict[str, int]:
        """The widths of kernels that have a middle, pixels, by the names of the options."""
        return {"first_kernel": self.first_kernel}

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return super().unsupported(spec, condition) or even_kernel(**self.kernels())


class Stepper(ABC):
    """A model evaluated pixel by pixel in its order; every activation is computed once.

    `pixel` is (n, C) uint8: the colours of the t-th pixel as far as they are drawn, else 0.
    """

    @abstractmethod
    def conditional(self, t: int, c: int, pixel: Tensor) -> PixelDistribution:
        """The distribution of colour c of the t-th pixel, shape (n, 1, 1, 1).

        Called for every t in order and, within it, for growing c: for each c or, where the pixel is
        known, for the last alone.
        """

    @abstractmethod
    def observe(self, t: int, pixel: Tensor) -> None:
        """The t-th pixel is complete."""


class Autoregressive(ImageModel, ABC):
    """spec: the images; condition: None for an unconditional model."""

    takes = EVERY_KIND

    def __init__(
        self, spec: ImageSpec, config: AutoregressiveConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.optimizer = config.optimizer_factory()

    @abstractmethod
    def conditionals(self, x: Tensor, condition: Condition | None = None) -> PixelDistribution:
        """p(x_i | x_<i) for every sub-pixel at once: batch shape (B, C, H, W)."""

    @abstractmethod
    def stepper(self, n: int, condition: Condition | None = None) -> Stepper:
        """The same, pixel by pixel, for n images."""

    @property
    def order(self) -> list[int]:
        """The pixels in the order of the factorisation, as row * W + column; R, G, B inside."""
        return list(range(self.spec.height * self.spec.width))

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.conditionals(x, condition).log_prob_of_image(x)

    @torch.no_grad()
    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.sample_from_noise(self.noise(n), condition)

    @torch.no_grad()
    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """Draws the unknown sub-pixels of x (B, C, H, W); known (B, C, H, W) bool.

        Each is drawn given the known ones before it in the order, exactly. Known ones that follow
        are met by importance resampling: of `candidates` completions of an image one is chosen
        with probability proportional to p(later known pixels | what precedes them). One candidate
        looks at none of them; the more, the nearer to exact conditioning on all.
        """
        x, known = self.spec.check(x), known.expand(x.shape)
        xs, kept, ys = repeated(candidates, x, known, condition)
        drawn = draw(self.stepper(len(xs), ys), self.order, self.noise(len(xs)), xs, kept)
        if candidates == 1:
            return drawn
        agree = agreement(self.conditionals(drawn, ys), drawn, kept)
        return resampled(drawn.unflatten(0, (candidates, -1)), agree.unflatten(0, (candidates, -1)))

    def late(self, known: Tensor) -> Tensor:
        order = torch.tensor(self.order, device=known.device)
        inside = known.flatten(2).permute(0, 2, 1)[:, order]  # (B, H * W, C), as they are drawn
        after_unknown = inside & (~inside).flatten(1).cumsum(1).bool().view(inside.shape)
        late = torch.zeros_like(inside)
        late[:, order] = after_unknown
        return late.permute(0, 2, 1).view(known.shape)

    def noise(self, n: int) -> Tensor:
        """Uniform noise that stands for n images: (n, C, H, W)."""
        return streams.uniform(n, *self.spec.shape, device=next(self.parameters()).device)

    @torch.no_grad()
    def sample_from_noise(
        self,
        u: Tensor,
        condition: Condition | None = None,
        given: Tensor | None = None,
        known: Tensor | None = None,
    ) -> Tensor:
        """The image that uniform noise u (n, C, H, W) stands for: uint8, sub-pixel by sub-pixel.

        given, known: an image batch and where it is known (bool); these sub-pixels are kept
        """
        stepper = self.stepper(len(u), condition)
        return draw(stepper, self.order, u, given, known)

    @torch.no_grad()
    def fixed_point_sample(
        self, u: Tensor, condition: Condition | None = None
    ) -> tuple[Tensor, int]:
        """The same image by Jacobi iteration, and the number of passes that it took.

        All sub-pixels are redrawn at once from the conditionals of the last guess until nothing
        changes (Song et al. 2021, arXiv:2002.03629). A sub-pixel is right once all that it sees
        are, so C * H * W passes always suffice; usually a small part of that does. It pays where a
        pass over all pixels costs little more than one over a single pixel: on a GPU.
        """
        x = torch.zeros(u.shape, dtype=torch.uint8, device=u.device)
        for passes in range(1, self.spec.dims + 1):
            guess = self.conditionals(x, condition).icdf(u)
            if torch.equal(guess, x):
                return x, passes
            x = guess
        return x, self.spec.dims

    def loss(self, batch: Batch, shared: None = None) -> Terms:
        return {"nll": -self.log_prob(batch.x, self.asked(batch.condition))}

    def game(self) -> Game[None]:
        name = type(self).__name__.lower()
        return Game({name: Player((self,), self.optimizer)}, (Move(name, self.loss),))

    def graph(self) -> Graph:
        """One pixel after the other: each given all before it."""
        plates = (EXAMPLES, f"{self.spec.dims} sub-pixels")
        graph = Graph(
            (
                Variable("x_{<i}", "observed", "all earlier ones", plates),
                Variable("x_i", "observed", f"one of {self.spec.levels} levels", plates),
            ),
            (Arrow("x_{<i}", "x_i", law="p(x_i | x_<i)"),),
        )
        return graph if self.condition is None else graph.given(word(self.condition), "x_i")


def draw(
    stepper: Stepper,
    order: Sequence[int],
    u: Tensor,
    given: Tensor | None = None,
    known: Tensor | None = None,
) -> Tensor:
    """Walks the stepper over the pixels in order: see `Autoregressive.sample_from_noise`."""
    n, colours, height, width = u.shape
    noise = _by_pixel(u)
    if given is None or known is None:
        x = torch.zeros(noise.shape, dtype=torch.uint8, device=u.device)
        kept, full = None, [False] * len(x)
    else:
        kept = _by_pixel(known.expand(u.shape))
        x = _by_pixel(given) * kept
        full = kept.flatten(1).all(1).tolist()
    for t, p in enumerate(watched(order, "drawing pixels")):
        pixel = x[p]  # (n, C), a view
        if full[p]:
            stepper.conditional(t, colours - 1, pixel)
            stepper.observe(t, pixel)
            continue
        for c in range(colours):
            u_c = noise[p, :, c].view(n, 1, 1, 1)
            drawn = stepper.conditional(t, c, pixel).icdf(u_c).view(n)
            if kept is not None:
                drawn = torch.where(kept[p, :, c], pixel[:, c], drawn)
            pixel[:, c] = drawn
        stepper.observe(t, pixel)
    return x.view(height, width, n, colours).permute(2, 3, 0, 1).contiguous()


def repeated(
    k: int, x: Tensor, known: Tensor, condition: Condition | None
) -> tuple[Tensor, Tensor, Condition | None]:
    """k copies of each, one after the other: of images, of what is known of them, of labels."""
    y = None if condition is None else copies(condition, k)
    return x.repeat(k, 1, 1, 1), known.repeat(k, 1, 1, 1), y


def agreement(p: PixelDistribution, x: Tensor, known: Tensor) -> Tensor:
    """log of the product of p(x_i | x_<i) over the known sub-pixels alone: (B,) nats.

    Over completions drawn from the other conditionals, the mean of its exponential is p(known).
    """
    return (p.log_prob(x) * known).flatten(1).sum(1)


def resampled(candidates: Tensor, log_weights: Tensor) -> Tensor:
    """One candidate of each image, drawn in proportion to its weight.

    candidates: (K, B, C, H, W); log_weights: (K, B) -> (B, C, H, W)
    """
    chosen = torch.multinomial(log_weights.t().softmax(1), 1)[:, 0]  # (B,)
    return candidates[chosen, torch.arange(len(chosen), device=chosen.device)]


def _by_pixel(x: Tensor) -> Tensor:
    """(n, C, H, W) -> (H * W, n, C), contiguous: a pixel of all images is one block."""
    return x.flatten(2).permute(2, 0, 1).contiguous()
