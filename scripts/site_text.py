"""Adapt Markdown of docs/ and the README for Python-Markdown.

Nested lists are indented by two spaces in the sources, and by four for Python-Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

FENCE = re.compile(r"^\s*(```|~~~)")
ITEM = re.compile(r"^( +)(?=([-*]|\d+\.) )")


def mended(text: str) -> str:
    """Convert the indentation of nested lists."""
    lines, fenced = list[str](), False
    for line in text.splitlines():
        if FENCE.match(line):
            fenced = not fenced
        lines.append(line if fenced else ITEM.sub(lambda m: m[1] * 2, line))
    return "\n".join(lines) + "\n"


def section(text: str, title: str) -> str:
    """The text of a second-level section, including its subsections."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"the page has no section {title}"
    return found[1].strip()


def table(rows: Mapping[str, str]) -> str:
    """A two-column Markdown table of the non-empty values."""
    return "\n".join(["| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows.items() if v)])
