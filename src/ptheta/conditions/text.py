"""Text: a caption, as numbers of words."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from ptheta.batch import Condition
from ptheta.conditions.base import check_names, tensor_of
from ptheta.data.offers import Offers
from ptheta.errors import PthetaError, unknown

if TYPE_CHECKING:
    from ptheta.data.dataset import Dataset

MOST_WORDS = 20_000  # of a vocabulary: the most frequent
MOST_LENGTH = 128  # words of a caption
SHOWN = 64  # captions that are kept to show a model with
PADDING = 0
WORD = re.compile(r"\w+|[^\w\s]")
CLOSING = re.compile(r" ([,.;:!?])")  # signs that follow a word without a space


def words_of(text: str) -> list[str]:
    """The words and signs of a text, in lower case."""
    return WORD.findall(text.lower())


@dataclass(frozen=True)
class Text:
    """A caption: int64 (B, length), 0 behind its end, k + 1 for word k of the vocabulary, and the
    number after the last for a word that is not in it.

    vocabulary: the words, the most frequent first
    length: words that are kept of a caption
    captions: some of the data's, to show a model with
    """

    vocabulary: tuple[str, ...]
    length: int
    captions: tuple[str, ...] = ()
    kind: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        check_names(self.vocabulary, "vocabulary")
        if not 0 < self.length <= MOST_LENGTH:
            raise PthetaError(f"text of {self.length} words: want 1 to {MOST_LENGTH}")

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
        """Different numbers: padding, the words, and the unknown word."""
        return len(self.vocabulary) + 2

    @cached_property
    def _position(self) -> dict[str, int]:
        return {word: i + 1 for i, word in enumerate(self.vocabulary)}

    def check(self, condition: Condition) -> Condition:
        tokens = tensor_of(condition, self.kind)
        wanted = tokens.ndim == 2 and tokens.shape[1] == self.length and tokens.dtype == torch.int64
        if not wanted:
            raise PthetaError(
                f"text of type {tokens.dtype} and shape {tuple(tokens.shape)}: want int64 "
                f"(B, {self.length})"
            )
        if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < self.tokens:
            raise PthetaError(f"text holds a number that is no word: want 0 to {self.tokens - 1}")
        return tokens

    def encode(self, texts: list[str]) -> Tensor:
        """Captions -> int64 (B, length). A word that is not in the vocabulary is unknown."""
        rows = np.full((len(texts), self.length), PADDING, dtype=np.int64)
        for row, text in zip(rows, texts, strict=True):
            numbers = [
                self._position.get(w, self.tokens - 1) for w in words_of(text)[: self.length]
            ]
            row[: len(numbers)] = numbers
        return torch.from_numpy(rows)

    def parse(self, text: str) -> Condition:
        """Raises PthetaError for a text without words, one that is too long, or an unknown word."""
        words = words_of(text)
        if not 0 < len(words) <= self.length:
            raise PthetaError(f"caption {text!r}: want 1 to {self.length} words, not {len(words)}")
        strange = next((word for word in words if word not in self._position), None)
        if strange is not None:
            raise unknown("word", strange, self.vocabulary)
        return self.encode([text])

    def examples(self, n: int, start: int = 0) -> Condition:
        """Captions of the data in turn, or one word alone after the other."""
        shown = self.captions or self.vocabulary
        return self.encode([shown[i % len(shown)] for i in range(start, start + n)])

    def describe(self, condition: Condition) -> list[str]:
        known = ("", *self.vocabulary, "?")
        rows = tensor_of(condition, self.kind).tolist()
        texts = [" ".join(known[k] for k in row if k != PADDING) for row in rows]
        return [CLOSING.sub(r"\1", text) for text in texts]

    def vector(self, condition: Condition) -> Tensor:
        """How often each word of the vocabulary stands in the caption."""
        tokens = tensor_of(condition, self.kind)
        counts = torch.zeros(len(tokens), self.tokens, device=tokens.device)
        counts.scatter_add_(1, tokens, torch.ones_like(tokens, dtype=counts.dtype))
        return counts[:, 1:-1].to(torch.get_default_dtype())

    @classmethod
    def of_data(cls, data: Dataset, source: str) -> Text:
        """The vocabulary of training captions. Raises PthetaError where there are none."""
        captions = data.caption_texts()
        if captions is None:
            raise PthetaError(
                f"{source} has no captions (it offers {Offers.of(data)}), and the model is "
                "conditional on text: give data with captions (such as a .txt beside each image), "
                "or leave out --condition text"
            )
        split = [words_of(caption) for caption in captions]
        counts = Counter(word for words in split for word in words)
        if not counts:
            raise PthetaError(f"the captions of {source} hold no word: give others")
        longest = max(len(words) for words in split)
        frequent = sorted(counts, key=lambda word: (-counts[word], word))
        some = tuple(dict.fromkeys(captions))[:SHOWN]
        return cls(tuple(frequent[:MOST_WORDS]), min(longest, MOST_LENGTH), some)

    def take(self, data: Dataset, rows: np.ndarray) -> Condition | None:
        if data.captions is None:
            return None
        return self.encode([str(data.captions[int(row)]) for row in rows])

    def adapted(self, data: Dataset) -> Dataset:
        return replace(data, condition=self)

    def to_json(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "vocabulary": list(self.vocabulary),
            "length": self.length,
            "captions": list(self.captions),
        }
