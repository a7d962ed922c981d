"""HTML representations of objects for notebooks: small, self-contained, without scripts."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence

import numpy as np

from ptheta.files.images import shrunk, to_png
from ptheta.terminal.screen import printable

SIDE = 512  # maximum width and height of an image in pixels
LONGEST = 300  # maximum characters of one text
CELL = "text-align: left; padding: 0 1em 0 0"


def escaped(text: object) -> str:
    """Escape untrusted text to one line without markup, at most `LONGEST` characters."""
    line = printable(" ".join(str(text).split()))
    return html.escape(line if len(line) <= LONGEST else f"{line[:LONGEST]}…")


def png_uri(png: bytes) -> str:
    """A data URI with the bytes of a PNG."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def picture(
    canvas: np.ndarray,
    about: str,
    captions: Sequence[str] = (),
    headings: Sequence[str] = (),
    title: str = "",
) -> str:
    """An image element from uint8 (H, W) or (H, W, 3), of about `SIDE` pixels.

    about: alternative text; captions, headings: a text per row and per column of its images; title:
        a text above all
    """
    small = shrunk(canvas, SIDE)
    scale = max(1, round(SIDE / max(small.shape[:2])))
    png = to_png(small, scale, captions=captions, headings=headings, title=title)
    return shown(png, about)


def shown(png: bytes, about: str) -> str:
    """An image element of a PNG. about: alternative text"""
    return f'<img alt="{escaped(about)}" src="{png_uri(png)}"/>'


def table(rows: Sequence[Sequence[object]], head: Sequence[object] = ()) -> str:
    """A table of untrusted texts."""
    top = [_row(head, "th")] if head else []
    return f"<table>{''.join([*top, *(_row(row, 'td') for row in rows)])}</table>"


def facts(of: Mapping[str, object]) -> str:
    """A list of facts, one line each; empty values are omitted."""
    return table([(name, value) for name, value in of.items() if value not in ("", None)])


def card(title: object, *parts: str) -> str:
    """A card for an object: a title, and HTML parts below."""
    return f"<div><p><b>{escaped(title)}</b></p>{''.join(parts)}</div>"


def _row(cells: Sequence[object], tag: str) -> str:
    inside = "".join(f'<{tag} style="{CELL}">{escaped(cell)}</{tag}>' for cell in cells)
    return f"<tr>{inside}</tr>"
