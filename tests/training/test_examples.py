"""The runs that ship with the package: used like any other, small, good, and never written to."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import ptheta
from ptheta.capabilities import HasBound, HasLogProb, HasPrior
from ptheta.cli.commands import cli
from ptheta.errors import PthetaError
from ptheta.runs.examples import EXAMPLES, PLACE
from ptheta.runs.folder import Run

MOST = 3e6  # bytes, of all together
ROOT = Path(__file__).parents[2]
FILES = {"config.json", "data.safetensors", "metrics.jsonl", "model.safetensors"}
MODEL = {"vae": "vae", "pixelcnn": "pixelcnn", "gan": "dcgan"}
# how far of the way from noise to digits samples go at least; those of the VAE have noise of pixels
CLOSE = {"vae": 0.5, "pixelcnn": 0.75, "gan": 0.9}


def files() -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in PLACE.rglob("*")}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_a_run(name):
    run = Run.open(f"example:{name}")
    assert run.plan.model == MODEL[name]
    assert run.plan.source == "digits"
    assert run.unfinished() is None
    assert run.called == f"example:{name}"
    assert ptheta.sample(f"example:{name}", 4).x.shape == (4, 1, 28, 28)
    assert {file.name for file in run.path.iterdir()} == FILES


def test_they_are_small_and_of_three_kinds():
    assert set(EXAMPLES) == MODEL.keys()
    assert sum(file.stat().st_size for file in PLACE.rglob("*.*")) < MOST
    vae, pixelcnn, gan = (ptheta.load(f"example:{name}") for name in ("vae", "pixelcnn", "gan"))
    assert isinstance(vae, HasBound)
    assert isinstance(pixelcnn, HasLogProb)
    assert isinstance(gan, HasPrior)
    assert not isinstance(gan, HasLogProb | HasBound)


@pytest.mark.slow
def test_their_numbers_are_not_kept():
    before = files()
    with pytest.warns(UserWarning, match="example:gan is read-only"):
        assert ptheta.evaluate("example:gan", n=20).results
    assert files() == before


def test_nothing_is_written_into_them():
    before = files()
    cure = "read-only: train one yourself, `ptheta train vae --data digits --out runs/vae`"
    with pytest.raises(PthetaError, match=cure):
        ptheta.fit("example:vae")
    for out, said in (
        ("example:vae", "are runs of ptheta or of the hub, which are read-only: choose another"),
        (PLACE / "vae", "example:vae is shipped with ptheta and read-only: choose another --out"),
    ):
        with pytest.raises(PthetaError, match=said):
            ptheta.train("vae", "digits", out, resume=True)
    assert files() == before


def test_a_wrong_name_is_told_in_a_line():
    for verb in (["sample", "example:vea", "--out", "x.png"], ["evaluate", "example:vea"]):
        error = CliRunner().invoke(cli, verb).exception
        assert isinstance(error, PthetaError)
        known = "example:gan, example:pixelcnn, example:vae"
        assert str(error) == f"example:vea: no such example; available: {known}"


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_samples_are_far_from_noise(name):
    """Of the kernel distance between noise and digits, in the features of a classifier."""
    run = Run.open(f"example:{name}")
    test, x = run.data("test"), ptheta.sample(run, 300).x
    noise = x.flatten()[_shuffled(x.numel())].view(x.shape)  # as bright as the samples
    real = test.batch(slice(0, 300)).x
    distance = ptheta.metrics.kernel_distance
    far, near = (distance(some, real, extractor="digits").value for some in (noise, x))
    assert far is not None
    assert near is not None
    assert near < (1 - CLOSE[name]) * far


def _shuffled(n: int) -> torch.Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(0))


@pytest.mark.slow
def test_the_wheel_contains_them(tmp_path):
    """As `make wheel` builds it."""
    build = ("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT))
    subprocess.run([sys.executable, "-m", *build], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {i.filename: i.file_size for i in archive.infolist() if "/examples/" in i.filename}
    assert inside.keys() == {f"ptheta/examples/{n}/{file}" for n in EXAMPLES for file in FILES}
    assert sum(inside.values()) < MOST


def test_a_rehearsal_refuses_what_the_training_would(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "a.txt").write_text("kept")
    (tmp_path / "file").write_text("kept")
    for out in (tmp_path / "taken", tmp_path / "file", PLACE / "vae", "example:new"):
        said = []
        for ask in (ptheta.train, ptheta.dry_run):
            with pytest.raises(PthetaError) as caught:
                ask("vae", "digits", out=out)
            said.append(str(caught.value))
        assert said[0] == said[1]
