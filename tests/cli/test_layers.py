"""`ptheta layers` and `ptheta fit --model`: what they print and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

import ptheta
from ptheta.cli.commands import cli
from ptheta.errors import PthetaError

QUIET: dict[str, Any] = {"steps": 2, "batch_size": 16, "evaluate_every": 0, "sample_every": 0}


@pytest.fixture(scope="module")
def runs(strokes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("layers")
    small: dict[str, Any] = {"hidden": (4,), **QUIET}
    ptheta.train("ladder-vae", strokes, out / "ladder", layers=(3, 2), units=(4,), **small)
    ptheta.train("vae", strokes, out / "vae", latent=2, **small)
    ptheta.train("ae", strokes, out / "ae", latent=2, **small)
    vq: dict[str, Any] = {"codes": 4, "dims": 2, "features": 4, "blocks": 0, "halvings": 3}
    ptheta.train("vq-vae", strokes, out / "vq", **vq, **QUIET)
    return {name: out / name for name in ("ladder", "vae", "ae", "vq")}


def said(*args: object) -> str:
    done = CliRunner().invoke(cli, [str(a) for a in args])
    if isinstance(done.exception, PthetaError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_layers_of_several_runs_as_a_table_a_picture_and_json(runs, tmp_path):
    asked = ("layers", runs["ladder"], runs["vae"], "-n", 20)
    text = said(*asked, "--out", tmp_path / "bars.png")
    assert "of 2 layers carry more than 0.1 nats" in text
    assert "of 1 layers" in text
    assert max(map(len, text.splitlines())) <= 80 or str(tmp_path) in text
    assert Image.open(tmp_path / "bars.png").size[0] > 200
    found = json.loads(said(*asked, "--json"))
    assert [len(run["kl"]) for run in found] == [2, 1]
    assert sum(found[0]["kl"]) == pytest.approx(found[0]["total"])
    assert found == json.loads(said(*asked, "--json"))
    with pytest.raises(PthetaError, match="cannot say what its layers of codes carry"):
        said("layers", runs["ae"])
    with pytest.raises(PthetaError, match=r"want \.png"):
        said(*asked, "--out", tmp_path / "bars.gif")
    with pytest.raises(PthetaError, match="no run is given"):
        ptheta.layers([])


def test_a_prior_of_codes_is_fitted_and_draws(runs, tmp_path):
    with pytest.raises(PthetaError, match="fit RUN --model pixelcnn"):
        said("sample", runs["vq"], "--out", tmp_path / "x.png")
    fitted = ("fit", runs["vq"], "--model", "made", "--set", "hidden=8")
    given = ("--set", "batch-size=8", "--set", "condition=labels")
    text = said(*fitted, *given, "--set", "steps=3")
    assert "made fitted; next: ptheta sample" in text
    said("sample", runs["vq"], "-n", 4, "--label", 1, "--out", tmp_path / "x.png")
    rows = tmp_path / "files"
    said("sample", runs["vq"], "-n", 4, "--label", 1, "--label", 0, "--out", rows)
    assert len([*rows.glob("*.png")]) == 4
    found = json.loads(said("evaluate", runs["vq"], "--json", "-n", 20))
    assert "elbo_codes_given_label" in json.dumps(found)
    said(
        *fitted,
        "--set",
        "steps=5",
        "--set",
        "condition=labels",
        "--set",
        "batch-size=8",
        "--resume",
    )
    for bad in (("--set", "steps"), ("--set", "=3"), ("--set", "a=1", "--set", "a=2")):
        with pytest.raises(PthetaError, match="want NAME=VALUE, each name once"):
            said("fit", runs["vq"], "--model", "made", *bad)


def test_what_a_fit_refuses(runs):
    with pytest.raises(PthetaError, match=r"codes of .* are discrete"):
        said("fit", runs["vq"])
    with pytest.raises(PthetaError, match="ae has none"):
        said("fit", runs["ae"], "--model", "made")
    with pytest.raises(PthetaError, match="is of --model, and there is none"):
        said("fit", runs["ae"], "--resume")
    with pytest.raises(PthetaError, match="another prior"):
        said("fit", runs["vq"], "--model", "made", "--components", 3)
    with pytest.raises(PthetaError, match="unknown model"):
        said("fit", runs["vq"], "--model", "mad")
    with pytest.raises(PthetaError, match="recipe, resume and options need model"):
        ptheta.fit(runs["ae"], resume=True)
