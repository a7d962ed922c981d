"""A condition as numbers that a network is given, or adds to its activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from ptheta.batch import Between, Condition, Together
from ptheta.conditions import ConditionSpec, Labels, Text, parts_of, text_of
from ptheta.nets.text import new_encoder
from ptheta.nets.text.options import PLAIN, TextOptions


class Vectors(Protocol):
    """An embedding of conditions: by the spec, or by a learned network.

    size: dimensions of the embedding
    """

    @property
    def size(self) -> int: ...

    def vector(self, condition: Condition) -> Tensor:
        """(B, size)"""
        ...


def blended(make: Callable[[Condition], Tensor], condition: Condition) -> Tensor:
    """`make` of a condition, (B, ...); for a condition between two, the interpolation of both."""
    if not isinstance(condition, Between):
        return make(condition)
    first, second = map(make, condition.ends())
    share = condition.share.to(first.dtype)
    return torch.lerp(first, second, share.view(-1, *(1 for _ in first.shape[1:])))


class ConditionVector(nn.Module):
    """Embedding of any condition: its vector by the spec, or for captions a learned encoder if the
    options name one.

    size: dimensions of the embedding
    """

    size: int

    def __init__(self, condition: ConditionSpec, options: TextOptions | None = None) -> None:
        super().__init__()
        self.condition, self.parts = condition, parts_of(condition)
        self.encoder, self.size = None, condition.size
        text = text_of(condition)
        if text is not None and options is not None and options.text_encoder != PLAIN:
            self.encoder = new_encoder(text, options.text_encoder, options.text_width)
            self.size += options.text_width - text.size

    def forward(self, condition: Condition) -> Tensor:
        """(B, size), of torch's default type or of the encoder's."""
        return blended(self._numbers, condition)

    def _numbers(self, condition: Condition) -> Tensor:
        if self.encoder is None:
            return self.condition.vector(condition)
        if not isinstance(condition, Together):
            return self.encoder(condition).sentence
        sentence = self.encoder(condition.parts[Text.kind]).sentence
        others = (part for part in self.parts if part.kind != Text.kind)
        vectors = [part.vector(condition.parts[part.kind]) for part in others]
        return torch.cat([*(v.to(sentence.dtype) for v in vectors), sentence], 1)

    def vector(self, condition: Condition) -> Tensor:
        return self(condition)

    if TYPE_CHECKING:

        def __call__(self, condition: Condition) -> Tensor: ...


class LabelEmbedding(nn.Embedding):
    """Labels (B,) -> (B, width): a row of a table for each."""

    def forward(self, labels: Condition) -> Tensor:
        return blended(super().forward, labels)  # type: ignore[arg-type]


class VectorEmbedding(nn.Linear):
    """A linear embedding of a condition's vector: (B, width). A zero vector adds nothing."""

    def __init__(
        self, condition: ConditionSpec, width: int, options: TextOptions | None = None
    ) -> None:
        vectors = ConditionVector(condition, options)
        super().__init__(vectors.size, width, bias=False)
        self.vectors = vectors

    def forward(self, condition: Condition) -> Tensor:
        return super().forward(self.vectors(condition).to(self.weight.dtype))


def embedding(
    condition: ConditionSpec | None, width: int, options: TextOptions | None = None
) -> nn.Module | None:
    """Conditions -> (B, width); None for an unconditional model. Labels have a table of rows.

    options: how captions are read; by default by the words that occur
    """
    if condition is None:
        return None
    if isinstance(condition, Labels):
        return LabelEmbedding(len(condition), width)
    return VectorEmbedding(condition, width, options)
