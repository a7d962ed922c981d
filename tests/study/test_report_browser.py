"""The report of a study in a real browser, where a Chromium is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptheta.study.analysis.analyse import analyse, with_metrics
from ptheta.study.analysis.document import write
from ptheta.study.analysis.simulate import People, simulate
from tests.report.test_browser import SCHEMES, WIDTHS, browser, opened

__all__ = ("browser",)  # a fixture

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    answers = simulate(People({"a": 0.1, "b": 0.2, "a source of a long name": 0.4}, people=8), 0)
    found = analyse(answers)
    values = {"a": 30.0, "b": 20.0, "a source of a long name": 10.0}
    write(with_metrics(found, {"fd_digits": ("lower", values)}), folder, answers)
    return folder


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_serious(browser, report, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe is installed")
    page = opened(browser, report, width, scheme=scheme)
    found = axe.Axe().run(page).response["violations"]
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.close()
    assert [(v["id"], v["nodes"][0]["html"]) for v in found] == []
    assert wide <= width


def test_the_figure_shows_what_the_table_says(browser, report):
    """The dots stand in the order of the rates, at the places that the axis gives them."""
    page = opened(browser, report)
    said = page.locator("#table-1 svg").get_attribute("aria-label")
    rows = page.locator("#table-1 tbody tr")
    names = [row.locator("th").inner_text() for row in rows.all()]
    cells = [row.locator("td").first.inner_text() for row in rows.all()]
    page.close()
    assert said is not None
    parts = said.removeprefix("errors, %: ").split("; ")
    for name, cell, part in zip(names, cells, parts, strict=True):
        told = float(part.removeprefix(f"{name} ").split(" ")[0])
        assert told == pytest.approx(float(cell.split(" %")[0]), abs=0.06)


def test_files_next_to_the_page_open(browser, report):
    page = opened(browser, report)
    for name in ("answers.csv", "analysis.json", "report.md"):
        link = page.locator(f'a[href="{name}"]')
        assert link.count() == 1
        assert (report / name).exists()
    page.close()
