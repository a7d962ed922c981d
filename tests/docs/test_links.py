"""Links of the README and of docs/ lead to a file that is there, and to a heading that it has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
FENCES = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The headings of a page as a code host and the site name them."""
    text = FENCES.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page: Path) -> list[str]:
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    return [link for link in LINK.findall(text) if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lists_have_a_line_before_them(page):
    """Python-Markdown, of which the site is made, takes them for the paragraph above otherwise."""
    text = FENCES.sub("", page.read_text(encoding="utf-8"))
    assert not re.findall(
        r"^(?![-*] |\d+\. |[ \t]|<!--|\||#).+\n(?:[-*]|1\.) .*$", text, re.MULTILINE
    )


def test_the_quick_tests_are_there():
    lines = (ROOT / "tests" / "quick.txt").read_text(encoding="utf-8").splitlines()
    assert all((ROOT / line).exists() for line in lines if not line.startswith("#"))
