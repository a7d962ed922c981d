"""`ptheta denoise` and `ptheta reconstruct`: their tables, and pictures that a user names."""

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
from ptheta import tasks
from ptheta.api import Compared
from ptheta.cli.commands import cli
from ptheta.errors import PthetaError
from ptheta.measures.errors import psnr
from ptheta.measures.similarity import ssim
from ptheta.runs.folder import Run
from ptheta.specs import VectorSpec
from ptheta.tasks.denoise import FLOORS, Damage, repaired
from ptheta.tasks.denoise.principal import Principal
from tests.cli.test_inpaint import pixels, written
from tests.cli.test_options import said

SIDE = 16
QUICK: dict[str, Any] = {"steps": 2, "batch_size": 20, "evaluate_every": 0, "sample_every": 0}


@pytest.fixture(scope="module")
def runs(strokes: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    nets: dict[str, Any] = {**QUICK, "hidden": (8,), "latent": 3}
    labelled = {**nets, "condition": "labels"}
    made = {
        "gaussian": ptheta.train("gaussian", strokes, folder / "gaussian", ridge=1.0),
        "ae": ptheta.train("ae", strokes, folder / "ae", **nets),
        "cvae": ptheta.train("cvae", strokes, folder / "cvae", **labelled),
        "made": ptheta.train("made", strokes, folder / "made", levels=2, hidden=(4,), **QUICK),
        "rows": ptheta.train("gaussian", rows, folder / "rows"),
    }
    return {name: run.path for name, run in made.items()}


def about(*args: object) -> Any:
    """The JSON that a command prints, whatever it says beside it."""
    return json.loads(CliRunner().invoke(cli, [str(a) for a in (*args, "--json")]).stdout)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        grey = noise.integers(60, 180, (SIDE, SIDE)).astype(np.uint8)
        written(tmp_path / "in" / f"{name}.png", grey)
    written(tmp_path / "large.png", np.zeros((20, 30), np.uint8))
    (tmp_path / "text.png").write_text("a picture")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_the_table_is_of_each_noise_and_level(runs):
    asked = ("--noise", "gaussian", "--noise", "masking", "--level", 0.1, "--level", 0.3)
    text = said("denoise", runs["gaussian"], *asked, "--measured", 20)
    assert max(map(len, text.splitlines())) <= 80
    for title in ("gaussian noise, level 0.1", "masking noise, level 0.3"):
        assert title in text
    assert text.count("median") >= 4
    assert "20 test images" in text
    found = about("denoise", runs["gaussian"], *asked, "--measured", 20)
    pairs = [(one["noise"], one["level"]) for one in found["results"]]
    assert pairs == [(n, level) for n in ("gaussian", "masking") for level in (0.1, 0.3)]
    assert found["images"] == 20
    for one in found["results"]:
        assert list(one["scores"]) == ["model", *FLOORS]
        low, high = one["scores"]["PCA"]["psnr"]["interval_95"]
        assert low < one["scores"]["PCA"]["psnr"]["value"] < high


def test_the_table_and_the_picture_are_what_is_computed_by_hand(runs, tmp_path):
    run = Run.open(runs["gaussian"])
    found = ptheta.denoise(run, "gaussian", 0.2, n=3, measured=11, seed=4, out=tmp_path / "x.npy")
    assert isinstance(found, Compared)
    x = run.data("test").batch(slice(0, 11)).x
    damage = Damage("gaussian", 0.2, 4)
    model = repaired(run.model(), damage.of(x), damage)
    (one,) = found.comparisons
    assert one.model.values["psnr"].value == psnr(model, x).mean().item()
    assert one.model.values["ssim"].value == ssim(model, x).mean().item()
    grid = np.load(tmp_path / "x.npy").reshape(3, 5, 1, SIDE, SIDE)
    assert (grid[:, 0] == x[:3].numpy()).all()
    assert (grid[:, 1] == damage.of(x)[:3].numpy()).all()
    assert (grid[:, 2] == model[:3].numpy()).all()
    assert torch.equal(found.x, ptheta.denoise(run, "gaussian", 0.2, n=3, seed=4).x)
    picture = tmp_path / "x.png"
    said("denoise", runs["ae"], "-n", 2, "--level", 0.1, "--level", 0.2, "--out", picture)
    assert Image.open(picture).size[1] > 4 * SIDE


def test_where_a_floor_wins_a_line_says_so(runs):
    text = said("denoise", runs["ae"], "--level", 0.01, "--measured", 40)
    lines = [line for line in text.splitlines() if line.startswith("noisy is better than ae")]
    assert ["PSNR by" in lines[0], "SSIM by" in lines[1]] == [True, True]
    assert max(map(len, lines)) <= 80
    found = about("denoise", runs["ae"], "--level", 0.01, "--measured", 40)
    gap = found["results"][0]["better_than_model"]["noisy"]["psnr"]
    scores = found["results"][0]["scores"]
    away = scores["noisy"]["psnr"]["value"] - scores["model"]["psnr"]["value"]
    assert gap["value"] == pytest.approx(away)
    assert gap["interval_95"][0] > 0


def test_reconstruction_stands_beside_components_and_the_mean(runs):
    run = Run.open(runs["ae"])
    found = ptheta.reconstruct(run, n=2, measured=15)
    assert isinstance(found, Compared)
    train, test = found.comparisons
    assert [one.about["split"] for one in found.comparisons] == ["train", "test"]
    assert [one.name for one in test.scores] == ["model", "PCA", "mean image"]
    x = run.data("test").batch(slice(0, 15)).x
    made = tasks.reconstruct(run.model(), x)
    assert test.model.values["psnr"].value == psnr(made, x).mean().item()
    everything = run.own().images
    assert everything is not None
    axes = Principal.of(everything.batch(slice(None)).x)
    wanted = psnr(axes.image(x, 3), x).mean().item()
    assert test.scores[1].values["psnr"].value == pytest.approx(wanted, rel=1e-6)
    assert test.scores[1].note == "3 components"
    seen = everything.batch(slice(0, 15)).x
    assert train.scores[2].values["psnr"].value == pytest.approx(
        psnr(axes.image(seen, 0), seen).mean().item(), rel=1e-6
    )
    found = about("reconstruct", runs["ae"], "--measured", 15)
    assert found["results"][1]["scores"]["model"]["psnr"]["value"] == pytest.approx(
        psnr(made, x).mean().item()
    )


def test_other_images_have_no_floors_of_training_images(runs):
    others = np.random.default_rng(3).integers(0, 255, (40, SIDE, SIDE), dtype=np.uint8)
    with pytest.warns(UserWarning, match="is not the data"):
        found = ptheta.denoise(runs["ae"], n=2, data=others)
    assert isinstance(found, Compared)
    assert [one.name for one in found.comparisons[0].scores] == ["model", "noisy", "median"]
    assert any(
        "training images are not available: PCA and the mean are left out" in line
        for line in found.remarks
    )


def test_a_folder_is_repaired_as_it_is_under_its_names(runs, place):
    given = ("--image", place / "in", "--out")
    said("denoise", runs["gaussian"], *given, place / "done", "--level", 0.1)
    model, damage = ptheta.load(runs["gaussian"]), Damage("gaussian", 0.1)
    for name in ("a.png", "b.png", "c.png"):
        x = torch.from_numpy(pixels(place / "in" / name).copy())[None, None]
        assert (pixels(place / "done" / name) == repaired(model, x, damage)[0, 0].numpy()).all()
    said("denoise", runs["ae"], *given, place / "ae")
    said("reconstruct", runs["ae"], *given, place / "back")
    for name in ("a.png", "b.png", "c.png"):  # a code knows no damage
        assert (pixels(place / "ae" / name) == pixels(place / "back" / name)).all()
    said("reconstruct", runs["ae"], "--image", place / "in" / "c.png", "--out", place / "one")
    assert (pixels(place / "one" / "c.png") == pixels(place / "back" / "c.png")).all()
    assert sorted(path.name for path in (place / "one").glob("*.png")) == ["c.png"]


def test_noise_is_added_where_it_is_asked_for(runs, place):
    given = {"image": place / "in", "noise": "masking", "level": 0.3}
    found = ptheta.denoise(runs["gaussian"], **given, out=place / "x.npy")
    x, noisy, _ = found.x.view(3, 3, 1, SIDE, SIDE).unbind(1)
    assert torch.equal(noisy, Damage("masking", 0.3).of(x))
    alone = ptheta.denoise(runs["gaussian"], **{**given, "image": place / "in" / "a.png"})
    assert torch.equal(alone.x, found.x[:3])


def test_a_folder_is_gone_on_with_and_another_request_is_refused(runs, place):
    given = ("--image", place / "in", "--out", place / "done")
    said("reconstruct", runs["ae"], *given)
    before = {path.name: path.read_bytes() for path in (place / "done").glob("*.png")}
    (place / "done" / "b.png").unlink()
    said("reconstruct", runs["ae"], *given)
    assert {path.name: path.read_bytes() for path in (place / "done").glob("*.png")} == before
    for verb, *options in (("denoise",), ("denoise", "--noise", "masking")):
        with pytest.raises(PthetaError) as error:
            said(verb, runs["ae"], *given, *options)
        assert "\n" not in str(error.value)
    with pytest.raises(PthetaError, match="contains other files"):
        said("reconstruct", runs["ae"], "--image", place / "in", "--out", place / "in")


def test_pictures_of_a_conditional_model_say_what_they_are(runs, place):
    given = ("--image", place / "in", "--out", place / "x.npy")
    with pytest.raises(PthetaError, match="conditional on labels: give the conditions"):
        said("reconstruct", runs["cvae"], *given)
    said("reconstruct", runs["cvae"], *given, "--label", "1")
    assert np.load(place / "x.npy").shape == (6, 1, SIDE, SIDE)
    assert "3 test images" in said("denoise", runs["cvae"], "--measured", 3, "-n", 3)


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "unknown noise": (("denoise", "ae", "--noise", "rain"), "unknown noise"),
    "negative level": (("denoise", "ae", "--level", "-1"), "--level -1"),
    "no probability": (("denoise", "ae", "--noise", "masking", "--level", "2"), "0 to 1"),
    "a table": (("denoise", "rows"), "is for images, and this model learned"),
    "a table, back": (("reconstruct", "rows"), "is for images, and this model learned"),
    "no codes": (("denoise", "made"), "it has no `decode` and no `encode`"),
    "no codes, back": (("reconstruct", "gaussian"), "it has no `decode` and no `encode`"),
    "no picture": (("denoise", "ae", "--image", "text.png"), "text.png: cannot be read"),
    "no file": (("reconstruct", "ae", "--image", "gone"), "no such file or folder"),
    "empty": (("denoise", "ae", "--image", "empty"), "no images in this folder"),
    "size": (("denoise", "ae", "--image", "large.png"), "this model repairs images of 16x16"),
    "size, back": (("reconstruct", "ae", "--image", "large.png"), "model reconstructs images of"),
    "two levels": (
        ("denoise", "ae", "--image", "in", "--noise", "masking", "--level", "0.1", "--level", "1"),
        "give one --noise and one --level",
    ),
    "no level": (
        ("denoise", "gaussian", "--image", "in"),
        "the standard deviation of the Gaussian noise",
    ),
    "level of none": (("denoise", "ae", "--image", "in", "--level", "0.1"), "--level without"),
    "test images": (
        ("denoise", "ae", "--image", "in", "-n", "3"),
        "-n applies only to test images",
    ),
    "their table": (
        ("reconstruct", "ae", "--image", "in", "--measured", "3"),
        "--measured applies only",
    ),
    "labels": (("denoise", "ae", "--label", "1"), "takes no labels"),
    "their labels": (("denoise", "cvae", "--label", "1"), "test images have their own"),
    "nothing": (("denoise", "ae", "--measured", "0"), "--measured 0: want 1 or more"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line_and_nothing_is_written(case, runs, place, monkeypatch):
    monkeypatch.chdir(place)
    (verb, name, *options), words = REFUSED[case]
    with pytest.raises(PthetaError) as error:
        said(verb, runs[name], *options, "--out", "x.npy")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert not Path("x.npy").exists()


def test_a_level_is_a_number(runs):
    wrong: list[Any] = ["0.5", True, [0.1, "much"]]
    for odd in wrong:
        with pytest.raises(PthetaError, match="want a number, or several"):
            ptheta.denoise(runs["ae"], level=odd)


def test_pictures_want_a_place(runs, place):
    with pytest.raises(PthetaError, match="--image needs a folder"):
        said("denoise", runs["ae"], "--image", place / "in")
    assert isinstance(Run.open(runs["rows"]).spec, VectorSpec)
