"""Escaping of arbitrary names of runs, classes and data in Markdown and plots.

HTML is escaped when the page is rendered. This module has the style of all plots, and the escaping
for Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ptheta.data.names import shown

SPECIAL = re.compile(r"[\\`*$|~#]|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@contextmanager
def plain_text() -> Iterator[None]:
    """Context in which plots render text literally."""
    import matplotlib as mpl

    # no math mode for `$`; deterministic output; text is not converted to paths
    with mpl.rc_context(
        {"text.parse_math": False, "svg.hashsalt": "ptheta", "svg.fonttype": "none"}
    ):
        yield


def label(name: str) -> str:
    """Escapes a name for a legend, which omits labels with a leading underscore."""
    return f" {name}" if name.startswith("_") else name


def markdown(text: str) -> str:
    """Escapes text for Markdown: no markup, no HTML, no line breaks or other control characters."""
    one_line = shown(" ".join(text.split()))
    plain = "".join(ENTITIES.get(c, c) for c in one_line)
    return SPECIAL.sub(lambda found: f"\\{found.group()}", plain)
