"""`ptheta classify`: its table, its rows, its picture, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ptheta
from ptheta.errors import PthetaError
from tests.cli.test_chain import QUIET, said


@pytest.fixture(scope="module")
def runs(strokes: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("classifiers")
    made: dict[str, Any] = {**QUIET, "steps": 20, "condition": "labels"}
    ptheta.train("made", strokes, out / "made", levels=2, hidden=(60,), **made)
    ptheta.train("cvae", rows, out / "rows", net="mlp", hidden=(8,), latent=2, **made)
    ptheta.train("vae", strokes, out / "vae", hidden=(4,), latent=2, **QUIET)
    ptheta.train("made", strokes, out / "plain", hidden=(4,), **QUIET)
    return {name: out / name for name in ("made", "rows", "vae", "plain")}


def test_held_out_examples_are_classified_and_measured(runs, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out, show = tmp_path / "new" / "p.csv", tmp_path / "r.png"
    text = said("classify", runs["made"], "--out", out, "--show", show)
    for words in (
        "p(x | y) p(y)",
        "accuracy, %",
        "logistic",
        "nearest",
        "slope",
        "predicted class",
    ):
        assert words in text
    assert max(len(s) for s in text.splitlines() if str(tmp_path) not in s) <= 80
    with out.open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 23
    for row in found:
        assert float(row["p(0)"]) + float(row["p(1)"]) == pytest.approx(1)
        assert row["class"] == str(int(float(row["p(1)"]) > 0.5))
    right = sum(row["class"] == row["label"] for row in found)
    told = json.loads(said("classify", runs["made"], "--json"))
    assert told["measured"]["model"]["accuracy"]["value"] == pytest.approx(right / 23)
    assert sum(map(sum, told["confusion"])) == 23
    assert Image.open(show).size[0] > 500
    with pytest.raises(PthetaError, match="already exists"):
        said("classify", runs["made"], "--out", out)
    said("classify", runs["made"], "--out", out, "--force", "-n", 5)
    assert len(out.read_text().splitlines()) == 6


def test_own_pictures_are_classified_whatever_they_are_called(runs, tmp_path):
    rng, folder = np.random.default_rng(3), tmp_path / "mine"
    folder.mkdir()
    for i in range(4):
        picture = rng.integers(0, 256, (30, 20, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{i}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    found = ptheta.classify(runs["made"], folder)
    assert list(found.names) == [f"{i}.png" for i in range(4)]
    assert (found.labels, found.measured, found.confusion) == (None, {}, None)
    assert "bad.png" in found.remarks[0]
    assert "0.png" in said("classify", runs["made"], folder)
    with pytest.raises(PthetaError, match=r"--show needs labels, and .* has none: leave it out"):
        said("classify", runs["made"], folder, "--show", tmp_path / "x.png")


def test_labels_of_other_names_are_not_used(runs, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(2):
            noise = np.random.default_rng(i).integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / name / f"{i}.png")
    found = ptheta.classify(runs["made"], tmp_path)
    assert found.labels is None
    assert "unknown label 'cat'" in found.remarks[0]


def test_rows_of_tables_are_classified_by_a_bound(runs, rows):
    found = ptheta.classify(runs["rows"], rows, label_column="label", samples=4, prior="uniform")
    assert found.found.names == ("grown", "small")
    assert found.found.how == "by importance bound, k = 4"
    assert found.measured["logistic"].accuracy.value == 1.0
    assert "among the training rows" in found.remarks[0]


def test_without_its_data_a_run_classifies_by_a_uniform_prior(strokes, tmp_path):
    with np.load(strokes) as file:
        images, labels = file["images"], file["labels"]
    made: dict[str, Any] = {**QUIET, "condition": "labels", "hidden": (4,)}
    ptheta.train("made", (images, labels), tmp_path / "made", **made)
    with pytest.raises(PthetaError, match=r"in memory: .*--data.*; or use --prior uniform"):
        ptheta.classify(tmp_path / "made", strokes)
    found = ptheta.classify(tmp_path / "made", strokes, prior="uniform", n=9)
    assert list(found.measured) == ["model"]
    assert "no baselines" in found.remarks[0]


REFUSED: dict[str, tuple[tuple[object, ...], str]] = {
    "no labels": (("plain",), "without labels"),
    "takes none": (("vae",), "this model cannot classify: it takes no labels; models that can"),
    "prior": (("made", "--prior", "flat"), "unknown prior 'flat'"),
    "samples": (("made", "--samples", 0), "--samples 0: want 1 or more"),
    "split": (("made", "--split", "test"), "--split test needs a SOURCE"),
    "no source": (("made", "nowhere"), "nowhere"),
    "out": (("made", "--out", "x.txt"), "--out x.txt: want .csv"),
    "show": (("made", "--show", "x.pdf"), "--show x.pdf: want .png"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_said_in_one_line(case, runs):
    (name, *options), words = REFUSED[case]
    with pytest.raises(PthetaError) as error:
        said("classify", runs[str(name)], *options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
