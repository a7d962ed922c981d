"""Raw columns of a source, before their kinds are inferred."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptheta.data.labels import natural
from ptheta.data.names import shown

MISSING = frozenset(("", "na", "n/a", "nan", "null"))  # in small letters
DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T]\d{1,2}:.*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}( \d{1,2}:.*)?"
)
DATES = "dates: store numbers instead, such as days since the first"


@dataclass(frozen=True)
class RawColumn:
    """A column of a source.

    cells: float64 (N,): numbers, or positions in `words`; NaN where a cell is missing
    words: the different words in it, in the order of `natural`; () for numbers
    whole: whether the source declares whole numbers; None where it only has the numbers
    fault: why it can be no column of vectors, as the end of "holds ..."; "" where it can
    """

    name: str
    cells: NDArray[np.float64]
    words: tuple[str, ...] = ()
    whole: bool | None = None
    fault: str = ""

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def there(self) -> np.ndarray:
        """Which cells are not missing: bool (N,)."""
        return ~np.isnan(self.cells)

    def as_words(self) -> RawColumn:
        """The same, with each number as a word of its own."""
        if self.words or not self.there.any():
            return self
        numbers, number = np.unique(self.cells[self.there], return_inverse=True)
        return self.coded([plain(float(x)) for x in numbers], number)

    def coded(self, words: Sequence[str], number: np.ndarray) -> RawColumn:
        """The same with these words in the cells that are not missing. number: of the word"""
        ordered = sorted(words, key=natural)
        position = {word: i for i, word in enumerate(ordered)}
        cells = np.full(len(self), np.nan)
        cells[self.there] = np.array([position[word] for word in words], np.float64)[number]
        return RawColumn(self.name, cells, tuple(ordered))

    def values(self) -> list[str | None] | np.ndarray:
        """Every cell as a label: a number, or a word and None."""
        if not self.words:
            return self.cells
        words = [*self.words, None]
        return [words[k] for k in np.where(self.there, self.cells, -1).astype(np.int64)]


def of_texts(name: str, codes: np.ndarray, texts: Iterable[str]) -> RawColumn:
    """A column of words. codes: int (N,), indices of the distinct `texts`; -1 for a missing cell,
    including texts such as those in `MISSING`"""
    words = [shown(text.strip()) for text in texts]
    kept = [word for word in dict.fromkeys(words) if not is_missing(word)]
    ordered = sorted(kept, key=natural)
    position = {word: float(i) for i, word in enumerate(ordered)}
    numbers = np.array([*(position.get(word, np.nan) for word in words), np.nan])
    fault = DATES if ordered and all(DATE.fullmatch(word) for word in ordered) else ""
    return RawColumn(name, numbers[codes], tuple(ordered), fault=fault)


def is_missing(text: str) -> bool:
    """Whether a text denotes a missing cell."""
    return text.strip().casefold() in MISSING


def plain(number: float) -> str:
    """A number as a word."""
    return str(int(number)) if number.is_integer() else repr(number)
