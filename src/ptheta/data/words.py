"""Words for the numbers of an attribute: 0 is red, 1 is orange."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from ptheta.data.names import some_of
from ptheta.errors import PthetaError

NONE = "none"  # the word for a missing property, such as the colour of an absent object
Words = Mapping[str, float]  # the number of each word; the first is the default


def numbered(words: Iterable[str], first: int = 0) -> dict[str, float]:
    """Words for the numbers first, first + 1, ..."""
    return {word: float(number) for number, word in enumerate(words, first)}


def word_of(number: float, words: Words) -> str:
    """The word for a number; its digits if there is none. Numbers that agree in six digits are
    equal."""
    return _by_digits(words).get(f"{number:g}", f"{number:g}")


def meant(text: str, words: Words) -> str:
    """The word for a user's text, which may be a number (1.0 as 1); other texts unchanged."""
    if text in words:
        return text
    try:
        return word_of(float(text), words)
    except ValueError:
        return text


def occurring(column: np.ndarray, words: Words) -> list[str]:
    """The words of the numbers in a column, in the order of `words`; then numbers without one."""
    there = [word_of(value, words) for value in np.unique(column[~np.isnan(column)]).tolist()]
    return [word for word in words if word in there] + [w for w in there if w not in words]


def check_words(name: str, attributes: Collection[str], values: Mapping[str, Words]) -> None:
    """Raise PthetaError for words of an unknown attribute, or words without or with equal numbers.

    name: name of the data
    """
    for attribute, words in values.items():
        if attribute not in attributes:
            raise PthetaError(
                f"{name}: attribute_values names {attribute!r}, which is not an attribute; known: "
                f"{some_of(attributes) or 'none'}"
            )
        if not words or not all(map(math.isfinite, words.values())):
            raise PthetaError(
                f"{name}: attribute_values of {attribute}: give a finite number for each word, "
                "such as {'red': 0, 'blue': 1}"
            )
        if len(_by_digits(words)) < len(words):
            raise PthetaError(
                f"{name}: attribute_values of {attribute}: two words share one number; give "
                "each a different one"
            )


def _by_digits(words: Words) -> dict[str, str]:
    return {f"{number:g}": word for word, number in words.items()}
