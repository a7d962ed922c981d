"""Text with formulas as HTML: LaTeX becomes MathML, which browsers draw without a network."""

from __future__ import annotations

import re
from functools import cache

from latex2mathml.converter import convert
from markupsafe import Markup, escape

PIECE = re.compile(r"\$([^$]+)\$|`([^`]+)`")


def inline(text: str) -> Markup:
    """A line of text, in which `$...$` is a formula and backticks mark code."""
    found, end = Markup(), 0
    for match in PIECE.finditer(text):
        found += escape(text[end : match.start()])
        latex, code = match.groups()
        found += formula(latex) if latex else Markup("<code>{}</code>").format(code)
        end = match.end()
    return found + escape(text[end:])


def plain(text: str) -> str:
    """The same without marks, for terminals and labels."""
    return PIECE.sub(lambda match: match.group(1) or match.group(2), text)


@cache
def formula(latex: str, *, block: bool = False) -> Markup:
    """LaTeX as a `<math>` element."""
    return Markup(convert(latex, display="block" if block else "inline"))
