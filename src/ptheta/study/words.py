"""The texts of the pages in every language: `words.json`, one table for each language.

Another language is another table of that file, with the same keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import resources

MOST_ACCEPTED = 20  # languages of a request that are looked at

WORDS: Mapping[str, Mapping[str, str]] = json.loads(
    (resources.files("ptheta.study") / "words.json").read_text(encoding="utf-8")
)
LANGUAGES: Mapping[str, str] = {code: words["language"] for code, words in WORDS.items()}


def chosen(accepted: str, usual: str) -> str:
    """The language of a page.

    Args:
        accepted: Header `Accept-Language` of a request.
        usual: The language where none of those is there.
    """
    wanted = [part.lower().split(";") for part in accepted.split(",")[:MOST_ACCEPTED]]
    found = [(_weight(more), code.strip().partition("-")[0]) for code, *more in wanted]
    known = [(weight, code) for weight, code in found if code in LANGUAGES and weight > 0]
    return max(known, key=lambda one: one[0])[1] if known else usual


def _weight(parameters: list[str]) -> float:
    """q of a language of `Accept-Language`: 1 where there is none, 0 where it is no number."""
    q = next((p.strip()[2:] for p in parameters if p.strip().startswith("q=")), "1")
    return float(q) if re.fullmatch(r"[01](\.\d{0,3})?", q, re.ASCII) else 0.0
