"""Every page of the lab: its numbers agree with theory, follow the seed, and make a small file."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import ptheta
from ptheta.lab import pages
from ptheta.lab.html import apart, html
from ptheta.lab.make import LARGEST, Learned
from ptheta.lab.parts import Film, Number, Page, Section
from ptheta.lab.table import PAGES, Entry
from ptheta.lab.text import formula, inline, plain
from tests.docs.commands import parsed, words_of

SHORT = ModuleType("short")
SHORT.page = lambda asked: Page("Short", "$1 = 1$", [Section("One")])  # type: ignore[attr-defined]
QUICK = [name for name, page in PAGES.items() if not page.trains]
LATER = {"divergences", "game"}  # run by `make test-slow`: two seeds take longer than 5 seconds
MADE = [pytest.param(n, marks=pytest.mark.slow if n in LATER else ()) for n in QUICK]


@pytest.fixture(scope="module", params=MADE)
def made(request: pytest.FixtureRequest) -> tuple[str, Learned, Learned]:
    """A page with two seeds."""
    name = request.param
    return name, ptheta.learn(name), ptheta.learn(name, seed=1)


def test_numbers_agree_with_theory(made: tuple[str, Learned, Learned]):
    _, *pages = made
    for page in pages:
        assert page.numbers
        assert not page.disagree
        assert all(type(n.holds) is bool for n in page.numbers)  # for JSON


def test_another_seed_changes_what_is_computed(made: tuple[str, Learned, Learned]):
    """But for what theory says is the same for all problems."""
    _, first, second = made
    others = {n.name: n for n in second.page.numbers()}
    same = [n.name for n in first.page.numbers() if n.name in others and _same(n, others[n.name])]
    assert same == []


def _same(one: Number, other: Number) -> bool:
    return one.computed == other.computed and not (
        one.theory is not None and one.theory == other.theory
    )


def test_the_file_is_whole_and_small(made: tuple[str, Learned, Learned]):
    name, learned, _ = made
    text = html(name, learned.page, 0)
    assert len(text.encode()) < LARGEST
    assert not re.search(r"(src|href)=\"https?:", text)
    assert "\\frac" not in text
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert all(re.fullmatch(r"content|s\d+|sources|d\d+-.+", name) for name in ids)
    assert all('aria-label="' in one for one in re.findall(r"<svg[^>]*>", text))
    assert text.count('<input type="range"') == sum(
        isinstance(part, Film) for s in learned.page.sections for part in s.parts
    )


SOURCES = sorted(Path(pages.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_the_commands_of_a_page_have_the_options_that_they_need(path: Path):
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    texts = [str(n.value) for n in nodes if isinstance(n, ast.Constant) and id(n) not in parts]
    for text in texts:
        for line in text.splitlines() if text.startswith("ptheta ") else ():
            words = words_of(line)
            parsed(words)
            if words[0] == "density":
                assert "--out" not in words or words[-1].endswith(".csv")


def test_a_page_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    place = tmp_path / "page.html"
    monkeypatch.setitem(PAGES, QUICK[0], Entry("short", "a page of one formula"))
    monkeypatch.setitem(sys.modules, "ptheta.lab.pages.short", SHORT)
    assert ptheta.learn(QUICK[0], place).path == place
    with pytest.raises(ptheta.PthetaError, match="--force"):
        ptheta.learn(QUICK[0], place)
    with pytest.raises(ptheta.PthetaError, match="did you mean"):
        ptheta.learn(f"{QUICK[0]}x", tmp_path / "other.html")


def test_a_number_that_agrees_only_within_its_error_says_so():
    assert Number("a", 1.02, 1.0, 0.05, "<=", "by draws").remark == "by draws; agrees within 0.05"
    assert Number("b", -1e-17, 0.0, 1e-9).remark == "agrees within 1e-09"
    assert Number("c", 0.9, 1.0, 0.05, "<=").remark == ""
    assert Number("d", 1.0, 1.0, 1e-9, how="by draws").remark == "by draws"
    assert Number("e", 2.0, 1.0, 0.05, how="by draws").remark == "by draws"  # does not agree


def test_names_of_functions_stand_apart_from_their_arguments():
    assert 'lspace="0" rspace="0.167em">log</mo><mi>p</mi>' in formula("\\log p(x)")
    assert 'rspace="0">exp</mo><mo stretchy="false">' in formula("\\exp(x)")
    assert '</mo><mo form="prefix" lspace="0.167em" rspace="0.167em">log' in formula("p(x) \\log q")


def test_formulas_are_typed_in_terminals_and_labels():
    for latex, typed in {
        "\\mathrm{KL}(q(z | x), p(z))": "KL(q(z | x), p(z))",
        "\\sqrt{\\frac{\\gamma^2}{4} - 1}": "sqrt((gamma^2)/(4) - 1)",
        "E \\log \\frac1K \\sum_k w_k": "E log 1/K sum_k w_k",
        "x_{t+1} = x_t,\\; 2^{40000} \\le \\hat\\mu": "x_(t+1) = x_t, 2^40000 <= mu",
    }.items():
        assert plain(f"the ${latex}$") == f"the {typed}"


def test_ids_of_drawings_differ():
    svg = '<svg><path id="a"/><use xlink:href="#a"/><g clip-path="url(#a)"/></svg>'
    assert apart(f'<h2 id="a">{svg}{svg}') == f'<h2 id="a">{_own(svg, 1)}{_own(svg, 2)}'


def _own(svg: str, k: int) -> str:
    return svg.replace('id="', f'id="d{k}-').replace("#", f"#d{k}-")


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "0", True])
def test_a_seed_out_of_range_is_refused_in_one_line(seed: int):
    with pytest.raises(ptheta.PthetaError, match="--seed"):
        ptheta.learn("elbo", seed=seed)


def test_options_of_commands_are_not_broken_at_their_hyphens():
    assert inline("`ptheta learn elbo --out a.html`") == (
        '<code>ptheta learn elbo <span class="word">--out</span> a.html</code>'
    )
