"""Examples walked through in the order of a factorisation: pixel by pixel, or column by column.

A vector is walked through as an image of one row and one colour: its columns are the pixels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.batch import Condition
from ptheta.batch import repeated as copies
from ptheta.compute import streams
from ptheta.distributions import columns
from ptheta.distributions.base import ElementDistribution, HasLogits
from ptheta.errors import PthetaError
from ptheta.specs import DataSpec, ImageSpec
from ptheta.terminal.progress import watched


@dataclass(frozen=True)
class Path:
    """What is walked through.

    places: pixels, or columns; colours: numbers at each place; dtype: of an example
    """

    places: int
    colours: int
    dtype: torch.dtype

    @classmethod
    def of(cls, spec: DataSpec) -> Path:
        if isinstance(spec, ImageSpec):
            return cls(spec.height * spec.width, spec.channels, torch.uint8)
        return cls(spec.dims, 1, torch.float32)


class Stepper(ABC):
    """A model evaluated place by place in its order; every activation is computed once.

    `pixel` is (n, C): the colours of the t-th pixel as far as they are drawn, else 0; of a vector
    (n, 1), the cells of the t-th column.
    """

    @abstractmethod
    def conditional(self, t: int, c: int, pixel: Tensor) -> ElementDistribution:
        """The distribution of colour c of the t-th pixel, of n numbers.

        Called for every t in order and, within it, for growing c: for each c or, where the pixel is
        known, for the last alone.
        """

    @abstractmethod
    def observe(self, t: int, pixel: Tensor) -> None:
        """The t-th pixel is complete."""


def noise(spec: DataSpec, n: int, device: torch.device) -> Tensor:
    """Uniform noise that stands for n examples: (n, *shape)."""
    if isinstance(spec, ImageSpec):
        return streams.uniform(n, *spec.shape, device=device)
    return columns.noise(n, spec.dims, device)


def draw(
    stepper: Stepper,
    order: Sequence[int],
    u: Tensor,
    dtype: torch.dtype,
    given: Tensor | None = None,
    known: Tensor | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """Walks the stepper in order: see `Autoregressive.sample_from_noise`. dtype: of an example"""
    by_place = _by_place(u)  # (places, n, C)
    places, n, colours = by_place.shape
    x = torch.zeros(by_place.shape, dtype=dtype, device=u.device)
    kept, full = None, [False] * places
    if given is not None and known is not None:
        kept = _by_place(known.expand(u.shape))
        x = torch.where(kept, _by_place(given).to(dtype), x)
        full = kept.flatten(1).all(1).tolist()
    for t, p in enumerate(watched(order, "drawing pixels" if u.ndim > 2 else "drawing columns")):
        pixel = x[p]  # (n, C), a view
        if full[p]:
            stepper.conditional(t, colours - 1, pixel)
            stepper.observe(t, pixel)
            continue
        for c in range(colours):
            conditional = at_temperature(stepper.conditional(t, c, pixel), temperature)
            drawn = conditional.icdf(by_place[p, :, c].view(conditional.shape)).view(n)
            if kept is not None:
                drawn = torch.where(kept[p, :, c], pixel[:, c], drawn)
            pixel[:, c] = drawn
        stepper.observe(t, pixel)
    return _from_places(x, u.shape)


def at_temperature(p: ElementDistribution, temperature: float) -> ElementDistribution:
    """p(x)^(1 / temperature), normalised; p itself at 1.

    Raises PthetaError where p has no logits over its values.
    """
    if temperature == 1.0:
        return p
    if isinstance(p, HasLogits):
        return p.tempered(temperature)
    raise PthetaError(
        "this model cannot sample at a temperature: it samples mixtures of densities, which "
        "have no logits over values; train with a categorical likelihood, or fewer levels"
    )


def late(known: Tensor, order: Sequence[int]) -> Tensor:
    """Which known elements follow an unknown one in the order: see `capabilities.InOrder`."""
    where = torch.tensor(order, device=known.device)
    by_place = _by_place(known)[where].transpose(0, 1)  # (B, places, C), as they are drawn
    after_unknown = by_place & (~by_place).flatten(1).cumsum(1).bool().view(by_place.shape)
    found = torch.zeros_like(by_place)
    found[:, where] = after_unknown
    return _from_places(found.transpose(0, 1), known.shape)


def repeated(
    k: int, x: Tensor, known: Tensor, condition: Condition | None
) -> tuple[Tensor, Tensor, Condition | None]:
    """k copies of each, one after the other: of examples, of what is known of them, of labels."""
    y = None if condition is None else copies(condition, k)
    once = [1] * (x.ndim - 1)
    return x.repeat(k, *once), known.repeat(k, *once), y


def agreement(p: ElementDistribution, x: Tensor, known: Tensor) -> Tensor:
    """log of the product of p(x_i | x_<i) over the known elements alone: (B,) nats.

    Over completions drawn from the other conditionals, the mean of its exponential is p(known).
    """
    return (p.log_prob(x) * known).flatten(1).sum(1)


def resampled(candidates: Tensor, log_weights: Tensor) -> Tensor:
    """One candidate of each example, drawn in proportion to its weight.

    candidates: (K, B, ...); log_weights: (K, B) -> (B, ...)
    """
    chosen = streams.categorical(log_weights.t())
    return candidates[chosen, torch.arange(len(chosen), device=chosen.device)]


def _by_place(x: Tensor) -> Tensor:
    """(n, C, H, W) -> (H * W, n, C), contiguous: a pixel of all images is one block. (n, D) ->
    (D, n, 1)"""
    flat = x.flatten(2) if x.ndim > 2 else x[:, None]  # (n, C, places)
    return flat.permute(2, 0, 1).contiguous()


def _from_places(x: Tensor, shape: torch.Size) -> Tensor:
    """The inverse: (places, n, C) -> the shape of examples."""
    return x.permute(1, 2, 0).reshape(shape).contiguous()
