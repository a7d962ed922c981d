"""Text: a caption, as numbers of words or of characters."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from ptheta.batch import Condition
from ptheta.conditions.base import check_names, tensor_of
from ptheta.conditions.units import UNITS, Unit, tokens_of
from ptheta.config import brief
from ptheta.data.offers import Offers
from ptheta.errors import PthetaError, unknown

if TYPE_CHECKING:
    from ptheta.data.dataset import Dataset

MOST_WORDS = 20_000  # maximum size of a vocabulary: the most frequent words
SHOWN = 8  # example captions kept for sample grids
PADDING = 0
MOST_NAMED = 5  # maximum number of unknown words in a message


@dataclass(frozen=True)
class Text:
    """A caption as tokens, int64 (B, length).

    Token 0 is padding, k + 1 is word k of the vocabulary, and the last token stands for unknown
    words.

    Attributes:
        vocabulary: the words, most frequent first.
        length: maximum number of words of a caption; the rest is cut off.
        captions: some captions of the data, for sample grids.
        unit: unit of a "word": a name of `ptheta.conditions.units.UNITS`.
    """

    vocabulary: tuple[str, ...]
    length: int
    captions: tuple[str, ...] = ()
    unit: str = "words"
    kind: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        check_names(self.vocabulary, "vocabulary")
        if self.unit not in UNITS:
            raise unknown("unit of text", self.unit, UNITS)
        if not 0 < self.length <= self._unit.most:
            raise PthetaError(f"text of {self.length} {self.unit}: want 1 to {self._unit.most}")

    def __len__(self) -> int:
        return len(self.vocabulary)

    @property
    def count(self) -> int:
        return len(self.captions or self.vocabulary)

    @property
    def size(self) -> int:
        return len(self.vocabulary)

    @property
    def tokens(self) -> int:
        """Number of distinct tokens: padding, the words, and the unknown word."""
        return len(self.vocabulary) + 2

    @property
    def _unit(self) -> Unit:
        return UNITS[self.unit]

    @cached_property
    def _position(self) -> dict[str, int]:
        return {word: i + 1 for i, word in enumerate(self.vocabulary)}

    def split(self, text: str) -> list[str]:
        """The words of a text, known or not."""
        return tokens_of(text, self._unit)

    def check(self, condition: Condition) -> Condition:
        tokens = tensor_of(condition, self.kind)
        wanted = tokens.ndim == 2 and tokens.shape[1] == self.length and tokens.dtype == torch.int64
        if not wanted:
            raise PthetaError(
                f"text of type {tokens.dtype} and shape {tuple(tokens.shape)}: want int64 "
                f"(B, {self.length})"
            )
        if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < self.tokens:
            raise PthetaError(f"text contains an unknown token: want 0 to {self.tokens - 1}")
        return tokens

    def encode(self, texts: list[str]) -> Tensor:
        """Captions -> int64 (B, length). Words outside the vocabulary get the unknown token."""
        rows = np.full((len(texts), self.length), PADDING, dtype=np.int64)
        for row, text in zip(rows, texts, strict=True):
            words = self.split(text)[: self.length]
            row[: len(words)] = [self._position.get(w, self.tokens - 1) for w in words]
        return torch.from_numpy(rows)

    def parse(self, text: str) -> Condition:
        """Raise PthetaError for an empty text, one that is too long, or unknown words."""
        words = self.split(text)
        if not 0 < len(words) <= self.length:
            why = f"has {len(words):,} {self.unit}" if words else "is empty"
            raise PthetaError(
                f"caption {brief(text)!r} {why}: give 1 to {self.length} {self.unit}, like the "
                "captions of the training data"
            )
        strange = list(dict.fromkeys(w for w in words if w not in self._position))
        if strange:
            raise PthetaError(self._strange(strange))
        return self.encode([text])

    def _strange(self, words: list[str]) -> str:
        """The error message for words that are not in the training captions."""
        first = str(unknown(self._unit.one, brief(words[0]), map(brief, self.vocabulary)))
        others = ", ".join(repr(brief(word)) for word in words[1:MOST_NAMED])
        more = f" and {len(words) - MOST_NAMED:,} more" if len(words) > MOST_NAMED else ""
        return f"{first}; also unknown: {others}{more}" if others else first

    def examples(self, n: int, start: int = 0) -> Condition:
        """Captions of the data in turn, or without captions single words in turn."""
        shown = self.captions or self.vocabulary
        return self.encode([shown[i % len(shown)] for i in range(start, start + n)])

    def describe(self, condition: Condition) -> list[str]:
        known = ("", *self.vocabulary, "?")
        rows = tensor_of(condition, self.kind).tolist()
        return [self._unit.join([known[k] for k in row if k != PADDING]) for row in rows]

    def vector(self, condition: Condition) -> Tensor:
        """Word counts of the captions, per word of the vocabulary."""
        tokens = tensor_of(condition, self.kind)
        counts = torch.zeros(len(tokens), self.tokens, device=tokens.device)
        counts.scatter_add_(1, tokens, torch.ones_like(tokens, dtype=counts.dtype))
        return counts[:, 1:-1].to(torch.get_default_dtype())

    @classmethod
    def of_data(cls, data: Dataset, source: str, unit: str = "words") -> Text:
        """The vocabulary of training captions. Raises PthetaError if there are none.

        unit: see `Text`
        """
        captions = data.caption_texts()
        if captions is None:
            raise PthetaError(
                f"{source} has no captions (it offers {Offers.of(data)}), and the model is "
                "conditional on text: give data with captions (such as a .txt next to each image), "
                "or train an unconditional model"
            )
        reading = UNITS[unit]
        split = {caption: tokens_of(caption, reading)[: reading.most] for caption in captions}
        counts = Counter(word for caption in captions for word in split[caption])
        if not counts:
            raise PthetaError(
                f"the captions of {source} contain no {reading.one}: give other captions"
            )
        longest = max(map(len, split.values()))
        frequent = sorted(counts, key=lambda word: (-counts[word], word))
        # a caption that is too long is cut off
        texts = (c if len(w) < reading.most else reading.join(w) for c, w in split.items() if w)
        every = tuple(dict.fromkeys(texts))
        few = min(SHOWN, len(every))
        some = tuple(every[i * len(every) // few] for i in range(few))  # spread over the data
        return cls(tuple(frequent[:MOST_WORDS]), longest, some, unit)

    def take(self, data: Dataset, rows: np.ndarray) -> Condition | None:
        if data.captions is None:
            return None
        return self.encode([data.caption(row) for row in rows.tolist()])

    def adapted(self, data: Dataset) -> Dataset:
        return replace(data, condition=self, notes=(*data.notes, *self._notes(data)))

    def _notes(self, data: Dataset) -> list[str]:
        """Warnings about captions that are empty, cut off, or all identical."""
        counts = Counter(data.caption_texts() or ())
        lengths = {text: len(self.split(text)) for text in counts}
        empty = sum(n for text, n in counts.items() if not lengths[text])
        cut = sum(n for text, n in counts.items() if lengths[text] > self.length)
        alike = len({tuple(self.split(text)) for text in counts}) == 1 < counts.total()
        said = {
            f"are empty: they contain no {self._unit.one}": empty,
            f"are longer than {self.length} {self.unit}: the rest is cut off": cut,
        }
        notes = [f"{n:,} of {counts.total():,} captions {what}" for what, n in said.items() if n]
        if alike and data.split == "train":
            notes.append(
                f"all {counts.total():,} captions are identical: the model cannot learn to use them"
            )
        return notes

    def to_json(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "vocabulary": list(self.vocabulary),
            "length": self.length,
            "captions": list(self.captions),
            "unit": self.unit,
        }
