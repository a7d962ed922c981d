"""Units of captions (words or characters), by name: `UNITS`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, TypeAlias

from ptheta.config import Entry, OneOf

WORD = re.compile(r"\w+|[^\w\s]")
CLOSING = re.compile(r" ([,.;:!?)\]}])")  # punctuation without a space before it
OPENING = re.compile(r"([(\[{]) ")  # punctuation without a space after it
INSIDE = re.compile(r"(?<=\w) (['’-]) (?=\w)")  # punctuation inside a word


SPELT = frozenset(map(chr, range(0xE0020, 0xE0080)))  # tags after a flag
LOOKS = frozenset(map(chr, range(0xFE00, 0xFE10)))  # variation selectors


@dataclass(frozen=True)
class Unit(Entry):
    """A unit of captions.

    split: splits a lower-case text with composed accents into tokens; join: the inverse
    one: the name of one token
    most: maximum number of tokens of a caption
    """

    split: Callable[[str], list[str]]
    join: Callable[[Sequence[str]], str]
    one: str
    most: int


@cache
def _seen(letter: str) -> str:
    """The visible part of a character. Controls and zero-width spaces separate words; layout marks,
    such as of the writing direction, and variation selectors are dropped, except for the characters
    that spell the name of a flag."""
    kind = unicodedata.category(letter)
    if kind == "Cc" or letter == "\u200b":
        return " "
    if (kind == "Cf" and letter not in SPELT) or letter in LOOKS:
        return ""
    return letter


def seen(text: str) -> str:
    """The text without invisible characters."""
    return text if text.isascii() and text.isprintable() else "".join(map(_seen, text))


def words(text: str) -> list[str]:
    """The words and punctuation of a text. A combining mark, such as a vowel sign of Devanagari,
    belongs to its word."""
    if text.isascii():
        return WORD.findall(text)
    found: list[str] = []
    inside = False
    for letter in text:
        mark = unicodedata.category(letter).startswith("M") or letter in SPELT
        part = letter.isalnum() or letter == "_" or mark
        if (part and inside) or (mark and found):
            found[-1] += letter
        elif not letter.isspace():
            found.append(letter)
        inside = part
    return found


def sentence(tokens: Sequence[str]) -> str:
    """Join words and punctuation with the usual spaces."""
    text = " ".join(tokens)
    for signs in (CLOSING, OPENING, INSIDE):
        text = signs.sub(r"\1", text)
    return text


def characters(text: str) -> list[str]:
    """The characters of a text; words are separated by one space."""
    return list(" ".join(text.split()))


UNITS: dict[str, Unit] = {
    "words": Unit(words, sentence, "word", 128, about="words and punctuation"),
    "characters": Unit(
        characters, "".join, "character", 512, about="single characters, for scripts without spaces"
    ),
}

TextUnit: TypeAlias = Annotated[str, OneOf(UNITS)]


def tokens_of(text: str, unit: Unit) -> list[str]:
    """The tokens of a text, normalised in case, accents and invisible characters."""
    return unit.split(unicodedata.normalize("NFC", seen(text)).lower())
