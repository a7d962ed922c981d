"""The texts of the pages in every language: `words.json`, one table for each language.

Another language is another table of that file, with the same keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources

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
    wanted = [part.partition(";")[0].strip().lower() for part in accepted.split(",")[:20]]
    found = (code.partition("-")[0] for code in wanted)
    return next((code for code in found if code in LANGUAGES), usual)
