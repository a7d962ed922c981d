"""`ptheta invert` and `ptheta arithmetic`: files in new folders, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ptheta
from ptheta.errors import PthetaError
from tests.cli.test_chain import QUIET, said


@pytest.fixture(scope="module")
def runs(strokes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("changed")
    small: dict[str, Any] = {"hidden": (4,), "latent": 2, **QUIET}
    for name in ("vae", "cvae"):
        ptheta.train(name, strokes, out / name, **small)
    (out / "mine").mkdir()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(out / "mine" / "a.png")
    (out / "broken").mkdir()
    (out / "broken" / "a.png").write_bytes(b"")
    return {name: out / name for name in ("vae", "cvae", "mine", "broken")}


def test_codes_and_directions_are_written_into_folders_that_are_made(runs, tmp_path):
    codes, saved = tmp_path / "new" / "z.npy", tmp_path / "other" / "d.safetensors"
    quick = ("--measured", 3, "-n", 2, "--steps", 2, "--drawn", 10)
    said("invert", runs["vae"], *quick, "--codes", codes)
    assert np.load(codes).shape == (3, 2)
    asked = ("arithmetic", runs["vae"], "-n", 2, "--out", tmp_path / "x.png")
    said(*asked, "--plus", "label=1", "--minus", "label=0", "--save", saved)
    said(*asked, "--direction", saved)


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "group that is broken": (("vae", "--plus", "broken", "--minus", "label=0"), "--plus"),
    "group without labels": (
        ("cvae", "--plus", "mine", "--minus", "label=0"),
        "this model is conditional on labels, which image files do not have",
    ),
    "no order": (("vae", "--along", "label"), "these images have only labels"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_said_in_one_line(case, runs, tmp_path):
    (name, *options), words = REFUSED[case]
    given = [runs.get(option, option) for option in options]
    with pytest.raises(PthetaError) as error:
        said("arithmetic", runs[name], *given, "--out", tmp_path / "x.png")
    assert words in str(error.value)
    assert "--image" not in str(error.value)
    assert "\n" not in str(error.value)
