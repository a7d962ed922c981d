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
CLOSING = re.compile(r" ([,.;:!?)\]}])")  # signs that follow a word without a space
OPENING = re.compile(r"([(\[{]) ")  # and those that a word follows so
INSIDE = re.compile(r"(?<=\w) (['’-]) (?=\w)")  # and those inside a word


SPELT = frozenset(map(chr, range(0xE0020, 0xE0080)))  # letters of the name of a flag, behind one
LOOKS = frozenset(map(chr, range(0xFE00, 0xFE10)))  # such as of a heart, in colour or in ink


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
    """A text without its invisible characters."""
    return text if text.isascii() and text.isprintable() else "".join(map(_seen, text))


def words(text: str) -> list[str]:
    """The words and signs of a text. A mark that changes a letter, such as a vowel sign of
    Devanagari, belongs to its word."""
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
    """Words and signs as a text, with the spaces that are usual."""
    text = " ".join(tokens)
    for signs in (CLOSING, OPENING, INSIDE):
        text = signs.sub(r"\1", text)
    return text


def characters(text: str) -> list[str]:
    """The letters of a text; what separates words is one space."""
    return list(" ".join(text.split()))


UNITS: dict[str, Unit] = {
    "words": Unit(words, sentence, "word", 128, about="words and punctuation"),
    "characters": Unit(
        characters, "".join, "character", 512, about="single characters, for scripts without spaces"
    ),
}

TextUnit: TypeAlias = Annotated[str, OneOf(UNITS)]


def tokens_of(text: str, unit: Unit) -> list[str]:
    """The tokens of a text, whatever its case, however its accents are written, and whatever in it
    is not seen."""
    return unit.split(unicodedata.normalize("NFC", seen(text)).lower())
