"""Conversion of LaTeX `math` blocks to MathML, which browsers render without scripts."""

from __future__ import annotations

from latex2mathml.converter import convert


def math(
    source: str, language: str, css_class: str, options: object, md: object, **more: object
) -> str:
    """Convert a block of formulas, one per line, to MathML; a `formatter` of superfences."""
    formulas = [line.strip().removesuffix(r"\\") for line in source.splitlines() if line.strip()]
    return "".join(f'<div class="formula">{mathml(one)}</div>' for one in formulas)


def mathml(latex: str) -> str:
    """Convert a LaTeX formula to MathML. Raises an error of latex2mathml if it is invalid."""
    return str(convert(latex, display="block"))
