"""The page in a real browser, where a Chromium is found."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
WIDTHS, SCHEMES = (390, 1200), ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is found: `apt-get install chromium` gives Debian's")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def opened(
    browser: Browser,
    report: Path,
    width: int = 1200,
    *,
    scheme: str = "light",
    scripts: bool = True,
) -> Page:
    page = browser.new_page(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=scripts,
    )
    page.goto((report / "report.html").as_uri())
    return page


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_serious(browser, report, width, scheme):
    """With every detail open, as a reader may have it."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe is installed")
    page = opened(browser, report, width, scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    found = axe.Axe().run(page).response["violations"]
    page.close()
    assert [(v["id"], v["nodes"][0]["html"]) for v in found] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(browser, report, width):
    page = opened(browser, report, width)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_first_column_stays_where_a_table_is_moved(browser, report):
    page = opened(browser, report, 390)
    table = page.locator(".scroll").first
    cell = table.locator("tbody th").first
    before, wide = cell.bounding_box(), table.evaluate("one => one.scrollWidth - one.clientWidth")
    assert wide > 0
    table.evaluate("one => one.scrollLeft = 120")
    after = cell.bounding_box()
    page.close()
    assert before is not None
    assert after is not None
    assert abs(before["x"] - after["x"]) <= 1


def test_the_page_says_all_without_its_scripts_and_by_the_keyboard(browser, report):
    """The first stop leads past the head; a detail opens by a key; a term leads to its meaning."""
    page = opened(browser, report, scripts=False)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**#verdict")
    detail = page.locator("details").first
    summary, inside = detail.locator("summary"), detail.locator("p").first
    assert not inside.is_visible()
    summary.focus()
    page.keyboard.press("Enter")
    assert inside.is_visible()
    term = page.locator("a.term").first
    assert term.get_attribute("title")
    term.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**#term-*")
    page.close()


def test_focus_is_seen(browser, report):
    page = opened(browser, report)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    page.close()
    assert float(width.removesuffix("px")) >= 2


def test_print_shows_what_is_folded_and_a_light_page(browser, report):
    page = opened(browser, report, scheme="dark")
    page.emulate_media(media="print")
    assert page.locator("details p").first.is_visible()
    assert page.locator("#glossary dd").first.is_visible()
    assert not page.locator("nav").is_visible()
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.close()
    assert colour == "rgb(255, 255, 255)"


def test_a_dark_page_has_light_curves(browser, report):
    colours = []
    for scheme in SCHEMES:
        page = opened(browser, report, scheme=scheme)
        colours.append(
            page.evaluate("getComputedStyle(document.querySelector('#training svg text')).fill")
        )
        page.close()
    assert colours[0] != colours[1]
