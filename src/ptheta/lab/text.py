"""Text with formulas as HTML: LaTeX becomes MathML, which browsers draw without a network."""

from __future__ import annotations

import re
from functools import cache

from latex2mathml.converter import convert
from markupsafe import Markup, escape

PIECE = re.compile(r"\$([^$]+)\$|`([^`]+)`")
FUNCTION = re.compile(
    r"(</mi>|</mn>|</msub>|</mrow>|&#x00029;</mo>)?<mi>(log|exp)</mi>(<mo|<mrow><mo)?"
)
SPACE = "0.167em"  # a thin space, as LaTeX sets it next to the name of a function


def inline(text: str) -> Markup:
    """A line of text, in which `$...$` is a formula and backticks mark code."""
    found, end = Markup(), 0
    for match in PIECE.finditer(text):
        found += escape(text[end : match.start()])
        latex, code = match.groups()
        found += formula(latex) if latex else Markup("<code>{}</code>").format(command(code))
        end = match.end()
    return found + escape(text[end:])


def plain(text: str) -> str:
    """The same without marks, for terminals and labels."""
    return PIECE.sub(lambda match: match.group(1) or match.group(2), text)


@cache
def formula(latex: str, *, block: bool = False) -> Markup:
    """LaTeX as a `<math>` element."""
    return Markup(FUNCTION.sub(_function, convert(latex, display="block" if block else "inline")))


def _function(match: re.Match[str]) -> str:
    """The name of a function as an operator, apart from what stands beside it but a bracket."""
    before, name, bracket = match.groups(default="")
    left, right = SPACE if before else "0", "0" if bracket else SPACE
    return f'{before}<mo form="prefix" lspace="{left}" rspace="{right}">{name}</mo>{bracket}'


def command(text: str) -> Markup:
    """A command whose words are not broken at their hyphens (`--out`)."""
    word = Markup('<span class="word">{}</span>')
    pieces = re.split(r"(\s+)", text)
    return Markup().join(word.format(p) if p.startswith("-") else escape(p) for p in pieces)
