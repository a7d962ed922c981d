"""Names are text wherever they come, and the report begins with what it found."""

from __future__ import annotations

import html
import io
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptheta.data.names import shown as printed
from ptheta.measures.results import Draws, Evaluation, Result
from ptheta.metrics.protocol import COMPARABLE, FLAGS, cure, differing
from ptheta.report.curves import Curve, panels
from ptheta.report.plots import plain_number, scatter
from ptheta.report.ranking import Rank
from ptheta.report.summary import summary
from ptheta.report.tables import Cell, Heading, Row, Table, tables
from ptheta.report.text import markdown
from ptheta.report.verdict import verdicts
from ptheta.terminal import progress
from ptheta.terminal.progress import about, shown, stage, unwatched, watched
from ptheta.terminal.screen import Look, Screen, printable

NAMES = ["a$\\frac$", "<img src=x onerror=alert(1)>", "a|b", "`x`", "_x_", "a\nb", "[a](b)", "$x$"]


@pytest.mark.parametrize("name", NAMES)
def test_plots_take_any_name(name: str) -> None:
    points = [(name, 1.0, 2.0, 0.1), *((f"{i}{name}", 2.0 + i, 1.0, 0.0) for i in range(6))]
    for some in (points[:2], points):
        picture = scatter(some, name, name)
        assert "<img" not in re.sub(r"<!--.*?-->", "", picture, flags=re.S)
        text = html.unescape(re.sub(r"<[^>]*>", "", picture))
        assert "".join(name.split()) in "".join(text.split())
    (panel,) = panels([Curve(f"p/{name}", [(1, 1.0), (2, 0.5)])], "#3b6fb6")
    assert "<img" not in panel.svg


@settings(max_examples=60)
@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_markdown_holds_no_markup_of_a_name(name: str) -> None:
    text = markdown(name)
    assert "\n" not in text
    assert "<" not in text
    assert not re.search(r"(?<!\\)(\\\\)*[|`*$]", text)
    plain = html.unescape(re.sub(r"\\([\\`*$|~#_\]])", r"\1", text))
    assert text.isprintable()
    assert plain == html.unescape(printed(" ".join(name.split()))) or "&" in name


def run_of(value: float, error: float, **more: Any) -> Evaluation:
    draws = Draws(real=tuple(value + error * d for d in (-1.0, 1.0, -0.5, 0.5)))
    kd = Result("kd_x", value, better="lower", error=error, draws=draws, protocol=more)
    return Evaluation((kd,))


def test_the_summary_names_the_best_and_how_sure_that_is() -> None:
    runs = {"a": run_of(1.0, 1e-6), "b": run_of(2.0, 1e-6), "c": run_of(1.0 + 1e-9, 1e-6)}
    (line,) = summary({k: runs[k] for k in "ab"}, ["kd_x"], {}, {})
    assert line.startswith("a draws the samples nearest to real data, and differs")
    assert "it has 1.00 by kernel distance (x; " in line
    assert "kernel distance" in line
    assert "lower is better" in line
    assert "differs significantly from the other (95 % interval)" in line
    (line,) = summary({"b": runs["b"], "a": runs["a"]}, ["kd_x"], {}, {})
    assert line.startswith("a draws")
    assert summary({"a": runs["a"]}, ["kd_x"], {}, {})[0].startswith("Only one row")


def test_likelihoods_of_several_kinds_are_told_and_not_ranked() -> None:
    def of(value: float, relation: str) -> Evaluation:
        bits = Result("bits_per_dim", value, "bits/dim", relation, 0.01, better="lower")
        return Evaluation((bits,))

    runs = {"v": of(0.1, "<="), "m": of(0.25, "="), "r": of(0.2, "~")}
    (line,) = summary(runs, ["bits_per_dim"], {}, {})
    assert line.startswith("The likelihood of held-out data is given exactly by m (0.250 bits/dim)")
    assert "by a bound by v (≤ 0.100 bits/dim) and by an estimate by r (≈ 0.200 bits/dim)" in line
    assert "not ranked" in line


def table_of(*columns: tuple[Cell, ...]) -> Table:
    names = ("a", "b", "grey")
    rows = [
        Row(names[i], list(cells), names[i] == "grey")
        for i, cells in enumerate(zip(*columns, strict=True))
    ]
    return Table("", "A note.", [Heading(f"m{k}") for k in range(len(columns))], rows)


def test_what_all_cells_of_a_column_say_is_said_once() -> None:
    made = table_of(
        (Cell("1", "1 of real, 0 of others"), Cell("2", "1 of real, .1 of others"), Cell()),
        (Cell("not defined", "no {x}, none"), Cell("not defined", "no {x}, none"), Cell()),
        (Cell("1"), Cell("2", "few"), Cell("3", "few")),
        (Cell("not defined", "no"), Cell("not defined", "few"), Cell("3")),
    ).without_repeats()
    assert [h.name for h in made.head] == ["m0", "m2", "m3"]
    assert [h.also for h in made.head] == ["1 of real", "", ""]
    assert [[cell.why for cell in row.cells] for row in made.rows] == [
        ["0 of others", "", "no"],
        [".1 of others", "few", "few"],
        ["", "few", ""],
    ]
    assert made.note == "A note. Not defined for any row: m1 (no {x}, none)."


@pytest.mark.parametrize("n", [1, 7, 8, 14, 15])
def test_a_wide_table_is_several_and_loses_nothing(n) -> None:
    cells = [(Cell(f"a{k}"), Cell(f"b{k}"), Cell("c" if k == 0 else "")) for k in range(n)]
    parts = table_of(*cells).parts()
    assert len(parts) == -(-n // 7)
    assert [h.name for part in parts for h in part.head] == [f"m{k}" for k in range(n)]
    for i, name in enumerate(("a", "b")):
        row = [cell.text for part in parts for cell in part.rows[i].cells]
        assert row == [f"{name}{k}" for k in range(n)]
    assert [len(part.rows) for part in parts] == [3, *[2] * (len(parts) - 1)]
    sizes = [len(part.head) for part in parts]
    assert max(sizes) <= 7
    assert sum(sizes) == n


@pytest.mark.parametrize(("floor", "named"), [(5.0, True), (1.5, True), (1.0, False), (0.5, False)])
def test_a_best_is_named_only_where_it_is_beyond_what_knows_nothing(floor, named) -> None:
    """In the summary, over runs and over settings, and in what each row is good at."""
    runs = {"a": run_of(1.0, 1e-3), "b": run_of(2.0, 1e-3)}
    chance = {"shuffled pixels": run_of(floor, 1e-3)}
    ranks = [Rank("lr 1", (1.0, 1.01), 1.0, 0.01, False), Rank("lr 2", (2.0,), 2.0, None, True)]
    lines = [
        *summary(runs, ["kd_x"], {"kd_x": ranks}, chance),
        *summary(runs, ["kd_x"], {}, chance),
    ]
    first = ["lr 1 draws", "a draws"]
    none = ["Over seeds: No row is significantly", "No row is significantly"]
    assert all(map(str.startswith, lines, first if named else none))
    assert all("shuffled pixels" in line for line in lines) != named
    said = verdicts(runs, ["kd_x"], chance)
    assert bool(said["a"].good) == named
    assert any("best" in line for v in said.values() for line in (*v.good, *v.bad)) == named


def test_an_interval_that_holds_chance_names_no_best() -> None:
    """However far the two numbers are; and what is measured otherwise says nothing."""
    runs = {"a": run_of(1.0, 1.0), "b": run_of(2.0, 1.0)}
    kd = Result("kd_x", 1.2, better="lower", error=1.0)
    for other in (kd, Result("kd_x", 9.0, better="lower")):  # of one no error is known
        wide = summary(runs, ["kd_x"], {}, {"any": Evaluation((other,))})
        assert wide[0].startswith("No row")
    far = summary(runs, ["kd_x"], {}, {"any": run_of(0.1, 1e-3, samples=3)})
    assert far[0].startswith("a draws")


def test_a_conditional_row_says_where_its_likelihood_stands() -> None:
    bits = {
        name: Evaluation((Result(metric, 1.0, "bits/dim", better="lower", error=0.1),))
        for name, metric in (("plain", "bits_per_dim"), ("given", "bits_per_dim_given_label"))
    }
    (table,) = tables(bits, {}, marks={})
    cells = {row.name: [cell.why for cell in row.cells] for row in table.rows}
    assert cells["given"][0] == "conditional model: see bits per dimension (given label)"
    assert cells["plain"][1] == "unconditional model"


@pytest.mark.parametrize("key", COMPARABLE)
def test_what_differs_has_a_flag_where_an_option_mends_it(key: str) -> None:
    a, b = {"samples": 1000, key: 300}, {"samples": 1000, key: 1000 if key == "samples" else 7}
    assert differing(a, b) == [key]
    said = cure(a, b)
    assert bool(said) == (key in FLAGS)
    assert FLAGS.get(key, "") in said
    assert cure({"samples": 300}, {"samples": 1000}) == "give the same -n 300 to both"


# -- progress


def test_loops_are_parts_of_the_one_around_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, float]] = []
    monkeypatch.setattr(
        progress.Work, "tell", lambda work: seen.append((work.stages[0].what, work.share))
    )
    with shown("x"), stage("outer"):
        for _ in watched(range(2), "inner"):
            assert list(watched([5, 6], "innermost")) == [5, 6]
        with unwatched():
            list(watched(range(9), "timed"))
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert {what for what, _ in seen} == {"outer"}
    assert list(watched([1, 2], "nobody looks")) == [1, 2]


def test_plain_lines_of_long_work_come_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    out, now = io.StringIO(), 0.0
    monkeypatch.setattr("sys.stderr", out)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with shown():
        about("1 of 2: a\x1b[2Jb")
        for _ in watched(range(100), "drawing samples"):
            now += 1.0
    lines = out.getvalue().splitlines()
    assert lines[0] == "1 of 2: a?[2Jb"
    assert 8 <= len(lines) <= 12
    assert lines[-1].startswith("1 of 2: a?[2Jb  drawing samples, ")
    assert all(printable(line) == line for line in lines)
    assert Screen(lambda _: Look("x"), io.StringIO()).bar is None


def test_ticks_of_an_axis_have_no_zeros_at_the_end_of_a_fraction():
    found = [plain_number(value) for value in (1e-5, 0.001, 0.1, 0.25, 1.0, 10.0, 20_000.0, 1e-7)]
    assert found == ["0.00001", "0.001", "0.1", "0.25", "1", "10", "20,000", "1.0e-07"]
