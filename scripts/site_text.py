"""What pages of docs/ and the README need, so that they read alike on a code host and on the site.

Lists in lists are indented by two spaces, and become four.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

FENCE = re.compile(r"^\s*(```|~~~)")
ITEM = re.compile(r"^( +)(?=([-*]|\d+\.) )")


def mended(text: str) -> str:
    """A page with its lists as Python-Markdown reads them."""
    lines, fenced = list[str](), False
    for line in text.splitlines():
        if FENCE.match(line):
            fenced = not fenced
        lines.append(line if fenced else ITEM.sub(lambda m: m[1] * 2, line))
    return "\n".join(lines) + "\n"


def section(text: str, title: str) -> str:
    """What stands under a heading of the second level, code of other levels in it."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"there is no section {title}"
    return found[1].strip()


def table(rows: Mapping[str, str]) -> str:
    """Facts, one a line."""
    return "\n".join(["| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows.items() if v)])
