"""The site is built without a warning, and asks for nothing that is not in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from scripts.docstrings import sectioned
from scripts.measured import measured

from ptheta.models import registry
from ptheta.models.advice import advice

ROOT = Path(__file__).parents[2]
ASKED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src")}
HTTP = ("http:", "https:", "//")


class Page(HTMLParser):
    """What a page asks for, where it leads, and the places that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.asked, self.links = list[str](), list[str]()
        self.ids, self.formulas = set[str](), 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if value and key == "id":
                self.ids.add(value)
            elif value and (tag, key) in ASKED:
                self.asked.append(value)
            elif value and (tag, key) == ("a", "href"):
                self.links.append(value)
        self.formulas += tag == "math"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    pytest.importorskip("mkdocs", reason="the site needs pip install '.[docs]'")
    out = tmp_path_factory.mktemp("site")
    said = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    return {f: Page(f.read_text(encoding="utf-8")) for f in out.rglob("*.html")}


def local(page: Path, links: list[str]) -> Iterator[tuple[Path, str]]:
    """The files that links lead to, and the places in them."""
    for link in links:
        path, _, anchor = link.partition("#")
        if not link.startswith((*HTTP, "mailto:", "data:", "javascript:")):
            file = (page.parent / unquote(path)).resolve() if path else page
            yield file / "index.html" if file.is_dir() else file, unquote(anchor)


@pytest.mark.slow
def test_links_of_the_site_lead_somewhere(site):
    for page, held in site.items():
        if page.name == "404.html":  # is shown at any address, and so has those of a server
            continue
        for file, anchor in local(page, [*held.links, *held.asked]):
            assert file.exists(), f"{page.name}: {file}"
            if anchor and not anchor.startswith("__"):  # of the theme's own
                assert anchor in site[file].ids, f"{page.name}: {file.name}#{anchor}"


@pytest.mark.slow
def test_the_site_asks_for_nothing_from_elsewhere(site):
    for page, held in site.items():
        assert not [asked for asked in held.asked if asked.startswith(HTTP)], page.name


@pytest.mark.slow
def test_every_model_has_a_page_with_its_formula(site):
    pages = {page.name: held for page, held in site.items() if page.parent.name == "models"}
    for name in registry.MODELS:
        assert pages[f"{name.replace('+', 'p')}.html"].formulas, name


@pytest.mark.parametrize("name", registry.MODELS)
def test_every_model_says_when_to_take_it(name):
    said = advice(name, registry.MODELS[name].family)
    assert said.formula
    assert said.use.endswith(".")
    assert said.avoid.endswith(".")


def test_numbers_of_models_are_those_of_the_benchmarks():
    values = {number: value for found in measured("vae") for number, value in found.rows}
    assert values["parameters" if "parameters" in values else "recall"]
    assert not measured("no such model")


def test_arguments_stand_in_a_section():
    text = "Adds.\n\nx, y: numbers; sign: of the sum\n    or none\nRaises ValueError for\nwords."
    assert sectioned(text, ["x", "y", "sign"], "Args:") == (
        "Adds.\n\nArgs:\n    x: numbers\n    y: numbers\n    sign: of the sum or none\n\n"
        "Raises:\n    ValueError: for words."
    )
