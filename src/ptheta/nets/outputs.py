"""Output layers of generators, including categories.

An argmax over the words of a category has no gradient: the entries of `CATEGORY_OUTPUTS` are
differentiable replacements.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ptheta.compute import streams
from ptheta.config import Entry, OneOf, Positive, option
from ptheta.specs import DataSpec, VectorSpec


@dataclass(frozen=True)
class CategoryOutput(Entry):
    """make(logits, noise, temperature): logits (B, K) and standard Gumbel noise (B, K) -> (B, K),
    which sum to one, differentiable in the logits"""

    make: Callable[[Tensor, Tensor, float], Tensor]


def softmax(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """The probabilities themselves: no word is drawn."""
    return (logits / temperature).softmax(1)


def gumbel(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """softmax((logits + noise) / temperature), whose largest number is a draw of softmax(logits):
    Jang et al. 2017, eq. 2 (arXiv:1611.01144)."""
    return ((logits + noise) / temperature).softmax(1)


def straight_through(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """The word that is drawn, one-hot, with the gradient of `gumbel` (section 2.2)."""
    soft = gumbel(logits, noise, temperature)
    return one_hot(soft.argmax(1), soft.shape[1]).to(soft.dtype) + soft - soft.detach()


CATEGORY_OUTPUTS: dict[str, CategoryOutput] = {
    "softmax": CategoryOutput(softmax, about="probabilities"),
    "gumbel": CategoryOutput(gumbel, about="Gumbel-softmax samples, nearly one-hot (1611.01144)"),
    "straight_through": CategoryOutput(
        straight_through, about="one-hot, with the gradient of gumbel"
    ),
}


CategoryOutputName: TypeAlias = Annotated[str, OneOf(CATEGORY_OUTPUTS)]


@dataclass(frozen=True)
class OutputConfig:
    category_output: CategoryOutputName = option(
        "gumbel", "differentiable output for categories in training (tables)"
    )
    category_temperature: Positive = option(
        0.2, "temperature of that softmax; lower is closer to one-hot (1907.00503)"
    )


def gumbel_noise(like: Tensor) -> Tensor:
    """-log(-log U), U uniform, for each number of (B, K)."""
    least = torch.finfo(like.dtype).tiny
    return -(-streams.uniform_like(like).clamp(min=least).log()).clamp(min=least).log()


class Output(nn.Module, ABC):
    """Network outputs (B, *scaled_shape) as examples of a spec in network scale."""

    if TYPE_CHECKING:  # torch leaves the type of its call open

        def __call__(self, made: Tensor, drawn: bool = True) -> Tensor: ...

    @abstractmethod
    def forward(self, made: Tensor, drawn: bool = True) -> Tensor:
        """drawn: whether the words of categories are drawn; otherwise they are the most probable"""


class ImageOutput(Output):
    """In [-1, 1]."""

    def forward(self, made: Tensor, drawn: bool = True) -> Tensor:
        return torch.tanh(made)


class VectorOutput(Output):
    """Numbers as they are; of the words of each category numbers that sum to one."""

    def __init__(self, spec: VectorSpec, kind: CategoryOutput, temperature: float) -> None:
        super().__init__()
        self.spec, self.kind, self.temperature = spec, kind, temperature

    def forward(self, made: Tensor, drawn: bool = True) -> Tensor:
        if not self.spec.categories:
            return made
        noise = gumbel_noise(made) if drawn else torch.zeros_like(made)
        parts = zip(self.spec.columns, self.spec.split(made), self.spec.split(noise), strict=True)
        return torch.cat(
            [
                self.kind.make(part, extra, self.temperature) if column.values else part
                for column, part, extra in parts
            ],
            1,
        )


def output(spec: DataSpec, config: OutputConfig) -> Output:
    """The end of a network that makes examples of this spec."""
    if not isinstance(spec, VectorSpec):
        return ImageOutput()
    kind = CATEGORY_OUTPUTS[config.category_output]
    return VectorOutput(spec, kind, config.category_temperature)
