"""Names of runs, classes and data, which may hold anything, in pages, Markdown and plots.

HTML is escaped where the page is rendered. Here is what else there is: one style for all plots, and
one way into Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

SPECIAL = re.compile(r"[\\`*$|~#]|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@contextmanager
def plain_text() -> Iterator[None]:
    """Inside, plots are made in which a text is what it says."""
    import matplotlib as mpl

    # `$` in a name is no formula; the same data give the same bytes; text stays text
    with mpl.rc_context(
        {"text.parse_math": False, "svg.hashsalt": "ptheta", "svg.fonttype": "none"}
    ):
        yield


def label(name: str) -> str:
    """A name for a legend, which would leave out what begins with an underscore."""
    return f" {name}" if name.startswith("_") else name


def markdown(text: str) -> str:
    """`text` as Markdown that reads as it does: no markup, no HTML, no new line."""
    one_line = " ".join(text.split())
    plain = "".join(ENTITIES.get(c, c) for c in one_line)
    return SPECIAL.sub(lambda found: f"\\{found.group()}", plain)
