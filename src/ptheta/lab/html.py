"""A page of the lab as one HTML file: no network, and no script but that of its sliders."""

from __future__ import annotations

import re
from itertools import count
from typing import NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, select_autoescape
from markupsafe import Markup

import ptheta
from ptheta.lab.parts import Figure, Film, Number, Numbers, Page, Picture, Table
from ptheta.lab.text import command, formula, inline, plain

DRAWING = re.compile(r"<svg\b.*?</svg>", re.DOTALL)
ID = re.compile(r'\bid="|url\(#|href="#')
RELATIONS = {"=": "=", "<=": "at most", ">=": "at least"}


class Row(NamedTuple):
    """A number as the page shows it."""

    name: Markup
    computed: str
    theory: str
    how: Markup
    holds: bool | None  # None if theory gives no value


def html(name: str, page: Page, seed: int) -> str:
    """The HTML of a page; the same page gives the same bytes."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("ptheta.lab"), PackageLoader("ptheta.report")]),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        inline=inline, block=_block, plain=plain, image=image, command=command
    )
    environment.tests.update(
        numbers=lambda part: isinstance(part, Numbers),
        film=lambda part: isinstance(part, Film),
        figure=lambda part: isinstance(part, Figure),
        table=lambda part: isinstance(part, Table),
    )
    known = [n for n in page.numbers() if n.theory is not None]
    text = environment.get_template("page.html").render(
        name=name,
        page=page,
        seed=seed,
        version=ptheta.__version__,
        known=len(known),
        agree=sum(n.holds for n in known),
        row=row,
    )
    return apart(text)


def apart(text: str) -> str:
    """The page with ids that differ between its drawings. An id is looked up in the whole page, and
    what a drawing refers to would otherwise be in another one, which may be hidden."""
    numbers = count(1)

    def renamed(drawing: re.Match[str]) -> str:
        return ID.sub(rf"\g<0>d{next(numbers)}-", drawing[0])

    return DRAWING.sub(renamed, text)


def row(number: Number) -> Row:
    """A number with both values to as many digits as can differ."""
    theory = ""
    if number.theory is not None:
        sign = "" if number.relation == "=" else f"{RELATIONS[number.relation]} "
        theory = f"{sign}{digits(number.theory)}"
    holds = None if number.theory is None else number.holds
    return Row(inline(number.name), digits(number.computed), theory, inline(number.remark), holds)


def digits(value: float) -> str:
    """Six significant digits, and whole numbers in full."""
    if value == round(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.6g}"


def image(picture: Picture, caption: str) -> Markup:
    """Draws an `<svg>` element, or an image from a data URI."""
    drawn = picture()
    if drawn.startswith("<svg"):
        return Markup(drawn)
    return Markup('<img src="{}" alt="{}">').format(drawn, plain(caption))


def _block(latex: str) -> Markup:
    return formula(latex, block=True)
