"""Docstrings of the house with the sections of Google's style.

The house writes short lists of arguments without a heading,

    x: points (n, D); widths: of the kernel

and "Raises PthetaError for ..."; Google's style has a section for each.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

HEADINGS = {"Args:", "Attributes:"}
SECTIONS = HEADINGS | {"Returns:", "Raises:", "Yields:", "Examples:"}


def sectioned(text: str, names: Sequence[str], heading: str) -> str:
    """A docstring with a section for what is said of these names, and one for what is raised."""
    found, rest = dict[str, str](), list[str]()
    inside, name = False, ""  # of a section of arguments; the last of them
    for line in text.splitlines():
        if line.strip() in SECTIONS:
            inside, name = line.strip() in HEADINGS, ""
            if inside:
                continue
        said = line.strip()
        parts = _parts(said, names) if inside or not line.startswith(" ") else []
        if parts:
            found.update(parts)
            name = parts[-1][0]
        elif not said or (not inside and said.startswith("Raises ")):
            name = ""
            rest.append(line)
        elif name:
            found[name] = f"{found[name]} {said}"
        else:
            rest.append(line)
    found = {k: v for key, said in found.items() for k, v in _parts(f"{key}: {said}", names)}
    kept, raised = _raises("\n".join(rest))
    args = [f"    {key}: {one}" for keys, one in found.items() for key in keys.split(", ")]
    sections = "\n".join([heading, *args]) if args else ""
    return "\n\n".join(part for part in (kept.strip("\n"), sections, raised) if part)


def _parts(line: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """What a line says of each name that it begins with; nothing where it begins with none."""
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
    """The text without its last paragraph of what is raised, and that as a section."""
    before, mark, last = text.rpartition("Raises ")
    if not mark or "\n\n" in last.rstrip() or (before and before[-1] not in "\n "):
        return text, ""
    error, _, when = last.partition(" ")
    if not re.fullmatch(r"[A-Z]\w+", error):
        return text, ""
    when = " ".join(when.split())
    return before.rstrip(), f"Raises:\n    {error}: {when}"
