"""`ptheta neighbours`: its tables, its files, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import ptheta
from ptheta.cli.commands import cli
from ptheta.errors import PthetaError

QUIET: dict[str, Any] = {"steps": 2, "batch_size": 16, "evaluate_every": 0, "sample_every": 0}


@pytest.fixture(scope="module")
def runs(strokes: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("near")
    fit: dict[str, Any] = {"batch_size": 64, "epochs": 1}
    ptheta.train("kde", strokes, out / "kde", width=0.01, **fit)
    ptheta.train("cvae", strokes, out / "cvae", hidden=(4,), latent=2, **QUIET)
    ptheta.train("ae", strokes, out / "ae", hidden=(4,), latent=2, **QUIET)
    ptheta.train("gaussian", rows, out / "table", label_column="label", **fit)
    ptheta.train("kde", rows, out / "copied", label_column="label", width=1e-3, **fit)
    return {name: out / name for name in ("kde", "cvae", "ae", "table", "copied")}


def said(*args: object) -> str:
    done = CliRunner().invoke(cli, [str(a) for a in args])
    if isinstance(done.exception, PthetaError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_model_that_copies_is_flagged_and_everything_is_written(runs, tmp_path):
    out, table = tmp_path / "near.png", tmp_path / "near.csv"
    asked = ("neighbours", runs["kde"], "--drawn", 40, "-k", 2, "-n", 5)
    text = said(*asked, "--out", out, "--table", table)
    for words in ("copies among the samples", "unseen (floor)", "noisy copies", "closest of all"):
        assert words in text
    assert all(len(line) <= 80 for line in text.splitlines()[:-3])
    wide, tall = Image.open(out).size, Image.open(tmp_path / "near-closest.png").size
    assert tall[1] > wide[1]  # 5 in each space, one space after the other
    with table.open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 40 * 2 * 2
    assert {line["space"] for line in lines} == {"pixels", "features"}
    assert all((line["unseen_as_near"] == "") == (line["rank"] == "2") for line in lines)
    told = json.loads(said(*asked, "--json"))
    assert told["copies"] is True
    pixels = told["spaces"]["pixels"]["sides"]
    firsts = [float(x["distance"]) for x in lines if x["space"] == "pixels" and x["rank"] == "1"]
    assert np.median(firsts) == pytest.approx(pixels["samples"]["quantiles"]["0.5"], rel=0.05)
    assert pixels["copies"]["quantiles"]["0.5"] == 0
    with pytest.raises(PthetaError, match="already exists: give another name, or --force"):
        said(*asked, "--out", out)
    out.unlink()
    with pytest.raises(PthetaError, match=r"near-closest\.png already exists"):
        said(*asked, "--out", out)
    said(*asked, "--out", out, "--force")


def test_random_samples_and_the_closest_are_apart(runs):
    found = ptheta.neighbours(runs["kde"], drawn=30, k=2, space=["pixels"])
    random, closest = found.random(4), found.nearest(4)
    assert random.n == closest.n == 4 * 3
    assert [text.split(":")[0] for text in random.captions] == ["0", "1", "2", "3"]
    near = found.found["pixels"].samples
    order = near.distances[:, 0].argsort(stable=True)[:4].tolist()
    assert [int(text.split()[1][:-1]) for text in closest.captions] == order
    assert "uncurated" in random.title
    assert "closest" in closest.title
    assert repr(found) == "Nearby(30 samples in pixels: copies among them)"
    assert "<table" in found._repr_html_()


def test_the_closest_are_those_of_ptheta_closest(runs):
    found = ptheta.neighbours(runs["cvae"], drawn=30, k=1, space=["pixels"])
    samples, images = ptheta.closest(runs["cvae"], n=30, pairs=6)
    near = found.found["pixels"].samples
    at = near.closest(6)
    assert torch.equal(samples, found.x[at])
    assert torch.equal(images, found.train.batch(near.places[at, 0].numpy()).x)


def test_images_of_any_origin_are_held_against_the_training_images(strokes, tmp_path):
    place = tmp_path / "made"
    place.mkdir()
    known = ptheta.open_data(strokes)
    for i in range(12):
        Image.fromarray(known[i][0][0].numpy()).save(place / f"{i}.png")
    found = ptheta.neighbours(place, strokes, space=["pixels"])
    assert found.copies
    assert (found.found["pixels"].samples.distances[:, 0] == 0).all()
    moved = ptheta.neighbours(place, strokes, space=["pixels"], shifts=1, mirror=True)
    assert moved.copies
    with pytest.raises(PthetaError, match="is not a run"):
        ptheta.neighbours(place)


def test_rows_of_a_table_come_with_the_rows_that_they_are_near_to(runs, rows, tmp_path):
    out = tmp_path / "near.csv"
    said("neighbours", runs["table"], "--drawn", 20, "-k", 1, "--out", out)
    with out.open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 40  # each sample as rank 0, and its neighbour
    own, near = lines[0], lines[1]
    assert (own["rank"], near["rank"], near["space"]) == ("0", "1", "columns")
    assert own["pet"] in ("cat", "dog", "owl")
    texts = rows.read_text().splitlines()[int(near["row"]) + 1].split(",")
    assert float(texts[0]) == pytest.approx(float(near["height"]))
    assert texts[2] == near["pet"]
    assert not ptheta.neighbours(runs["table"]).copies
    assert ptheta.neighbours(runs["copied"]).copies


REFUSED: dict[str, tuple[tuple[object, ...], str]] = {
    "cannot sample": (("ae",), "ptheta fit"),
    "a picture of rows": (("table", "--out", "x.png"), "an image of samples, is for images"),
    "moves of rows": (("table", "--shifts", 1), "--shifts and --mirror"),
    "pixels of rows": (("table", "--space", "pixels"), "unknown space of rows 'pixels'"),
    "features of rows": (
        ("table", "--extractor", "digits"),
        "--extractor needs the features space",
    ),
    "features unasked": (("kde", "--space", "pixels", "--extractor", "digits"), "--space features"),
    "no such space": (("kde", "--space", "pixel"), "did you mean"),
    "no such place": (("kde", "--out", "x.tiff"), "--out x.tiff: want .png"),
    "two tables": (("kde", "--out", "a.csv", "--table", "b.csv"), "are both tables"),
    "too few": (("kde", "--drawn", 9), "--drawn 9: want 10 or more"),
    "too far": (("kde", "--shifts", 17), "--shifts 17: want 16 or less"),
    "size of a run": (("kde", "--size", 8), "--size: only for IMAGES of any origin"),
    "no data": (("kde", "--data", "nowhere"), "nowhere"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_said_in_one_line(case, runs):
    (name, *options), words = REFUSED[case]
    with pytest.raises(PthetaError) as error:
        said("neighbours", runs[str(name)], *options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
