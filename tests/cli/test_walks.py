"""`ptheta interpolate` and `ptheta traverse`: what they go between, films, several runs; means of
samples."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import ptheta
from ptheta import tasks
from ptheta.cli.commands import cli
from ptheta.data.image_data import ImageDataset
from ptheta.errors import PthetaError
from tests.conftest import TINY

QUIET: dict[str, Any] = {"steps": 2, "batch_size": 16, "evaluate_every": 0, "sample_every": 0}
SAID = ("a dark square", "a bright square", "a bright circle")


@pytest.fixture(scope="module")
def runs(strokes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("walks")
    for name, options in (
        ("vae", {"hidden": (4,), "latent": 3}),
        ("ae", {"hidden": (4,), "latent": 2}),
        ("cvae", {"hidden": (4,), "latent": 2}),
        ("infogan", {"features": 4, "latent": 3, "categories": 4, "continuous": 1}),
    ):
        ptheta.train(name, strokes, out / name, levels=2, **options, **QUIET)
    ptheta.train("vae", strokes, out / "grey", hidden=(4,), latent=2, **QUIET)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 1, 8, 8), dtype=np.uint8)
    data = ImageDataset("squares", "train", images, captions=[SAID[i % 3] for i in range(30)])
    told: dict[str, Any] = {**TINY["cvae"], **QUIET, "condition": "text"}
    ptheta.train("cvae", data, out / "captions", text_encoder="gru", text_width=6, **told)
    return {path.name: path for path in out.iterdir()}


def said(*args: object) -> str:
    done = CliRunner().invoke(cli, [str(a) for a in args])
    if isinstance(done.exception, PthetaError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def rows(path: Path, steps: int) -> torch.Tensor:
    return torch.from_numpy(np.load(path)).unflatten(0, (-1, steps))


@pytest.mark.parametrize(
    ("name", "ends", "condition"),
    [("cvae", ("0", "1"), "labels"), ("captions", (SAID[0], SAID[2]), "text")],
)
def test_a_walk_between_conditions_is_that_of_sample_between(name, ends, condition, runs, tmp_path):
    walk = ("interpolate", runs[name], "--from", ends[0], "--to", ends[1], "-n", 3, "--seed", 2)
    assert "each with its own noise" in said(*walk, "--steps", 4, "--out", tmp_path / "x.npy")
    same = ptheta.sample(runs[name], 12, condition={condition: ends}, between=4, mean=True, seed=2)
    assert isinstance(same, ptheta.api.Grid)
    assert torch.equal(rows(tmp_path / "x.npy", 4).transpose(0, 1).flatten(0, 1), same.x)


def test_classes_numbers_and_pictures_are_what_is_walked_between(runs, strokes, tmp_path):
    model, test = ptheta.load(runs["vae"]), ptheta.Run.open(runs["vae"]).data("test", None)
    walk = ("interpolate", runs["vae"], "--steps", 3, "--straight", "--out", tmp_path / "x.npy")
    said(*walk, "--from", "0", "--to", "label=1", "-n", 2)
    assert test.labels is not None
    kinds = test.labels[test.rows(slice(None))]
    x = [test.batch(np.flatnonzero(kinds == k)[:2]).x for k in (0, 1)]
    found = rows(tmp_path / "x.npy", 3)
    assert torch.equal(found[:, 0], tasks.reconstruct(model, x[0]))
    assert torch.equal(found[:, -1], tasks.reconstruct(model, x[1]))
    said(*walk, "--from", "image=2,4", "--to", "image=5")
    assert torch.equal(
        rows(tmp_path / "x.npy", 3)[:, 0], tasks.reconstruct(model, test.batch([2, 4]).x)
    )
    ptheta.files.images.write_png(tmp_path / "a.png", test.batch([2]).x[0, 0].numpy(), mark=False)
    said(*walk, "--from", tmp_path / "a.png", "--to", "image=5")
    assert torch.equal(
        rows(tmp_path / "x.npy", 3)[0, 0], tasks.reconstruct(model, test.batch([2]).x)[0]
    )
    with pytest.raises(PthetaError, match="give the conditions of the images"):
        said(
            *("interpolate", runs["cvae"], "--from", tmp_path / "a.png"),
            *("--to", tmp_path / "a.png", "--out", tmp_path / "y.npy"),
        )
    cvae = ("interpolate", runs["cvae"], "--from", tmp_path / "a.png", "--to", tmp_path / "a.png")
    said(*cvae, "--label", 0, "--label", 1, "--steps", 2, "--out", tmp_path / "y.npy")
    both = test.batch([2, 2]).x
    back = tasks.reconstruct(ptheta.load(runs["cvae"]), both, torch.tensor([0, 1]))
    assert torch.equal(rows(tmp_path / "y.npy", 2)[0], back)


def test_several_runs_walk_between_the_same_images_above_a_cross_fade(runs, tmp_path):
    both = ("interpolate", runs["ae"], runs["vae"], "-n", 2, "--steps", 3, "--measured", 8)
    told = json.loads(said(*both, "--json", "--out", tmp_path / "x.npy"))
    assert told["measured"] == 8
    assert list(told["midway"]["pixels"]) == ["ae", "vae", "cross-fade"]
    found = rows(tmp_path / "x.npy", 3)
    assert len(found) == 2 * 3
    test = ptheta.Run.open(runs["ae"]).data("test", None)
    assert torch.equal(found[2][[0, 2]], test.batch([0, 2]).x)
    text = said(*both, "--out", tmp_path / "x.gif")
    assert "midpoint farther by" in text
    assert all(len(line) <= 80 for line in text.splitlines()[:-1])
    film = Image.open(tmp_path / "x.gif")
    assert film.info["loop"] == 0
    for odd, words in (
        ((runs["ae"], runs["grey"]), "and ae have different test images"),
        ((runs["ae"], runs["ae"]), "give each run once"),
    ):
        with pytest.raises(PthetaError, match=words):
            said("interpolate", *odd, "--out", tmp_path / "y.npy")
    with pytest.raises(PthetaError, match="--codes: codes of the prior"):
        said("interpolate", runs["ae"], runs["vae"], "--codes", "--out", tmp_path / "y.npy")


def test_a_traversal_starts_from_codes_that_are_drawn_and_names_parts(runs, tmp_path):
    out = ("--out", tmp_path / "x.npy")
    text = said("traverse", runs["infogan"], "--code", "c0", "--starts", 2, *out)
    assert "dimensions c0 of 2 codes of seed 0" in text
    categories = rows(tmp_path / "x.npy", 4)
    assert len(categories) == 2
    ask = ("--code", "c0=2", "--dims", "c1,z0", "--steps", 3, "--seed", 0)
    said("traverse", runs["infogan"], *ask, *out)
    assert len(rows(tmp_path / "x.npy", 3)) == 2
    said("traverse", runs["infogan"], "-n", 2, *out)
    assert torch.equal(rows(tmp_path / "x.npy", 4)[0], categories[0])
    said("traverse", runs["infogan"], "--dims", "c1", "--image", 3, "--steps", 2, *out)
    said("traverse", runs["vae"], "--seed", 1, "-n", 2, "--out", tmp_path / "x.gif")
    assert Image.open(tmp_path / "x.gif").info["loop"] == 0
    moved = ("arithmetic", runs["vae"], "--plus", "label=1", "--minus", "label=0", "-n", 2)
    said(*moved, "--out", tmp_path / "turn.gif", "--fps", 20)
    said(*moved, "--out", tmp_path / "a.npy")
    said(*moved[:3], "1", "--minus", "0", *moved[-2:], "--out", tmp_path / "b.npy")  # by the class
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))
    with Image.open(tmp_path / "turn.gif") as film:
        film.seek(1)
        assert film.info["duration"] % 50 == 0


def test_a_picture_of_samples_says_what_it_shows(runs, tmp_path):
    out = ("-n", 4, "--seed", 3, "--out", tmp_path / "x.npy")
    assert "4 images; drawn from p(x | z)" in said("sample", runs["vae"], *out)
    assert set(np.unique(np.load(tmp_path / "x.npy"))) <= {0, 255}
    assert "4 images; means of p(x | z)" in said("sample", runs["vae"], "--mean", *out)
    assert len(np.unique(np.load(tmp_path / "x.npy"))) > 2
    assert ptheta.sample(runs["vae"], 4).images.title == "drawn from p(x | z)"  # type: ignore
    assert ptheta.sample(runs["infogan"], 4).images.title == ""  # type: ignore
    folder = ("-n", 2, "--out", tmp_path / "folder")
    said("sample", runs["vae"], "--mean", *folder)
    with warnings.catch_warnings(), pytest.raises(PthetaError):
        said("sample", runs["vae"], "--draw", *folder)  # what is there was asked for otherwise
