"""Completion by a GAN: search for the code whose sample agrees with the known elements (Yeh et al.
2017, arXiv:1607.07539).

The objective is the context loss, the absolute difference on known elements with more weight near a
hole, plus small weights of the generator's adversarial loss and of the negative log-prior. The
better half of some codes sampled from the prior are optimised by Adam with a decaying learning
rate, and the best is kept; restarts begin with other codes.

The codes of one example are optimised together, separately from other examples: a completion does
not depend on the rest of the batch, bit by bit.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ptheta.batch import Condition
from ptheta.compute import streams
from ptheta.specs import DataSpec, ImageSpec, filled
from ptheta.terminal.progress import watched

if TYPE_CHECKING:
    from ptheta.models.adversarial.pair import Pair

IMAGES, ROWS = 4, 32  # codes that descend together: of an image, of a row
DRAWN = 2  # times as many are drawn
RATE = 0.1  # of the first step
BETAS = (0.9, 0.999)  # Adam's
WINDOW = 7  # pixels: neighbourhood whose unknown share is the weight of a known pixel
FAR = 0.1  # weight of a pixel that has no unknown one near it
JUDGED = 0.01  # weight of the discriminator, by the deviation of its loss over the first codes
LIKELY = 0.01  # weight of the code's own prior


class Found(NamedTuple):
    """z: codes (B, L); objective: their objective, (B,), lower is better"""

    z: Tensor
    objective: Tensor

    def better(self, other: Found) -> Found:
        """The better of the two, code by code; a number that is none is never better."""
        wins = other.objective < self.objective
        return Found(
            torch.where(wins[:, None], other.z, self.z),
            torch.where(wins, other.objective, self.objective),
        )

    def best(self, n: int = 1) -> Found:
        """The n best of them."""
        at = self.objective.argsort(stable=True)[:n]
        return Found(self.z[at], self.objective[at])


class Target(NamedTuple):
    """The target of a search: one example, with the conditional input of its codes.

    s: the example in network scale, (1, ...), 0 where unknown; weight: weight of each element, 0
        where unknown
    """

    s: Tensor
    weight: Tensor
    condition: Condition | None


def completed(
    model: Pair, x: Tensor, known: Tensor, condition: Condition | None, restarts: int
) -> Tensor:
    """Examples x (B, ...) with unknown elements from the sample of the best code.

    known: bool, as x; restarts: minimum number of codes
    """
    found = searched(model, x, known, condition, restarts)
    made = []
    for i in range(len(x)):
        y = None if condition is None else condition[i : i + 1]
        with _quiet(1):
            made.append(model.enlarged(model.generate(found.z[i : i + 1], y, drawn=False)))
    return torch.where(known, x, model.spec.unscaled(torch.cat(made)).to(x))


def searched(
    model: Pair, x: Tensor, known: Tensor, condition: Condition | None, restarts: int
) -> Found:
    """The best code of each example, of at least so many that are tried."""
    size = IMAGES if isinstance(model.spec, ImageSpec) else ROWS
    groups = -(-restarts // size)
    draws = [
        torch.stack([model.sample_latent(len(x), condition) for _ in range(DRAWN * size)])
        for _ in range(groups)
    ]
    s, there = _seen(model.spec, x, known)
    weight = _weights(model.spec, there).to(s)
    each = []
    for i in watched(range(len(x)), "searching for codes"):
        at = slice(i, i + 1)
        y = None if condition is None else condition[torch.full((DRAWN * size,), i)]
        objective = Objective(model, Target(s[at], weight[at], y))
        each.append(_best_of(objective, [z[:, i] for z in draws], size))
    return Found(*(torch.cat(part) for part in zip(*each, strict=True)))


def _best_of(objective: Objective, draws: list[Tensor], size: int) -> Found:
    """The best code from the better half of each of these groups of draws."""
    best = []
    for z in draws:
        with _quiet(len(z)):
            start = Found(z, objective(z)).best(size)
        with _quiet(size):
            best.append(_descent(objective, start.z).best())
    return Found(torch.cat([f.z for f in best]), torch.cat([f.objective for f in best])).best()


def _seen(spec: DataSpec, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Examples as a network sees them, 0 for the unknown, and which of these numbers are known."""
    if x.is_floating_point():
        s = spec.scaled(x.masked_fill(~known, math.nan))
        return filled(s), ~s.isnan()
    return spec.scaled(x) * known, known


def _weights(spec: DataSpec, there: Tensor) -> Tensor:
    """Weights of known elements: the unknown share of the pixels around them (eq. 3)."""
    if not isinstance(spec, ImageSpec):
        return there.float()
    unknown = (~there).any(1, keepdim=True).float()
    near = avg_pool2d(unknown, WINDOW, 1, WINDOW // 2, count_include_pad=False)
    return there * (FAR + near)


class Objective:
    """The objective of codes (G, L) for one example, (G,). The discriminator's loss is standardised
    by its deviation over the first codes."""

    def __init__(self, model: Pair, target: Target) -> None:
        self.model, self.target = model, target
        self.total = target.weight.sum().clamp(min=1e-6)
        self.scale: tuple[Tensor, Tensor] | None = None

    def __call__(self, z: Tensor) -> Tensor:
        model, y = self.model, self.target.condition
        y = None if y is None else y[: len(z)]
        made = model.generate(z, y, drawn=False)
        gap = (model.enlarged(made) - self.target.s).abs() * self.target.weight
        value = gap.flatten(1).sum(1) / self.total + LIKELY * model.improbable(z)
        if model.rates_together:  # other codes are no batch of this example
            return value
        logits = model.discriminate_batch(made, y).logits
        # where the loss looks at real examples, too: minus the output
        judged = -logits if model.loss.compares else model.loss.generator(logits, logits)
        if self.scale is None:
            self.scale = judged.mean(), judged.std().clamp(min=1e-3)
        return value + JUDGED * (judged - self.scale[0]) / self.scale[1]


def _quiet(n: int) -> AbstractContextManager[None]:
    """Inside, a generator that adds noise adds the same to all of n examples."""
    return streams.own(0, [0] * n)


def _descent(objective: Objective, z: Tensor) -> Found:
    """The best on the way of Adam from each of these codes (G, L)."""
    model, steps = objective.model, objective.model.search_steps
    first, second = torch.zeros_like(z), torch.zeros_like(z)
    best = Found(z, torch.full_like(z[:, 0], math.inf))
    for step in range(steps + 1):
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            value = objective(z)
            (slope,) = torch.autograd.grad(value.sum(), z)
        z = z.detach()
        best = best.better(Found(z, value.detach().to(best.objective)))
        first = BETAS[0] * first + (1 - BETAS[0]) * slope
        second = BETAS[1] * second + (1 - BETAS[1]) * slope.square()
        size = (second / (1 - BETAS[1] ** (step + 1))).sqrt() + 1e-8
        rate = RATE * (1 + math.cos(math.pi * step / max(1, steps))) / 2
        z = model.settled(z - rate * (first / (1 - BETAS[0] ** (step + 1))) / size)
    return best
