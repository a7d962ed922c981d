"""What a notebook shows of an object: HTML that is whole in itself, runs nothing and is small."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence

import numpy as np

from ptheta.files.images import shrunk, to_png
from ptheta.terminal.screen import printable

SIDE = 512  # pixels that a picture has at most, across and down
LONGEST = 300  # letters of one text
CELL = "text-align: left; padding: 0 1em 0 0"


def escaped(text: object) -> str:
    """A text of any origin, in one line: no markup, and not longer than `LONGEST`."""
    line = printable(" ".join(str(text).split()))
    return html.escape(line if len(line) <= LONGEST else f"{line[:LONGEST]}…")


def png_uri(png: bytes) -> str:
    """The bytes of a PNG as an address that holds them."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def picture(
    canvas: np.ndarray,
    about: str,
    captions: Sequence[str] = (),
    headings: Sequence[str] = (),
    title: str = "",
) -> str:
    """A picture uint8 (H, W) or (H, W, 3), of about `SIDE` pixels.

    about: what it shows, for who cannot see it; captions, headings: a text for each row of its
        images, for each column; title: one above all
    """
    small = shrunk(canvas, SIDE)
    scale = max(1, round(SIDE / max(small.shape[:2])))
    png = to_png(small, scale, captions=captions, headings=headings, title=title)
    return shown(png, about)


def shown(png: bytes, about: str) -> str:
    """A PNG. about: what it shows"""
    return f'<img alt="{escaped(about)}" src="{png_uri(png)}"/>'


def table(rows: Sequence[Sequence[object]], head: Sequence[object] = ()) -> str:
    """Rows of texts of any origin."""
    top = [_row(head, "th")] if head else []
    return f"<table>{''.join([*top, *(_row(row, 'td') for row in rows)])}</table>"


def facts(of: Mapping[str, object]) -> str:
    """What there is to say, a line for each; nothing is said of what is empty."""
    return table([(name, value) for name, value in of.items() if value not in ("", None)])


def card(title: object, *parts: str) -> str:
    """An object: its title, and parts in HTML below."""
    return f"<div><p><b>{escaped(title)}</b></p>{''.join(parts)}</div>"


def _row(cells: Sequence[object], tag: str) -> str:
    inside = "".join(f'<{tag} style="{CELL}">{escaped(cell)}</{tag}>' for cell in cells)
    return f"<tr>{inside}</tr>"
