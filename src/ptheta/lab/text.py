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
INSIDE = r"\{([^{}]*)\}"
TYPED = [  # what a formula becomes in a line of text, in this order
    (re.compile(r"\\(?:left|right)(?![a-z])"), ""),
    (re.compile(r"\\(?:,|;|q?quad(?![a-z]))"), " "),
    (re.compile(r"\\(?:mathrm|mathcal|text)" + INSIDE), r"\1"),
    (re.compile(r"\\t?frac(\w)(\w)"), r"\1/\2"),
    (re.compile(r"([_^])\{(\w*)\}"), r"\1\2"),
    (re.compile(r"([_^])" + INSIDE), r"\1(\2)"),
    (re.compile(r"\\sqrt" + INSIDE), r"sqrt(\1)"),
    (re.compile(r"\\t?frac" + INSIDE + INSIDE), r"(\1)/(\2)"),
    (re.compile(r"\\(?:hat|tilde) *(\\?[A-Za-z]+)"), r"\1"),
    (re.compile(r"\\le(?![a-z])"), "<="),
    (re.compile(r"\\ge(?![a-z])"), ">="),
    (re.compile(r"\\cdot(?![a-z])"), "*"),
]
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
    return PIECE.sub(lambda match: spoken(match.group(1)) if match.group(1) else match[2], text)


def spoken(latex: str) -> str:
    """A formula as it is typed into a line of text: KL(q, p), sqrt(1 + eta^2), 1/2 r (r + 1)."""
    before = ""
    while latex != before:  # arguments may be nested
        before = latex
        for pattern, to in TYPED:
            latex = pattern.sub(to, latex)
    return " ".join(latex.replace("\\", "").split())


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
