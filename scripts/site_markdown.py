"""Formulas of the site: blocks of `math`, in LaTeX as a code host reads them, become MathML, which
browsers draw by themselves."""

from __future__ import annotations

from latex2mathml.converter import convert


def math(
    source: str, language: str, css_class: str, options: object, md: object, **more: object
) -> str:
    """A block of formulas, one a line, as MathML; a `formatter` of superfences."""
    formulas = [line.strip().removesuffix(r"\\") for line in source.splitlines() if line.strip()]
    return "".join(f'<div class="formula">{mathml(one)}</div>' for one in formulas)


def mathml(latex: str) -> str:
    """Raises an error of latex2mathml for what is not LaTeX."""
    return str(convert(latex, display="block"))
