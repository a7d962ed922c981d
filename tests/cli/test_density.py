"""`ptheta density`: its tables, its files, and what it refuses."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import ptheta
from ptheta.cli.commands import cli
from ptheta.errors import PthetaError

QUIET: dict[str, Any] = {"steps": 2, "batch_size": 16, "evaluate_every": 0, "sample_every": 0}


@pytest.fixture(scope="module")
def runs(strokes: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("densities")
    ptheta.train("made", strokes, out / "made", levels=2, hidden=(8,), **QUIET)
    ptheta.train("cvae", strokes, out / "cvae", hidden=(4,), latent=2, **QUIET)
    ptheta.train("dcgan", strokes, out / "dcgan", features=4, latent=4, **QUIET)
    ptheta.train("gaussian", rows, out / "table", label_column="label", batch_size=64, epochs=2)
    return {name: out / name for name in ("made", "cvae", "dcgan", "table")}


def said(*args: object) -> str:
    done = CliRunner().invoke(cli, [str(a) for a in args])
    if isinstance(done.exception, PthetaError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_tables_and_files_say_the_same(runs, tmp_path):
    out, show = tmp_path / "d.csv", tmp_path / "d.png"
    text = said("density", runs["made"], "--out", out, "--show", show, "-n", 3)
    for words in ("-log p =: exact", "gaussian (baseline)", "least likely", "held-out"):
        assert words in text
    assert "(exact)" not in text
    assert all(len(line) <= 80 for line in text.splitlines()[:-2])
    with out.open() as file:
        lines = list(csv.DictReader(file))
    told = json.loads(said("density", runs["made"], "--json"))
    assert told["relation"] == "="
    assert told["examples"] == len(lines)
    mean = -np.mean([float(line["log_p"]) for line in lines])
    assert told["nats"]["model"]["value"] == pytest.approx(mean, rel=1e-4)
    assert told["nats"].keys() == {"model", "gaussian", "independent"}
    assert Image.open(show).size[0] > Image.open(show).size[1]
    with pytest.raises(PthetaError, match="already exists"):
        said("density", runs["made"], "--out", out)


def test_own_pictures_are_ranked_among_held_out_ones(runs, tmp_path):
    place = tmp_path / "mine"
    place.mkdir()
    rng = np.random.default_rng(0)
    for name in "ab":
        Image.fromarray(rng.integers(0, 255, (16, 16), dtype=np.uint8)).save(place / f"{name}.png")
    found = ptheta.density(runs["made"], place)
    assert list(found.names) == ["a.png", "b.png"]
    assert set(found.means()) == {"model", "model, held out", "gaussian", "independent"}
    assert float(found.found.below.max()) <= 1.0
    assert repr(found).startswith("Likely(2 examples")


def test_rows_of_a_table_have_a_density(runs, rows):
    found = ptheta.density(runs["table"], rows, split="train")
    assert len(found.names) > 100
    assert "-log p" in said("density", runs["table"])


REFUSED: dict[str, tuple[tuple[object, ...], str]] = {
    "no likelihood": (("dcgan",), "cannot evaluate likelihoods"),
    "no picture of rows": (("table", "--show", "x.png"), "an image of examples, is for images"),
    "another suffix": (("made", "--out", "x.npy"), "--out x.npy: want .csv"),
    "no samples": (("made", "--samples", 0), "--samples 0: want 1 or more"),
    "one held out": (("made", "--held-out", 1), "--held-out 1: want 2 or more"),
    "no such source": (("made", "nowhere"), "nowhere"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_said_in_one_line(case, runs):
    (name, *options), words = REFUSED[case]
    with pytest.raises(PthetaError) as error:
        said("density", runs[str(name)], *options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_conditional_model_wants_labels(runs, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 16, 16), np.uint8))
    assert "importance bound" in said("density", runs["cvae"])
    with pytest.raises(PthetaError, match="has no labels"):
        said("density", runs["cvae"], tmp_path / "x.npy")


def test_pictures_of_any_name_and_size_are_told_in_lines_that_a_terminal_holds(
    runs, tmp_path, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    place = tmp_path / "mine"
    place.mkdir()
    names = ["a,b.png", "new\nline.png", "tab\t.png", os.fsdecode(b"\xff.png")]
    for i, name in enumerate(names):
        Image.fromarray(np.full((20, 31), 60 * i, np.uint8)).save((place / name).open("wb"), "png")
    text = said("density", runs["made"], place, "--out", tmp_path / "d.csv")
    assert "mine: images were resized to 16x16 pixels" in text
    for words in (r"new\nline.png", r"tab\t.png", r"\udcff.png"):
        assert words in text
    with (tmp_path / "d.csv").open(newline="") as file:
        found = [line["example"] for line in csv.DictReader(file)]
    assert set(found) == {*names[:3], r"\udcff.png"}
    text = said("density", runs["table"])
    assert all(len(line) <= 80 for line in text.splitlines())


def test_one_picture_has_no_interval(runs, tmp_path):
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "x.png")
    assert "unknown" in said("density", runs["made"], tmp_path)
    told = json.loads(said("density", runs["made"], tmp_path, "--json"))
    assert told["nats"]["model"]["interval"] is None
    assert len(told["nats"]["model, held out"]["interval"]) == 2
