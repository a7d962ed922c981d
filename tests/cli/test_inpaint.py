"""`ptheta inpaint` of pictures that a user names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ptheta
from ptheta.errors import PthetaError
from ptheta.files.captions import DARK, LIGHT
from ptheta.masks import TESTED
from ptheta.measures.rivals import SIGN, WINS
from ptheta.metrics.completion_scores import MEASURES
from tests.cli.test_options import said

SIDE = 16


@pytest.fixture(scope="module")
def runs(strokes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models of grey images of two levels, the second one of labels."""
    folder = tmp_path_factory.mktemp("runs")
    common: dict[str, Any] = {"levels": 2, "hidden": (4,), "steps": 1, "batch_size": 4}
    common |= {"evaluate_every": 0, "sample_every": 0}
    unlabelled = ptheta.train("made", strokes, folder / "made", **common)
    labelled = np.zeros((20, SIDE, SIDE), np.uint8), np.arange(20) % 2
    of_labels = ptheta.train("made", labelled, folder / "labels", condition="labels", **common)
    return {"made": unlabelled.path, "labels": of_labels.path}


def written(path: Path, pixels: np.ndarray | Image.Image) -> Path:
    path.parent.mkdir(exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two pictures and their masks, one of them with a grey edge, and pictures of many kinds."""
    noise = np.random.default_rng(0)
    for name in ("a", "b"):
        pixels = noise.integers(0, 2, (SIDE, SIDE)).astype(np.uint8) * 255
        written(tmp_path / "in" / f"{name}.png", pixels)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[3:9, 4:8], mask[3:9, 8], mask[3:9, 9] = 255, 128, 127
        written(tmp_path / "holes" / f"{name}.png", mask)
    written(tmp_path / "ones.png", (mask >= 128).astype(np.uint8))
    written(tmp_path / "none.png", np.zeros((SIDE, SIDE), np.uint8))
    written(tmp_path / "all.png", np.full((SIDE, SIDE), 255, np.uint8))
    written(tmp_path / "large.png", np.zeros((20, 30), np.uint8))
    colours = noise.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    written(tmp_path / "colour.png", colours)
    written(tmp_path / "alpha.png", Image.fromarray(colours).convert("RGBA"))
    (tmp_path / "text.png").write_text("a picture")
    (tmp_path / "empty").mkdir()
    return tmp_path


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_folder_of_pictures_is_completed_under_their_names(runs, place):
    hole = pixels(place / "holes" / "a.png") >= 128
    given = ("--image", place / "in", "--mask", place / "holes", "--out")
    assert "2 images, 1 completion each" in said("inpaint", runs["made"], *given, place / "done")
    for name in ("a.png", "b.png"):
        done, before = pixels(place / "done" / name), pixels(place / "in" / name)
        assert done.shape == before.shape
        assert (done[~hole] == before[~hole]).all()
        assert set(np.unique(done)) <= {0, 255}
    alone = ("--image", place / "in" / "b.png", "--mask", place / "ones.png", "--out")
    said("inpaint", runs["made"], *alone, place / "one")  # whatever stands beside it
    assert (pixels(place / "one" / "b.png") == pixels(place / "done" / "b.png")).all()
    said("inpaint", runs["made"], *given, place / "more", "--each", 2)
    names = sorted(path.name for path in (place / "more").glob("*.png"))
    assert names == ["a-1.png", "a-2.png", "b-1.png", "b-2.png"]


def test_a_grid_has_the_picture_its_hatched_hole_and_completions(runs, place):
    given = ("--image", place / "in", "--mask", "hole", "--each", 2, "--out", place / "x.npy")
    said("inpaint", runs["made"], *given)
    x = np.load(place / "x.npy").reshape(2, 4, SIDE, SIDE)
    hatched = (x[:, 1] == DARK) | (x[:, 1] == LIGHT)
    assert (hatched[0] != hatched[1]).any()  # each picture has a hole of its own
    assert all((x[i, 2:, ~hatched[i]] == x[i, 0, ~hatched[i]][:, None]).all() for i in (0, 1))


@pytest.mark.parametrize("name", ["colour", "alpha"])
def test_a_picture_becomes_one_of_the_model_and_what_is_lost_is_said(name, runs, place):
    with pytest.warns(UserWarning, match="have colour") as told:
        ptheta.inpaint(
            runs["made"], mask=place / "none.png", image=place / f"{name}.png", out=place / "done"
        )
    words = " ".join(str(warning.message) for warning in told)
    assert "rounded" in words
    assert "returned unchanged" in words
    grey = np.asarray(Image.open(place / "colour.png").convert("L"))
    assert (pixels(place / "done" / f"{name}.png") == np.where(grey > 127, 255, 0)).all()


def test_nothing_known_and_labels(runs, place):
    given = {"image": place / "in", "mask": place / "all.png"}
    assert ptheta.inpaint(runs["made"], **given).x.shape == (6, 1, SIDE, SIDE)
    assert len(ptheta.inpaint(runs["labels"], **given, condition={"labels": ["1"]}).x) == 6
    with pytest.raises(PthetaError, match="conditional on labels: give the conditions"):
        ptheta.inpaint(runs["labels"], **given)


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "no such picture": (("--image", "gone.png"), "gone.png: no such file or folder"),
    "no such mask": (
        ("--image", "in", "--mask", "gone"),
        "neither the name of a mask (upper, lower",
    ),
    "an empty folder": (("--image", "empty"), "no images in this folder"),
    "no picture": (("--image", "text.png"), "text.png: cannot be read"),
    "no mask": (("--image", "in", "--mask", "text.png"), "text.png: cannot be read"),
    "another size": (("--image", "large.png"), "is 30x20 pixels, and this model completes images"),
    "mask of another size": (("--image", "in", "--mask", "large.png"), "30x20 pixels, and the"),
    "a mask is missing": (("--image", "all.png", "--mask", "holes"), "no image named all"),
    "masks of no names": (("--mask", "holes"), "give a single mask for test images"),
    "an empty box": (("--image", "in", "--mask", "4,4,4,12"), "this box is empty"),
    "a box outside": (("--image", "in", "--mask", "4,4,12,17"), "give 0,0,16,16 at most"),
    "a box before 0": (("--image", "in", "--mask=-1,4,12,8"), "not inside an image of 16x16"),
    "three numbers": (("--image", "in", "--mask", "4,4,12"), "nor a box (left,top,right,bottom"),
    "no search": (("--image", "in", "--search-steps", "3"), "completes without a search"),
    "both": (("--image", "in", "--mask", "hole", "--known", "upper"), "give one of them"),
    "unknown name": (("--image", "in", "--known", "uper"), "did you mean 'upper'?"),
    "test images": (("--image", "in", "-n", "3"), "-n applies only to test images"),
    "their data": (("--image", "in", "--data", "in"), "--data applies only to test images"),
    "labels of none": (("--image", "in", "--label", "1"), "takes no labels"),
    "no completion": (("--image", "in", "--each", "0"), "want 1 or more"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line_and_nothing_is_written(case, runs, place, monkeypatch):
    monkeypatch.chdir(place)
    options, words = REFUSED[case]
    with pytest.raises(PthetaError) as error:
        said("inpaint", runs["made"], *options, "--out", "x.npy")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert not Path("x.npy").exists()


def test_labels_are_said_of_pictures_alone(runs, tmp_path):
    with pytest.raises(PthetaError, match="test images have their own"):
        said("inpaint", runs["labels"], "--label", "1", "--out", tmp_path / "x.npy")


def test_a_box_is_unknown(runs, place):
    given = ("--image", place / "in" / "a.png", "--mask", "2,3,5,9", "--out", place / "done")
    said("inpaint", runs["made"], *given)
    box = np.zeros((SIDE, SIDE), bool)
    box[3:9, 2:5] = True
    done, before = pixels(place / "done" / "a.png"), pixels(place / "in" / "a.png")
    assert (done[~box] == before[~box]).all()
    written(place / "drawn.png", box.astype(np.uint8) * 255)
    said("inpaint", runs["made"], *given[:2], "--mask", place / "drawn.png", "--out", place / "b")
    assert (pixels(place / "b" / "a.png") == done).all()


def test_what_was_completed_is_said_for_programs(runs, place):
    told = json.loads(said("inpaint", runs["made"], "-n", 3, "--json", "--out", place / "x.npy"))
    assert (told["pictures"], told["each"]) == (3, 7)
    x = np.load(place / "x.npy").reshape(3, 9, SIDE, SIDE).astype(float)
    error = ((x[:, 2:] - x[:, :1]) ** 2)[:, :, SIDE // 2 :].mean((2, 3))
    assert np.allclose(told["psnr"], 10 * np.log10(255**2 / error), atol=1e-3)
    told = json.loads(
        said("inpaint", runs["made"], "--image", place / "in", "--json", "--out", place / "y.npy")
    )
    assert told == {"path": str(place / "y.npy"), "pictures": 2, "each": 1}


def test_completions_are_measured_beside_what_needs_no_learning(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("inpaint", runs["made"], "--measure", "-n", 6, "--each", 2)
    told = json.loads(said(*words, "--json"))
    assert tuple(told) == TESTED
    floors = {"mean image", "nearest training image", "smoothest surface"}
    for by_name in told.values():
        assert set(by_name) == {"model", *floors}
        for name, values in by_name.items():
            assert set(values) == set(MEASURES)
            assert values["best"] >= values["psnr"]
            assert (values["apart"] > 0) == (name == "model")
    table = said(*words)
    assert max(map(len, table.splitlines())) <= 80
    assert said(*words) == table
    won = sum(
        floor[name] > by_name["model"][name]
        for by_name in told.values()
        for floor in by_name.values()
        for name, measure in MEASURES.items()
        if measure.better
    )
    assert won
    assert table.count(SIGN) == won
    assert table.endswith(WINS + "\n")
    assert not list(tmp_path.iterdir())
    with pytest.raises(PthetaError, match="--mask has no effect with --measure"):
        said(*words, "--mask", "hole")
    with pytest.raises(PthetaError, match="give --out"):
        said("inpaint", runs["made"])


def test_a_picture_beyond_the_limit_is_one_line(runs, place, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", SIDE * SIDE - 1)
    with pytest.raises(PthetaError, match=r"16x16 pixels, more than Pillow's limit"):
        ptheta.inpaint(runs["made"], image=place / "in", mask="hole")
