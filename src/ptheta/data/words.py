"""What the numbers of an attribute are called: 0 is red, 1 is orange."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from ptheta.data.names import some_of
from ptheta.errors import PthetaError

NONE = "none"  # the word for what an example has none of, such as the colour of an object not there
Words = Mapping[str, float]  # the number that each word stands for; the first is the usual one


def numbered(words: Iterable[str], first: int = 0) -> dict[str, float]:
    """Words that stand for first, first + 1, ..."""
    return {word: float(number) for number, word in enumerate(words, first)}


def word_of(number: float, words: Words) -> str:
    """The word that stands for a number; its digits where none does. Numbers that agree in six
    digits are one."""
    return _by_digits(words).get(f"{number:g}", f"{number:g}")


def meant(text: str, words: Words) -> str:
    """The word for what a user typed, which may be a number, 1.0 as 1; a text that is neither as it
    is."""
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
    """Raises PthetaError for words of an attribute that is not there, or that name no numbers, or
    one number twice. name: of the data"""
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
