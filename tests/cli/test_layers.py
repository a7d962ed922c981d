"""`ptheta layers` and `ptheta fit --model`: what they print and what they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import ptheta
from ptheta.api import priors
from ptheta.cli.commands import cli
from ptheta.data.image_data import ImageDataset
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec
from tests.conftest import examples, tiny

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


def small_prior(run: Path, *more: str) -> tuple[object, ...]:
    return ("fit", run, "--model", "made", "--set", "hidden=8", "--set", "batch-size=8", *more)


def test_a_prior_of_other_weights_is_replaced_and_one_of_these_is_not(runs, tmp_path):
    run = tmp_path / "vq"
    shutil.copytree(runs["vq"], run, ignore=shutil.ignore_patterns("prior*"))
    said(*small_prior(run, "--set", "steps=2"))
    for name in ("made", "pixelcnn"):
        with pytest.raises(PthetaError, match="give --resume to continue it, or remove this"):
            said("fit", run, "--model", name)
    ptheta.train("vq-vae", ptheta.Run.open(run).plan.source, run, resume=True, steps=4)
    with pytest.raises(PthetaError, match="leave --resume out to fit a new one"):
        said(*small_prior(run, "--resume"))
    said(*small_prior(run, "--set", "steps=3", "--set", "condition=labels"))
    assert ptheta.Run.open(run / "prior").metrics()[-1]["step"] == 3
    said("sample", run, "-n", 2, "--label", 1, "--out", tmp_path / "x.png")
    shutil.rmtree(run / "prior")  # as the message says
    with pytest.raises(PthetaError, match="prior does not exist"):
        ptheta.Run.open(run).model(prior="fitted")
    assert len(ptheta.encode(run, n=2).z) == 2
    said(*small_prior(run, "--set", "steps=2"))


def test_a_prior_that_was_stopped_goes_on_the_same_to_the_bit(runs, tmp_path, monkeypatch):
    """It ends before the run is told of its prior, which is then used as if there were none."""
    found = []
    given: dict[str, Any] = {
        "hidden": (8,),
        "batch_size": 8,
        "evaluate_every": 0,
        "schedule": "constant",
    }
    for name in ("whole", "stopped"):
        run = tmp_path / name
        shutil.copytree(runs["vq"], run, ignore=shutil.ignore_patterns("prior*"))
        if name == "stopped":

            def fail(*given: object) -> None:
                raise RuntimeError("stopped")

            with monkeypatch.context() as patch:
                patch.setattr(priors, "weights_of", fail)
                with pytest.raises(RuntimeError):
                    ptheta.fit(run, model="made", **given, steps=2)
            assert ptheta.Run.open(run).kinds == ()
            assert len(ptheta.encode(run, n=2).z) == 2
            assert "fitted_prior" not in ptheta.Run.open(run).checkpoint()
            with pytest.raises(PthetaError, match=r"is not finished: .* --resume"):
                ptheta.Run.open(run).model(prior="fitted")
            with pytest.raises(PthetaError, match="give --resume"):
                ptheta.fit(run, model="made", steps=4)
        model = ptheta.fit(run, model="made", resume=name == "stopped", **given, steps=4)
        found.append(model.state_dict())
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])


def test_maps_keep_what_the_data_say_of_their_examples():
    """Labels, attributes and captions, each beside the map of its own example."""
    spec = ImageSpec(1, 8, 8)
    y = np.sort(np.arange(30) % 3)  # class by class, so that the maps are in another order
    data = ImageDataset(
        "told",
        "train",
        examples(spec, 30).numpy(),
        labels=y,
        classes=("a", "b", "c"),
        attributes=np.stack([y, np.arange(30)], 1).astype(np.int16),
        attribute_names=("kind", "number"),
        captions=[f"number {i}" for i in range(30)],
    )
    coder = tiny("vq-vae", spec).eval()
    maps = priors.maps_of(coder, data, 12, torch.arange(coder.config.codes))
    assert maps.attributes is not None
    assert maps.labels is not None
    number = maps.attributes[:, 1]
    assert sorted(set(y[number])) == [0, 1, 2]
    assert np.array_equal(maps.labels, y[number])
    assert maps.captions == [f"number {i}" for i in number]
    wanted = coder.code_map(torch.from_numpy(data.images[number]))
    assert np.array_equal(maps.images, wanted.numpy())
    assert maps.attribute_names == data.attribute_names


def test_options_that_are_not_of_a_prior_are_refused(runs):
    for name in ("out", "levels", "size", "callbacks", "more_data"):
        with pytest.raises(PthetaError, match=f"{name} is no option of a prior"):
            said("fit", runs["vq"], "--model", "made", "--set", f"{name}=4")
    for name in ("data", "seed", "images", "threads", "resume", "recipe", "model"):
        with pytest.raises(PthetaError, match=f"give --{name}"):
            said("fit", runs["vq"], "--model", "made", "--set", f"{name}=4")


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
