"""Caption encoders, by name: `ENCODERS`.

All are trained from scratch on the captions of the training data, and are independent of padding.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ptheta.conditions.text import PADDING, Text
from ptheta.config import Entry, OneOf
from ptheta.errors import unknown
from ptheta.nets.attention import AttentionLayer
from ptheta.nets.modules import Modules

HEADS = 4  # of attention, at most
LAYERS = 2  # of attention, and of convolutions
KERNEL = 3  # tokens that a convolution sees
LONGEST_WAVE = 10_000.0  # tokens


class Encoded(NamedTuple):
    """Embeddings of captions.

    sentence: (B, W), embedding of each caption
    words: (B, T, W), embedding of each token; 0 for padding
    there: bool (B, T), False for padding
    """

    sentence: Tensor
    words: Tensor
    there: Tensor


class TextEncoder(nn.Module, ABC):
    """Tokens int64 (B, T) -> `Encoded`. To be extended by `read`.

    A word that is unknown is 0 as long as training has none.
    """

    def __init__(self, condition: Text, width: int) -> None:
        super().__init__()
        self.width = width
        self.embed = nn.Embedding(condition.tokens, width, padding_idx=PADDING)
        with torch.no_grad():
            self.embed.weight[-1].zero_()
        self.norm = nn.LayerNorm(width)

    @abstractmethod
    def read(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """Embedded tokens (B, T, W), 0 behind the end -> sentence (B, W) and words (B, T, W)."""

    def forward(self, tokens: Tensor) -> Encoded:
        there = tokens != PADDING
        sentence, words = self.read(self.embed(tokens), there)
        return Encoded(self.norm(sentence), words * there[..., None], there)

    if TYPE_CHECKING:

        def __call__(self, tokens: Tensor) -> Encoded: ...


def mean_of(words: Tensor, there: Tensor) -> Tensor:
    """The mean over the tokens that are there: (B, T, W) -> (B, W); 0 of an empty caption."""
    weights = there.to(words.dtype)[..., None]
    return (words * weights).sum(1) / weights.sum(1).clamp_min(1)


class Bag(TextEncoder):
    """The words without their order: the mean of what each of them is by itself."""

    def read(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        return mean_of(x, there), x


class GRU(TextEncoder):
    """A gated recurrent network (Cho et al. 2014, arXiv:1406.1078) in both directions; the sentence
    is what each of them ends with."""

    def __init__(self, condition: Text, width: int) -> None:
        super().__init__(condition, width)
        half = math.ceil(width / 2)  # of an odd width, the last number is left out
        self.gru = nn.GRU(width, half, batch_first=True, bidirectional=True)

    def read(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        # an empty caption has one neutral token, since a sequence needs at least one
        lengths = there.sum(1).clamp_min(1).cpu()
        self.gru.flatten_parameters()  # a copy of a model lies in pieces, which is slow on a GPU
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, last = self.gru(packed)
        words, _ = pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])
        return last.transpose(0, 1).flatten(1)[:, : self.width], words[..., : self.width]


class Convolutions(TextEncoder):
    """Convolutions over neighbouring tokens; the sentence is the largest of each number (Kim 2014,
    arXiv:1408.5882)."""

    def __init__(self, condition: Text, width: int) -> None:
        super().__init__(condition, width)
        self.layers = Modules(
            nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2) for _ in range(LAYERS)
        )

    def read(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        maps, seen = x.transpose(1, 2), there[:, None]
        for layer in self.layers:
            maps = F.leaky_relu(layer(maps), 0.2) * seen
        largest = maps.masked_fill(~seen, -math.inf).amax(2)
        sentence = largest.masked_fill(~there.any(1)[:, None], 0)
        return sentence, maps.transpose(1, 2)


class Transformer(TextEncoder):
    """Self-attention among all tokens (Vaswani et al. 2017, arXiv:1706.03762); the sentence is the
    mean. Places are waves, so that a place no training caption reached means something."""

    def __init__(self, condition: Text, width: int) -> None:
        super().__init__(condition, width)
        heads = math.gcd(width, HEADS)
        self.layers = Modules(AttentionLayer(width, heads) for _ in range(LAYERS))
        self.register_buffer("places", waves(condition.length, width), persistent=False)

    places: Tensor

    def read(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        seen = there.clone()
        seen[:, 0] = True  # of an empty caption, since attention needs one
        length = x.shape[1]
        places = self.places if length == len(self.places) else waves(length, self.width).to(x)
        x = x + places.to(x.dtype)
        for layer in self.layers:
            x = layer(x, seen[:, None, None])
        return mean_of(x, there), x


def waves(length: int, width: int) -> Tensor:
    """Sines and cosines of each place, of wavelengths from 2 pi tokens on: (length, width)."""
    places = torch.arange(length, dtype=torch.float64)[:, None]
    rates = LONGEST_WAVE ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = places * rates
    both = torch.stack([angles.sin(), angles.cos()], 2).flatten(1)
    return both[:, :width].to(torch.get_default_dtype())


@dataclass(frozen=True)
class Encoder(Entry):
    """build: (condition, numbers of a sentence and of a word) -> network"""

    build: Callable[[Text, int], TextEncoder]


ENCODERS: dict[str, Encoder] = {
    "bag": Encoder(Bag, about="bag of words: word counts, without order"),
    "gru": Encoder(GRU, about="bidirectional GRU (1406.1078)"),
    "conv": Encoder(Convolutions, about="convolutions over neighbouring words (1408.5882)"),
    "transformer": Encoder(Transformer, about="self-attention (1706.03762)"),
}

TextEncoderName: TypeAlias = Annotated[str, OneOf(ENCODERS)]


def new_encoder(condition: Text, name: str, width: int) -> TextEncoder:
    """A new encoder of captions of this condition: tokens int64 (B, T) -> `Encoded`.

    width: numbers of a sentence and of a word. Raises PthetaError for the name of no entry.
    """
    if name not in ENCODERS:
        raise unknown("text_encoder", name, ENCODERS)
    return ENCODERS[name].build(condition, width)
