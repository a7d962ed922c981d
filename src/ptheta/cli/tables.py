"""Tables for a reader: the last column goes on in the next line where a terminal is narrow."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

import click

LEAST = 20  # columns of the last column


def columns() -> int | None:
    """Of the terminal; None where the output goes elsewhere, so that programs find whole lines."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def wrapped(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Columns as wide as their widest cell; of the last, what is too long for `width` goes on in
    lines of its own."""
    sizes = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        start = "".join(f"{cell.ljust(size)}  " for cell, size in zip(row, sizes, strict=False))
        if width is None:
            lines.append(f"{start}{row[-1]}".rstrip())
            continue
        room = max(LEAST, width - len(start))
        parts = textwrap.wrap(row[-1], room, break_on_hyphens=False) or [""]
        lines += [
            f"{start if i == 0 else ' ' * len(start)}{part}".rstrip()
            for i, part in enumerate(parts)
        ]
    return lines


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """On stdout, as wide as it is."""
    for line in aligned(rows):
        click.echo(line)


def print_wrapped(rows: Sequence[Sequence[str]], head: Sequence[str] | None = None) -> None:
    """On stdout, as wide as that is."""
    for line in wrapped([*([head] if head else []), *rows], columns()):
        click.echo(line)
