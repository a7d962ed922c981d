"""Text tables and lines, wrapped to the width of the terminal."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

import click

LEAST = 24  # minimum width of the last column; if less is left, it is printed below the others
STEP = 4  # indentation of continuation lines


def columns() -> int | None:
    """Width of the terminal, or COLUMNS if set; None if the output is not a terminal, so that
    programs read unwrapped lines."""
    known = sys.stdout.isatty() or os.environ.get("COLUMNS")
    return shutil.get_terminal_size().columns if known else None


def wrapped(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Columns as wide as their widest cell; the last column is wrapped to `width`, or printed below
    the others where they leave no room for its longest word."""
    sizes = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    if width is not None and sum(size + 2 for size in sizes) + LEAST > width:
        return [line for row in rows for line in _below(row, sizes, width)]
    lines = []
    for row in rows:
        start = "".join(f"{cell.ljust(size)}  " for cell, size in zip(row, sizes, strict=False))
        if width is None:
            lines.append(f"{start}{row[-1]}".rstrip())
            continue
        room = width - len(start)
        if any(len(word) > room for word in row[-1].split()):
            lines += _below(row, sizes, width)
            continue
        parts = _words(row[-1], room) or [""]
        lines += [
            f"{start if i == 0 else ' ' * len(start)}{part}".rstrip()
            for i, part in enumerate(parts)
        ]
    return lines


def _below(row: Sequence[str], sizes: Sequence[int], width: int) -> Iterator[str]:
    """The first columns of a row, with the last one wrapped on lines below them."""
    cells = [cell.ljust(size) for cell, size in zip(row, sizes, strict=False)]
    yield from flowing("  ".join(cells).rstrip(), width)
    indent = " " * (len(row[0]) - len(row[0].lstrip()) + STEP)
    if row[-1]:
        yield from _filled(row[-1], width, indent, indent)


def flowing(text: str, width: int | None) -> list[str]:
    """Wraps a text to `width` with indented continuation lines; keeps line breaks."""
    lines = text.split("\n")
    if width is None:
        return lines
    starts = [line[: len(line) - len(line.lstrip())] for line in lines]
    return [
        part
        for line, start in zip(lines, starts, strict=True)
        for part in _filled(line.strip(), width, start, start + " " * STEP) or [""]
    ]


def _filled(text: str, width: int, first: str, rest: str) -> list[str]:
    if len(first) + len(text) <= width:
        return [f"{first}{text}"]
    return _words(text, max(width, len(rest) + 1), first, rest)


def _words(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Wraps between words only, so that a path longer than a line can still be copied."""
    return textwrap.wrap(
        *(text, width),
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
        break_long_words=False,
    )


def folded(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Columns as wide as their widest cell; if a line is too narrow for all of them, the others are
    printed below, with the first column repeated."""
    sizes = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    groups: list[list[int]] = [[]]
    for k, size in list(enumerate(sizes))[1:]:
        taken = sizes[0] + sum(2 + sizes[j] for j in groups[-1])
        if groups[-1] and width is not None and taken + 2 + size > width:
            groups.append([])
        groups[-1].append(k)
    lines: list[str] = []
    for group in groups:
        lines += [""] * bool(lines)
        lines += aligned([[row[k] for k in (0, *group)] for row in rows])
    return lines


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def plain(text: str) -> str:
    """The text on one line, with unprintable characters (as in file names) escaped as in Python."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(sign: str) -> str:
    return sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """On stdout, as wide as that is."""
    for line in folded([[plain(cell) for cell in row] for row in rows], columns()):
        click.echo(line)


def print_wrapped(rows: Sequence[Sequence[str]], head: Sequence[str] | None = None) -> None:
    """On stdout, as wide as that is."""
    for line in wrapped([*([head] if head else []), *rows], columns()):
        click.echo(line)


def print_flowing(text: str) -> None:
    """Lines on stdout, as wide as that is."""
    for line in flowing(text, columns()):
        click.echo(line)
