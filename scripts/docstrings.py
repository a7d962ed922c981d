"""Convert docstrings to Google style sections.

Some docstrings list arguments without a heading,

    x: points (n, D); widths: of the kernel

and exceptions as "Raises PthetaError for ..."; Google style has a section for each.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

HEADINGS = {"Args:", "Attributes:"}
SECTIONS = HEADINGS | {"Returns:", "Raises:", "Yields:", "Examples:"}


def sectioned(text: str, names: Sequence[str], heading: str) -> str:
    """Return a docstring with sections for arguments and exceptions.

    Args:
        text: the docstring
        names: names of the arguments or attributes
        heading: `Args:` or `Attributes:`
    """
    found, rest = dict[str, str](), list[str]()
    inside, name = False, ""  # inside an argument section; the last name
    for line in text.splitlines():
        if line.strip() in SECTIONS:
            inside, name = line.strip() in HEADINGS, ""
            if inside:
                continue
        stripped = line.strip()
        parts = _parts(stripped, names) if inside or not line.startswith(" ") else []
        if parts:
            found.update(parts)
            name = parts[-1][0]
        elif not stripped or (not inside and stripped.startswith("Raises ")):
            name = ""
            rest.append(line)
        elif name:
            found[name] = f"{found[name]} {stripped}"
        else:
            rest.append(line)
    found = {k: v for key, about in found.items() for k, v in _parts(f"{key}: {about}", names)}
    kept, raised = _raises("\n".join(rest))
    args = [f"    {key}: {one}" for keys, one in found.items() for key in keys.split(", ")]
    sections = "\n".join([heading, *args]) if args else ""
    return "\n\n".join(part for part in (kept.strip("\n"), sections, raised) if part)


def _parts(line: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """Split a line into pairs of names and descriptions; empty if it does not start with a name."""
    if not names:
        return []
    one = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    start = re.compile(rf"(?:^|(?<=; ))((?:{one})(?:, (?:{one}))*): ")
    places = list(start.finditer(line))
    if not places or places[0].start() != 0:
        return []
    ends = [place.start() for place in places[1:]] + [len(line)]
    pairs = zip(places, ends, strict=True)
    return [(p[1], line[p.end() : end].rstrip("; ")) for p, end in pairs]


def _raises(text: str) -> tuple[str, str]:
    """Separate a final "Raises ..." paragraph: the remaining text, and a `Raises:` section."""
    before, mark, last = text.rpartition("Raises ")
    if not mark or "\n\n" in last.rstrip() or (before and before[-1] not in "\n "):
        return text, ""
    error, _, when = last.partition(" ")
    if not re.fullmatch(r"[A-Z]\w+", error):
        return text, ""
    when = " ".join(when.split())
    return before.rstrip(), f"Raises:\n    {error}: {when}"
