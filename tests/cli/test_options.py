"""An option that would have no effect is refused, and a choice that was left open is said."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import ptheta
from ptheta import tasks
from ptheta.cli.commands import cli
from ptheta.errors import PthetaError
from ptheta.runs.folder import Run
from ptheta.specs import images_only

COMMON: dict[str, Any] = {"steps": 2, "batch_size": 16, "evaluate_every": 0, "levels": 2}
SETTINGS: dict[str, dict[str, Any]] = {
    "vae": {"hidden": (8,), "latent": 3},
    "ae": {"hidden": (8,), "latent": 2},
    "dcgan": {"features": 4, "latent": 6},
    "cvae": {"hidden": (8,), "latent": 3},
    "nade": {"hidden": 8},
}


@pytest.fixture(scope="module")
def runs(strokes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: ptheta.train(name, strokes, folder / name, **COMMON, **options).path
        for name, options in SETTINGS.items()
    }


def said(*args: object) -> str:
    """What a command prints; its error where it is refused."""
    done = CliRunner().invoke(cli, [str(a) for a in args])
    if isinstance(done.exception, PthetaError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


REFUSED: dict[str, tuple[tuple[object, ...], str]] = {
    "images and ends": (
        ("interpolate", "vae", "--images", "--from", "image=0", "--to", "image=1"),
        "leave it out",
    ),
    "one end": (("interpolate", "vae", "--from", "image=0"), "--from is missing"),
    "no such test image": (
        ("interpolate", "vae", "--from", "image=0", "--to", "image=999999"),
        "--to image=999999: there are",
    ),
    "no such class": (
        ("interpolate", "vae", "--from", "x", "--to", "y"),
        "no example has this label",
    ),
    "an image and a label": (
        ("interpolate", "cvae", "--from", "image=0", "--to", "1"),
        "give two of the same kind",
    ),
    "straight labels": (
        ("interpolate", "cvae", "--from", "0", "--to", "1", "--straight"),
        "--straight does not apply",
    ),
    "measured labels": (
        ("interpolate", "cvae", "--from", "0", "--to", "1", "--measured", 5),
        "--measured applies only to walks between test images",
    ),
    "frames of no film": (("interpolate", "vae", "--fps", 5), "applies only to films"),
    "a part that is not there": (("traverse", "dcgan", "--dims", "c0"), "part of the code 'c0'"),
    "dimension that is not there": (("traverse", "dcgan", "--dims", 9), "the code has 0 to 5"),
    "dims and a number": (("traverse", "dcgan", "--dims", 1, "-n", 2), "leave it out"),
    "seed and image": (("traverse", "vae", "--seed", 1, "--image", 0), "leave one out"),
    "data of a drawn code": (("traverse", "dcgan", "--data", "x"), "not used for a code drawn"),
    "a value that is none": (("traverse", "dcgan", "--code", "z0=x"), "want a finite number"),
    "mean of a GAN": (("sample", "dcgan", "--mean"), "does not sample given a code"),
    "mean and temperature": (
        ("sample", "vae", "--mean", "--temperature", 0.5),
        "cannot be combined: give one",
    ),
    "data for codes": (("interpolate", "vae", "--codes", "--data", "x"), "leave out --codes"),
    "data for a GAN": (("interpolate", "dcgan", "--data", "x"), "leave it out"),
    "seed for images": (("interpolate", "vae", "--seed", 0), "or give --codes"),
    "no walks": (("interpolate", "vae", "-n", 0), "-n 0: want 1 or more"),
    "walks of one": (("interpolate", "vae", "--steps", 1), "--steps 1: want 2 or more"),
    "label without": (("manifold", "vae", "--label", 0), "takes no labels"),
    "unknown label": (("manifold", "cvae", "--label", 2), "unknown label '2'"),
    "negative label": (("manifold", "cvae", "--label", -1), "unknown label '-1'"),
    "data beside dims": (
        ("manifold", "vae", "--dims", "0,1", "--data", "x"),
        "used only to choose the dimensions",
    ),
    "data of a GAN": (("manifold", "dcgan", "--data", "x"), "used only to choose the dimensions"),
    "equal dims": (("manifold", "vae", "--dims", "1,1"), "give two of 0 to 2"),
    "dims outside": (("manifold", "vae", "--dims", "0,3"), "give two of 0 to 2"),
    "negative dims": (("manifold", "vae", "--dims", "-1,0"), "give two of 0 to 2"),
    "broken dims": (("manifold", "vae", "--dims", "0.5,1"), "want integers"),
    "infinite dims": (("manifold", "vae", "--dims", "inf,1"), "want integers"),
    "no side": (("manifold", "vae", "--side", 0), "--side 0: want 1 or more"),
    "image from the end": (("traverse", "vae", "--image", -1), "--image -1: want 0 or more"),
    "image beyond": (("traverse", "vae", "--image", 10**6), "test images, 0 to"),
    "dimensions from the end": (("traverse", "vae", "-n", -1), "-n -1: want 1 or more"),
    "no row": (("traverse", "vae", "--steps", 0), "--steps 0: want 1 or more"),
    "completions from the end": (("inpaint", "nade", "--each", -1), "--each -1: want 1 or more"),
    "labels of none": (("sample", "vae", "--label", 1), "takes no labels"),
    "attributes of none": (("sample", "vae", "--attributes", "1,0"), "takes no attributes"),
    "a caption of none": (("sample", "nade", "--caption", "a cat"), "takes no text"),
    "empty label": (("sample", "cvae", "--label", ""), "unknown label ''"),
    "none": (("sample", "vae", "-n", 0), "-n 0: want 1 or more"),
    "beyond counting": (("sample", "vae", "-n", 10**18), "or less"),
    "more than the disk holds": (("sample", "vae", "-n", 2**31 - 1), "GiB are free there"),
    "reach of no number": (("traverse", "vae", "--reach", "nan"), "want a finite number"),
    "level of no number": (("denoise", "ae", "--level", "nan"), "want a finite number"),
    "attributes of labels": (("sample", "cvae", "--attributes", "1,0"), "takes no attributes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_option_without_effect_is_refused(case, runs, tmp_path):
    (command, name, *options), words = REFUSED[case]
    with pytest.raises(PthetaError) as error:
        said(command, runs[str(name)], *options, "--out", tmp_path / "x.npy")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "x.npy").exists()


FILMS = ("interpolate", "traverse")  # may be a .gif
WRITING = (
    *("sample", "inpaint", "surprise", "reconstruct", "denoise", "manifold"),
    *("latents", "layers", "probe", "invert", "context"),
)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        *((verb, name) for verb in (*WRITING, *FILMS) for name in ("x.jfif", "gone/x.tiff")),
        *((verb, "x.gif") for verb in WRITING),
    ],
)
def test_a_place_that_is_none_is_refused_before_the_run_is_looked_at(command, name, tmp_path):
    with pytest.raises(PthetaError, match=r"--out .*: want "):
        said(command, tmp_path / "no run", "--out", tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("known", "candidates", "warns"),
    [("lower", 1, True), ("border", 1, True), ("upper", 1, False), ("lower", 2, False)],
)
def test_known_pixels_that_are_ignored_are_said(known, candidates, warns, runs):
    model = ptheta.load(runs["nade"])
    spec = images_only(Run.open(runs["nade"]).spec, "inpainting")
    x = torch.zeros(2, *spec.shape, dtype=torch.uint8)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tasks.inpaint(model, x, tasks.region(known, spec), candidates=candidates)
    assert bool(caught) == warns
    assert all("--candidates" in str(warning.message) for warning in caught)


def test_options_of_runs_are_refused_for_a_folder_of_images(strokes, tmp_path):
    np.save(tmp_path / "made.npy", np.zeros((4, 16, 16), np.uint8))
    for flag in ("--is-k", "--ais"):
        with pytest.raises(PthetaError, match="leave them out"):
            said("evaluate", tmp_path / "made.npy", "--data", strokes, flag, 5)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("vae", (), "between test images"),
        ("vae", ("--codes", "--seed", 3), "between codes of the prior"),
        ("dcgan", (), "between codes of the prior"),
        ("ae", (), "between test images"),
    ],
)
def test_interpolate_says_what_it_walks_between(name, options, words, runs, tmp_path):
    assert words in said("interpolate", runs[name], *options, "-n", 2, "--out", tmp_path / "x.npy")


def test_a_manifold_takes_the_two_most_used_dimensions_and_says_so(runs, strokes, tmp_path):
    out = ("--side", 2, "--out", tmp_path / "x.npy")
    model = ptheta.load(runs["vae"])
    test = ptheta.open_images(strokes, "test", levels=2)
    first, second = tasks.most_used(model, test.batch(slice(0, len(test))).x)[:2]
    text = said("manifold", runs["vae"], *out)
    assert f"over dimensions {first},{second}, the two most active of 3: choose" in text
    drawn = torch.from_numpy(np.load(tmp_path / "x.npy"))
    assert torch.equal(drawn, tasks.manifold(model, 2, dims=(first, second)))
    assert "dimensions 0,2\n" in said("manifold", runs["vae"], *out, "--dims", "0,2")
    assert "0,1, the first two of 6: choose" in said("manifold", runs["dcgan"], *out)
    assert "the two most active of 3" in said("manifold", runs["cvae"], *out, "--label", 1)
