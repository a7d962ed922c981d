"""`ptheta sample --steps` and `--guidance`, and the uses of models that draw in steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptheta
from ptheta.errors import PthetaError
from tests.cli.test_chain import QUIET, said

SMALL: dict[str, Any] = {
    "features": (4, 8),
    "embedding": 8,
    "sample_steps": 3,
    "resample": 2,
    "levels": 8,
    **QUIET,
}


@pytest.fixture(scope="module")
def runs(strokes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("steps")
    labelled: dict[str, Any] = {"condition": "labels", "drop_condition": 0.2}
    ptheta.train("ddpm", strokes, out / "ddpm", **SMALL, **labelled)
    ptheta.train("flow-matching", strokes, out / "flow", **SMALL, density_steps=2)
    ptheta.train("vae", strokes, out / "vae", hidden=(4,), latent=2, **QUIET)
    return {name: out / name for name in ("ddpm", "flow", "vae")}


def test_steps_and_guidance_are_said_and_kept(runs, tmp_path):
    given = ("--label", 1, "--seed", 1, "-n", 4)
    folder = tmp_path / "guided"
    text = said("sample", runs["ddpm"], *given, "--steps", 2, "--guidance", 3, "--out", folder)
    assert "in 2 steps; guidance 3" in text
    record = json.loads((folder / ".ptheta-samples").read_text())
    assert "guidance" in json.dumps(record)
    made: list[np.ndarray] = []
    for options in ((), ("--steps", 2), ("--steps", 2, "--guidance", 3)):
        place = tmp_path / f"{len(made)}.npy"
        said("sample", runs["ddpm"], *given, *options, "--out", place)
        made.append(np.load(place))
    assert not np.array_equal(made[0], made[1])


@pytest.mark.parametrize(
    ("run", "options", "words"),
    [
        ("vae", ("--steps", 2), "it has no `sample_in_steps`"),
        ("ddpm", ("--steps", 1001), "chain of 1,000 steps"),
        ("flow", ("--guidance", 2), "--drop-condition"),
        ("flow", ("--steps", 2, "--temperature", 0.5), "give one"),
    ],
)
def test_what_cannot_be_asked_for_is_said_in_one_line(run, options, words, runs, tmp_path):
    with pytest.raises(PthetaError, match=words) as error:
        said("sample", runs[run], *options, "-n", 2, "--out", tmp_path / "x.png")
    assert "\n" not in str(error.value)


def test_both_models_serve_the_uses(runs, tmp_path):
    for run in ("ddpm", "flow"):
        said("inpaint", runs[run], "-n", 2, "--out", tmp_path / f"{run}-repaired.png")
        said("chain", runs[run], "--steps", 3, "--every", 1, "--out", tmp_path / f"{run}-chain.png")
        said("interpolate", runs[run], "--out", tmp_path / f"{run}-between.png")
    text = said("density", runs["flow"], "-n", 3, "--json")
    assert "ODE by 2 steps" in text
