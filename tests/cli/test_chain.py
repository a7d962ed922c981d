"""`ptheta chain`: its film, its table, and what it refuses."""

from __future__ import annotations

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
    out = tmp_path_factory.mktemp("chains")
    small: dict[str, Any] = {"hidden": 4, "chains": 5, "sweeps": 3, **QUIET}
    ptheta.train("rbm", strokes, out / "rbm", levels=2, **small)
    ptheta.train("rbm", rows, out / "rows", label_column="label", **small)
    ptheta.train("vae", strokes, out / "vae", hidden=(4,), latent=2, **QUIET)
    return {name: out / name for name in ("rbm", "rows", "vae")}


def said(*args: object) -> str:
    done = CliRunner().invoke(cli, [str(a) for a in args])
    if isinstance(done.exception, PthetaError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_film_has_a_row_for_each_chain_and_the_table_says_how_it_forgets(runs, tmp_path):
    asked = ("chain", runs["rbm"], "--steps", 20, "--chains", 3, "--every", 5, "--seed", 3)
    text = said(*asked, "--out", tmp_path / "film.png", "--scale", 1)
    assert Image.open(tmp_path / "film.png").size == (4 * 17 - 1, 3 * 17 - 1)
    for words in ("energy", "mean", "effective sample size", "20 steps of 3 chains", "lag, steps"):
        assert words in text
    assert "class" not in text  # no classifier was trained on such images
    said(*asked, "--out", tmp_path / "film.npy")
    film = np.load(tmp_path / "film.npy")
    assert film.shape == (12, 1, 16, 16)
    found = ptheta.chain(runs["rbm"], steps=20, chains=3, every=5, seed=3)
    assert found.images is not None
    again = torch.cat([part.x for part in found.images.parts(0)])
    assert torch.equal(again, torch.from_numpy(film))
    assert repr(found).startswith("Chained(3 chains")
    assert "<img" in found._repr_html_()


def test_a_gif_moves(runs, tmp_path):
    asked = ("chain", runs["rbm"], "--steps", 12, "--chains", 4, "--every", 3, "--json")
    found = json.loads(said(*asked, "--out", tmp_path / "film.gif", "--extractor", "digits"))
    film = Image.open(tmp_path / "film.gif")
    assert film.n_frames == 4  # type: ignore[attr-defined]
    assert film.size[0] == film.size[1]
    assert set(found["of"]) == {"energy", "mean", "class"}
    assert 0 <= found["class_changes"] <= 1
    assert len(found["of"]["mean"]["autocorrelation"]) in (0, 12)


def test_a_film_makes_its_folder_and_is_refused_before_the_chain_where_it_is_too_long(
    runs, tmp_path
):
    said("chain", runs["rbm"], "--steps", 2, "--chains", 1, "--out", tmp_path / "new/film.gif")
    assert (tmp_path / "new/film.gif").is_file()
    long = ("chain", runs["rbm"], "--every", 1, "--steps", 2_000_000_000)
    with pytest.raises(PthetaError, match=r"keep fewer states \(--every\)"):
        said(*long, "--out", tmp_path / "film.gif")
    with pytest.raises(PthetaError, match="--scale 9999"):
        said(*long, "--out", tmp_path / "film.gif", "--scale", 9999)


def test_chains_of_a_table_have_no_film(runs, tmp_path):
    assert "energy" in said("chain", runs["rows"], "--steps", 9)
    for film in ("film.png", "film.gif"):
        with pytest.raises(PthetaError, match=r"a film is for images.*: leave out --out"):
            said("chain", runs["rows"], "--out", tmp_path / film)
    with pytest.raises(PthetaError, match="apply only to images"):
        said("chain", runs["rows"], "--extractor", "digits")


REFUSED: dict[str, tuple[tuple[object, ...], str]] = {
    "no chain": (("vae",), "it has no `chain_start` and no `transition`"),
    "one step": (("rbm", "--steps", 1), "--steps 1: want 2 or more"),
    "no chains": (("rbm", "--chains", 0), "--chains 0: want 1 or more"),
    "no classes": (("rbm", "--extractor", "pixels"), "is not a classifier"),
    "no film": (("rbm", "--out", "film.tiff"), "--out film.tiff: want"),
    "no such data": (("rbm", "--data", "nowhere"), "nowhere"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_said_in_one_line(case, runs):
    (name, *options), words = REFUSED[case]
    with pytest.raises(PthetaError) as error:
        said("chain", runs[str(name)], *options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_model_that_only_its_chain_draws_from_says_so(tmp_path):
    run = ptheta.train("dae", "points-moons", tmp_path / "dae", recipe="points", steps=1)
    with pytest.raises(
        PthetaError, match=r"ptheta fit\), or sample by its Markov chain \(ptheta chain\)"
    ):
        ptheta.sample(run.path, 2)
