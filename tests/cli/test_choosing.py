"""`ptheta ratio`, and `ptheta sample` with samples that are chosen or more alike."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import ptheta
from ptheta import tasks
from ptheta.cli.commands import cli
from ptheta.errors import PthetaError

QUIET: dict[str, Any] = {"steps": 2, "batch_size": 16, "evaluate_every": 0, "sample_every": 0}


@pytest.fixture(scope="module")
def runs(strokes: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("choosing")
    small: dict[str, Any] = {"features": 4, "latent": 4, **QUIET}
    ptheta.train("dcgan", strokes, out / "dcgan", **small)
    ptheta.train("wgan", strokes, out / "wgan", **small)
    ptheta.train("gan", rows, out / "rows", label_column="label", **small)
    ptheta.train("made", strokes, out / "made", levels=2, hidden=(8,), **QUIET)
    return {name: out / name for name in ("dcgan", "wgan", "rows", "made")}


def said(*args: object) -> str:
    done = CliRunner().invoke(cli, [str(a) for a in args])
    if isinstance(done.exception, PthetaError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_ratios_and_their_files_say_the_same(runs, tmp_path):
    out, show = tmp_path / "r.csv", tmp_path / "r.png"
    text = said("ratio", runs["dcgan"], "--no-floors", "--out", out, "--show", show, "-n", 2)
    for words in ("slope before calibration", "calibrated on", "most real", "1 is calibrated"):
        assert words in text
    assert all(len(line) <= 80 for line in text.splitlines()[:-2])
    with out.open() as file:
        lines = list(csv.DictReader(file))
    told = json.loads(said("ratio", runs["dcgan"], "--no-floors", "--json"))
    assert told["examples"] == len(lines)
    assert told["rated"].keys() == {"discriminator", "calibrated"}
    assert Image.open(show).size[0] > 0
    for line in lines[:5]:
        assert float(line["ratio"]) == pytest.approx(np.exp(float(line["log_ratio"])), rel=1e-3)


def test_own_pictures_and_rows_have_a_ratio(runs, rows, tmp_path):
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "a.png")
    found = ptheta.ratio(runs["dcgan"], tmp_path, floors=False, calibration="isotonic")
    assert list(found.names) == ["a.png"]
    assert repr(found).startswith("Real(1 examples")
    beside = ptheta.ratio(runs["rows"], rows, split="train", held_out=30)
    assert {"logistic", "trees"} <= beside.found.rated().keys()


@pytest.mark.parametrize("way", ["drs", "mh"])
def test_samples_are_chosen_and_how_many_is_said(way, runs, tmp_path):
    flags = ("--reject",) if way == "drs" else ("--reject", way)
    text = said("sample", runs["dcgan"], "-n", 5, "--out", tmp_path / "x.npy", *flags)
    assert ("of samples kept, M = " if way == "drs" else "chains of 100 samples") in text
    first = ptheta.sample(runs["dcgan"], 5, reject=way)
    assert np.array_equal(np.load(tmp_path / "x.npy"), first.x.numpy())
    told = said("sample", runs["rows"], "-n", 5, "--out", tmp_path / "x.csv", *flags)
    assert "5 rows; " in told


def test_samples_may_be_more_alike(runs, tmp_path):
    cold = tmp_path / "cold.npy"
    said("sample", runs["made"], "-n", 6, "--temperature", 1e-6, "--out", cold)
    assert len(np.unique(np.load(cold), axis=0)) == 1
    plain = ptheta.sample(runs["made"], 6, temperature=1.0)
    model = ptheta.load(runs["made"])
    assert np.array_equal(plain.x.numpy(), tasks.sample(model, 6).numpy())
    about = said("sample", runs["dcgan"], "-n", 3, "--truncation", 0.5, "--out", cold)
    assert "codes within 0.5" in about


def test_a_tradeoff_is_a_curve_and_a_table(runs, tmp_path):
    asked = ("tradeoff", runs["made"], "--values", "0.2,1", "-n", 22, "--extractor", "pixels")
    text = said(*asked, "--out", tmp_path / "curve.png")
    for words in ("temperature 0.2", "temperature 1 ", "plain samples", "(baseline)", "recall"):
        assert words in text
    assert all(len(line) <= 80 for line in text.splitlines()[:-1])
    assert Image.open(tmp_path / "curve.png").size[0] > 100
    told = json.loads(said(*asked, "--json"))
    assert [point["value"] for point in told["points"]] == [0.2, 1.0, None, None]
    assert told["points"][1]["precision"] == told["points"][2]["precision"]
    few: Any = ptheta.tradeoff(runs["dcgan"], n=6, values=[0.5]).to_json()["points"]
    assert few[0]["precision"]["interval"] == [0.0, 1.0]  # too few to know an error
    assert ptheta.tradeoff(runs["rows"], n=22, values=[0.5]).found.by == "truncation"
    with pytest.raises(PthetaError, match="already exists"):
        said(*asked, "--out", tmp_path / "curve.png")


REFUSED: dict[str, tuple[tuple[object, ...], str]] = {
    "no discriminator": (("ratio", "made"), "it has no `log_ratio`"),
    "no ratio": (
        ("ratio", "wgan"),
        "loss = wasserstein: its optimal discriminator is not a function",
    ),
    "no calibration": (("ratio", "dcgan", "--calibration", "x"), "unknown calibration 'x'"),
    "part of nothing": (("ratio", "dcgan", "--split", "test"), "needs a SOURCE"),
    "rejecting without": (("sample", "wgan", "--reject"), "loss = wasserstein"),
    "rejecting none": (("sample", "made", "--reject"), "it has no `log_ratio`"),
    "unknown way": (("sample", "dcgan", "--reject", "no"), "unknown way to reject 'no'"),
    "two ways": (("sample", "dcgan", "--reject", "--truncation", 1), "give one"),
    "data alone": (("sample", "dcgan", "--data", "x"), "only used with --reject"),
    "cut to nothing": (("sample", "dcgan", "--truncation", 0), "want more than 0"),
    "cold GAN": (("sample", "dcgan", "--temperature", 1), "it has no `sample_at`"),
    "too cold": (("sample", "made", "--temperature", 1e-300), "want 1e-06 to 1e+06"),
    "too hot": (("tradeoff", "made", "--values", "0.5,1e300"), "want 1e-06 to 1e+06"),
    "no curve": (("tradeoff", "made", "--values", "0"), "0: want more than 0"),
    "no number": (("tradeoff", "made", "--values", "x"), "x: want a number"),
    "no codes": (("sample", "made", "--truncation", 1), "it has no `sample_truncated`"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_said_in_one_line(case, runs, tmp_path):
    (verb, name, *options), words = REFUSED[case]
    more = ("--out", tmp_path / "x.npy") if verb == "sample" else ()
    with pytest.raises(PthetaError) as error:
        said(verb, runs[str(name)], *more, *options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
