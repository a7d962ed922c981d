"""The page: what it holds, in which order, and that it is a function of what was stored."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
import torch

import ptheta
from ptheta.cli.commands import cli
from ptheta.errors import PthetaError
from ptheta.losses.adversarial import LOSSES
from ptheta.measures.results import Evaluation, Result
from ptheta.metrics.table import metric_of
from ptheta.models import registry
from ptheta.report.comparison import Comparison, Cost, Material, Measured
from ptheta.report.curves import Curve, curves_of, grouped, panels, story
from ptheta.report.glossary import Links, glossary
from ptheta.report.pictures import Picture
from ptheta.report.references import references
from ptheta.report.reproduce import command
from ptheta.report.titles import lead, title
from ptheta.runs import plan

WRITTEN = ("report.html", "report.md", "report.json")


@pytest.fixture
def copied(report: Path, tmp_path: Path) -> Path:
    """What a comparison stored, somewhere else, without what was written from it."""
    place = Path(shutil.copytree(report, tmp_path / "elsewhere"))
    for name in WRITTEN:
        (place / name).unlink()
    return place


def test_what_was_stored_gives_the_same_bytes_again(report, copied):
    page = ptheta.write_report(copied)
    assert page == copied / "report.html"
    for name in WRITTEN:
        assert (copied / name).read_bytes() == (report / name).read_bytes(), name


def _renamed(values: dict[str, Any]) -> None:
    values["rows"][1]["name"] = values["rows"][0]["name"]


def _outside(values: dict[str, Any]) -> None:
    values["rows"][0]["pictures"][0]["file"] = "../report.png"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda values: values.pop("rows"), "rows"),
        (lambda values: values.update(n="many"), "n"),
        (_renamed, "two rows of one name"),
        (_outside, "file"),
    ],
)
def test_damage_of_what_was_stored_is_told_in_a_line(
    copied, change: Callable[[dict[str, Any]], object], said: str
):
    file = copied / "measured.json"
    values = json.loads(file.read_text())
    change(values)
    file.write_text(json.dumps(values))
    with pytest.raises(PthetaError, match=said) as caught:
        ptheta.write_report(copied)
    assert "\n" not in str(caught.value)


def test_a_picture_that_is_missing_is_told(copied):
    next((copied / "pictures").iterdir()).unlink()
    with pytest.raises(PthetaError, match="does not exist: compare the runs again"):
        ptheta.write_report(copied)
    with pytest.raises(PthetaError, match=r"contains no measured\.json"):
        ptheta.write_report(copied / "pictures")


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _dangling(file: Path) -> None:
    file.unlink()
    file.symlink_to("nothing")


@pytest.mark.parametrize(
    "damage",
    [
        _folder,
        _pipe,
        _dangling,
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-9]),
        lambda file: file.write_text("<script>"),
    ],
)
def test_a_picture_that_is_none_is_told_in_a_line(copied, damage: Callable[[Path], object]):
    file = copied / "pictures" / "00-0.png"
    damage(file)
    with pytest.raises(PthetaError, match=r"00-0\.png is not .*: (\w+ .* again|restore the file)"):
        ptheta.write_report(copied)
    assert not (copied / "report.html").exists()


def test_numbers_that_no_report_can_hold_are_told_and_nothing_is_written(copied):
    file = copied / "measured.json"
    values = json.loads(file.read_text())
    for result in values["rows"][0]["evaluation"]["results"]:
        if result["value"] is not None:
            result["error"] = 1e308
    file.write_text(json.dumps(values))
    with pytest.raises(PthetaError, match=r"cannot make a report of its numbers .*: compare"):
        ptheta.write_report(copied)
    assert not any((copied / name).exists() for name in WRITTEN)


class Reader(HTMLParser):
    """What a page holds, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(report: Path) -> str:
    return (report / "report.html").read_text()


def test_a_reader_meets_samples_then_findings_then_numbers(page):
    order = [s["id"] for s in Reader(page).all("section")]
    assert order == [
        *("samples", "verdict", "numbers", "training", "models", "copies"),
        *("taxonomy", "reproduce", "glossary"),
    ]
    top = page.split('id="verdict"')[0]
    for name in ("plain", "again", "afresh", "labelled", "fitted", "game", "elsewhere", "few"):
        assert f'alt="{name}: first samples"' in top or name == "again"  # a seed of `plain`
    assert "first samples of each model at seed 0" in top
    assert top.index('alt="Real images of strokes"') < top.index("plain: first samples")


def test_the_page_is_one_file_that_runs_nothing(page):
    reader = Reader(page)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in reader.tags}
    sources = [a["src"] for _, a in reader.tags if "src" in a]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not any(name.startswith("on") for _, attrs in reader.tags for name in attrs)
    assert not re.search(r"url\((?!#)", page)


def test_the_page_can_be_read_aloud(page):
    """Headings in order, a text for each picture, a caption and scopes for each table, and a place
    for each link."""
    reader = Reader(page)
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert all(a.get("alt") for a in reader.all("img"))
    assert all(a.get("aria-label") for a in reader.all("svg"))
    assert len(reader.all("table")) == len(reader.all("caption"))
    assert all(a.get("scope") in ("row", "col") for a in reader.all("th"))
    ids = [a["id"] for tag, a in reader.tags if "id" in a and tag in ("section", "h2", "dt")]
    assert len(set(ids)) == len(ids)
    targets = {a["href"] for a in reader.all("a")}
    assert targets <= {f"#{one}" for one in ids}
    scrolled = [a for a in reader.all("div") if a.get("class") == "scroll"]
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in scrolled)
    assert {"main", "header", "nav"} <= {tag for tag, _ in reader.tags}
    assert reader.all("html") == [{"lang": "en"}]


def test_every_metric_of_a_table_is_explained(page, report):
    found = json.loads((report / "report.json").read_text())
    names = {r["metric"] for run in found["runs"].values() for r in run["evaluation"]["results"]}
    for entry in glossary(sorted(names)):
        name = entry.term.replace(" ", "_")
        if name in names and (metric := metric_of(name)):
            assert entry.meaning.startswith(metric.about)
    heads = re.findall(r'<th scope="col">(.*?)(?:<small>|</th>)', page)
    plain = {"row", "density", "training, minutes", "steps"}
    rest = [head for head in heads if head not in plain and not head.startswith("<a ")]
    assert set(rest) <= {"plain", "again", "afresh", "labelled", "fitted", "game"} | {
        *("elsewhere", "few", "setting", "mean", "runs")
    }


def test_samples_stand_beside_what_they_may_be_copies_of(page):
    copies = page.split('id="copies"')[1].split('id="taxonomy"')[0]
    assert copies.index("Uncurated samples") < copies.index("The closest pairs")
    assert 'alt="game: Samples and their nearest training images"' in copies
    assert "The first 20 samples, uncurated" in copies


def test_loss_gap_and_quality_share_an_axis_of_time(page):
    training = page.split('id="training"')[1].split('id="models"')[0]
    assert "Loss, critic gap and quality over the steps" in training
    drawn = next(label for label in re.findall(r'aria-label="([^"]*)"', training) if "gap" in label)
    for part in ("discriminator adversarial", "critic gap", "held_out kd pixels", "2 log 2"):
        assert part in drawn
    assert "at real" in drawn


def test_what_was_compared_is_marked_among_all_models(page):
    tree = page.split('id="taxonomy"')[1].split('id="reproduce"')[0]
    marked = set(re.findall("<mark>(.*?)</mark>", tree))
    assert {"plain", "game", "fitted"} <= marked
    lists = re.findall(r"</i> ([^<]*)</small>", tree)
    assert {name for names in lists for name in names.split(", ")} >= registry.MODELS.keys()


# -- titles


def row(name: str, model: str, family: str, setting: str = "", run: bool = True) -> Measured:
    cost = Cost(1.0, 2) if run else None
    return Measured(
        name, name, family, model, Evaluation(()), "none", [], model, setting, cost=cost
    )


def compared(*rows: Measured) -> Comparison:
    shown = Picture("", "", "")
    data = Material("digits", "images", "image", "images", 5, shown, shown)
    return Comparison(list(rows), {}, {}, Evaluation(()), data, 100, 3)


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ([("vae", "variational", "")], "vae evaluated on digits"),
        ([("vae", "variational", "")] * 3, "vae on digits, over three seeds"),
        (
            [("vae", "variational", "lr 1"), ("vae", "variational", "lr 2")],
            "A sweep of vae on digits: two settings",
        ),
        ([("vae", "variational", "a"), ("iwae", "variational", "b")], "Two variational models"),
        ([("vae", "variational", "a"), ("gan", "adversarial", "b")], "Two models compared on"),
    ],
)
def test_the_title_says_what_was_compared(rows, wanted):
    found = compared(*(row(str(i), *r) for i, r in enumerate(rows)))
    assert title(found).startswith(wanted)
    assert "100 samples" in lead(found)
    assert "seed 3" in lead(found)
    assert lead(found).count(". ") == 0


def test_images_of_another_program_are_no_models():
    found = compared(row("x", "images", "images", run=False))
    assert title(found) == "Images from other programs, evaluated on digits"
    assert "one set of images" in lead(found)


# -- curves


def curve(name: str, *values: float, reference: float | None = None) -> Curve:
    return Curve(name, list(enumerate(values, 1)), reference)


def test_curves_of_other_sizes_have_axes_of_their_own():
    names = [
        [c.what for c in group]
        for group in grouped(
            [
                curve("g/loss", 1.4, 1.5),
                curve("g/kl", 300.0, 200.0),
                curve("g/D(x)", 0.5, 0.7),
                curve("g/reconstruction", 90.0, 120.0),
                curve("g/gradient_norm", 1.4, 1.5),
                curve("g/accuracy", 0.1, 1.0),
            ]
        )
    ]
    assert names == [["loss"], ["kl", "reconstruction"], ["D(x)", "accuracy"], ["gradient norm"]]


def test_a_run_that_measured_no_quality_has_no_story():
    assert story([curve("g/loss", 1.0, 2.0)], "#3b6fb6") is None
    assert panels([], "#3b6fb6") == []


def test_numbers_that_are_none_are_left_out_and_real_examples_are_the_floor():
    logged = [
        {"step": 1.0, "seconds": 1.0, "g/loss": math.nan, "held_out/kd_x": 3.0},
        {"step": 2.0, "g/loss": 1.0, "held_out/kd_x": 2.0},
        {"step": 3.0, "g/loss": 2.0},
    ]
    m = Measured("a", "a", "", "", Evaluation(()), "", [], logged=logged, references={"g/loss": 1})
    found = {c.name: c for c in curves_of(m, Evaluation((Result("kd_x", 0.25),)))}
    assert found["g/loss"].points == [(2.0, 1.0), (3.0, 2.0)]
    assert (found["held_out/kd_x"].reference, found["held_out/kd_x"].line) == (0.25, "real")
    assert found["g/loss"].line == "1.00"


@pytest.mark.parametrize(
    ("loss", "players"),
    [
        ("non_saturating", (2 * math.log(2), math.log(2))),
        ("minimax", (2 * math.log(2), -math.log(2))),
        ("least_squares", (0.25, 0.125)),
        ("hinge", (2.0, 0.0)),
        ("relativistic", (math.log(2), math.log(2))),
        ("wasserstein", (0.0, None)),
    ],
)
def test_references_are_losses_where_nothing_can_be_told(loss, players):
    found = references(plan.make("gan", "digits", {"loss": loss}).config)
    names = ("discriminator/adversarial", "generator/adversarial")
    assert tuple(found.get(name) for name in names) == pytest.approx(players)
    assert found["discriminator/critic_gap"] == 0
    assert ("discriminator/D(x)" in found) == LOSSES[loss].probability


def test_a_moved_label_and_another_game_have_no_references():
    assert not references(plan.make("gan", "digits", {"label_smoothing": 0.1}).config)
    assert not references(plan.make("vae", "digits", {}).config)
    assert torch.is_grad_enabled()


# -- commands, and links


@pytest.mark.parametrize("model", registry.MODELS)
def test_a_command_makes_the_same_plan(model):
    for recipe in registry.entry(model).recipes():
        options = {"steps": 7, "batch_size": 5, "lr": 0.5, "levels": 2, "seed": 3}
        known = {o for part in plan.sections(model).values() for o in vars(part)["__match_args__"]}
        own = {name: value for name, value in options.items() if name in known}
        wanted = plan.make(model, "digits", own, recipe)
        words = shlex.split(command(wanted, "a b"))
        assert words[:3] == ["ptheta", "train", model]
        train = cli.commands["train"]
        assert isinstance(train, click.Group)
        made = train.get_command(click.Context(train), model)
        assert made is not None
        given = dict(made.make_context(model, words[3:]).params)
        assert given.pop("out") == "runs/a b"
        for name in ("resume", "more_data", "dry_run", "config"):
            given.pop(name)
        source, recipe = given.pop("data"), given.pop("recipe")
        chosen = {name: value for name, value in given.items() if value is not None}
        assert plan.make(model, source, chosen, recipe) == wanted


def test_a_command_is_one_printable_line():
    made = plan.make("vae", "digits", {"where": ("a=\x1b[2J",)})
    line = command(replace(made, source="x\n```\nrm -rf '$(id)'"), "a\x1b[31mb")
    assert line.isprintable()
    assert shlex.split(line)[4] == "x\\n```\\nrm -rf '$(id)'"


def test_links_keep_any_text():
    links = Links(glossary(["kd_x", "kd_x_test"]))
    made = str(links.line("<b> kernel distance (x) 3 & seed=1 95 % intervalx"))
    assert made.startswith("&lt;b&gt; ")
    assert "&amp;" in made
    assert made.count("<a ") == 1
