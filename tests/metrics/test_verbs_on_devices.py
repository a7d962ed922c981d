"""Every verb of a trained model computes on the device that it is told, and the same numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ptheta
from ptheta import api
from ptheta.api import Grid
from ptheta.api.on_device import on_device
from ptheta.capabilities import device_of
from ptheta.cli.commands import cli
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.runs.folder import Run
from tests.conftest import TINY
from tests.fake_gpu import MISSING, NAME, apart, fake_gpu
from tests.training.test_runs import QUIET

needs_fake = pytest.mark.skipif(MISSING, reason="this torch has no devices written in Python")
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")

# Verbs of a run without the option. In a compressed file the decoder must find the same
# probabilities as the encoder to the last bit, on every machine. The pages of a course are of tiny
# models. The others compute nothing.
ON_THE_CPU = {"compress", "decompress", "learn", "log", "push"}
ELSEWHERE = {"sample", "evaluate", "compare"}  # see test_devices.py
LONG = {"usefulness"}
RUNS = ("vae", "cvae", "made", "dcgan", "pix2pix", "dae", "ladder-vae")


def trained(data: Path, out: Path) -> Path:
    """Tiny runs of each kind that a verb needs."""
    how: dict[str, Any] = {**QUIET, "levels": 2, "steps": 2, "device": "cpu"}
    out.mkdir()
    for name in RUNS:
        more = {"pairs": "noise"} if name == "pix2pix" else {}
        ptheta.train(name, data, out / name, **{**TINY[name], **how, **more})
    with np.load(data) as every:
        np.savez(out / "few.npz", **{name: every[name][:6] for name in every})
    rows = np.random.default_rng(0).normal(size=(300, 2))
    np.savetxt(out / "rows.csv", rows, delimiter=",", header="a,b", comments="")
    ptheta.train("gaussian", out / "rows.csv", out / "table", epochs=1.0, device="cpu")
    rows[::3, 0] = np.nan
    np.savetxt(out / "gaps.csv", rows, delimiter=",", header="a,b", comments="")
    return out


def imputed(at: Path, device: str) -> Tensor:
    """The filled cells."""
    done = ptheta.impute(
        at / "table", at / "gaps.csv", out=at / "full.csv", force=True, device=device
    )
    return torch.from_numpy(np.genfromtxt(done.paths[0], delimiter=",", skip_header=1))


Row = Callable[[Path, str], object]
ROWS: dict[str, Row] = {
    "inpaint": lambda at, on: ptheta.inpaint(at / "made", n=3, each=2, device=on),
    "score_inpainting": lambda at, on: api.score_inpainting(
        at / "made", n=4, each=2, masks=("upper",), device=on
    ),
    "surprise": lambda at, on: ptheta.surprise(at / "made", n=3, device=on),
    "translate": lambda at, on: ptheta.translate(at / "pix2pix", n=3, device=on),
    "reconstruct": lambda at, on: ptheta.reconstruct(at / "vae", n=3, measured=8, device=on),
    "denoise": lambda at, on: ptheta.denoise(at / "vae", n=3, measured=8, device=on),
    "context": lambda at, on: ptheta.context(at / "made", n=3, device=on),
    "impute": imputed,
    "score_imputation": lambda at, on: api.score_imputation(
        at / "table", repeats=1, draws=3, device=on
    ),
    "outliers": lambda at, on: ptheta.outliers(
        *(at / "vae", at / "few.npz"),
        score=["all"],
        background=at / "made",
        samples=2,
        device=on,
    ),
    "usefulness": lambda at, on: ptheta.usefulness(at / "table", n=20, repeats=1, device=on),
    "classify": lambda at, on: ptheta.classify(at / "cvae", n=6, samples=2, device=on),
    "encode": lambda at, on: ptheta.encode(at / "vae", n=6, sample=True, device=on),
    "decode": lambda at, on: ptheta.decode(at / "vae", torch.ones(3, 3), device=on),
    "manifold": lambda at, on: ptheta.manifold(at / "vae", 3, device=on),
    "latents": lambda at, on: ptheta.latents(at / "vae", 20, device=on),
    "fit": lambda at, on: ptheta.fit(at / "vae", components=2, device=on),
    "probe": lambda at, on: ptheta.probe(at / "vae", (4,), draws=1, steps=2, device=on),
    "scatter": lambda at, on: ptheta.scatter([at / "vae", at / "dae"], n=20, device=on),
    "layers": lambda at, on: ptheta.layers([at / "ladder-vae"], 20, device=on),
    "interpolate": lambda at, on: ptheta.interpolate(
        [at / "vae", at / "dae"], 2, steps=3, measured=4, device=on
    ),
    "traverse": lambda at, on: ptheta.traverse(at / "vae", 2, steps=3, device=on),
    "neighbours": lambda at, on: ptheta.neighbours(at / "vae", drawn=12, device=on),
    "invert": lambda at, on: ptheta.invert(
        at / "vae", steps=2, drawn=20, n=2, measured=4, device=on
    ),
    "arithmetic": lambda at, on: ptheta.arithmetic(
        at / "vae", plus="label=1", minus="label=0", n=2, device=on
    ),
    "chain": lambda at, on: ptheta.chain(at / "dae", steps=4, chains=2, every=2, device=on),
    "cluster": lambda at, on: ptheta.cluster(at / "vae", n=9, clusters=2, device=on),
    "density": lambda at, on: ptheta.density(at / "vae", samples=2, device=on),
    "ratio": lambda at, on: ptheta.ratio(at / "dcgan", floors=False, device=on),
    "tradeoff": lambda at, on: ptheta.tradeoff(
        at / "dcgan", values=[0.5], n=20, extractor="pixels", device=on
    ),
    "closest": lambda at, on: ptheta.closest(at / "vae", n=4, pairs=2, device=on),
}


def numbers(found: object) -> list[float]:
    """All numbers in what a verb has found."""
    match found:
        case bool() | int() | float():
            return [float(found)]
        case Tensor():
            assert found.device.type == "cpu"
            return found.double().flatten().tolist()
        case nn.Module():
            return numbers([x.cpu() for x in found.state_dict().values()])
        case Grid():
            return numbers(found.x)
        case Dataset() | str() | Path() | None:
            return []
        case Mapping():
            return numbers(list(found.values()))
        case list() | tuple():
            return [number for one in found for number in numbers(one)]
    if not is_dataclass(found):
        return []
    return numbers([vars(found)[field.name] for field in fields(found)])


def both(data: Path, out: Path, names: Iterable[str]) -> dict[str, Any]:
    """What verbs find on the CPU and on the fake GPU, and where their models were."""
    warnings.simplefilter("ignore")  # of few images
    at, places, model = trained(data, out / "runs"), list[torch.device](), Run.model

    def noted(run: Run, *args: str, **kwargs: str) -> nn.Module:
        made = model(run, *args, **kwargs)
        places.append(device_of(made))
        return made

    found = {}
    for name in names:
        here = numbers(ROWS[name](at, "cpu"))
        with fake_gpu(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(Run, "model", noted)
            places.clear()
            there = numbers(ROWS[name](at, NAME))
        found[name] = here, there, {place.type for place in places}
    return {"opened": opened_there(at / "vae"), **found}


def check(found: tuple[list[float], list[float], set[str]]) -> None:
    here, there, places = found
    assert places == {NAME}
    assert len(here) == len(there) > 0
    assert there == pytest.approx(here, rel=1e-4, abs=1e-5, nan_ok=True)


def opened_there(run: Path) -> list[str]:
    """Where a run is that was opened on the device, and is given to a verb without and with one."""
    asked = []

    @on_device
    def verb(run: str | Path | Run, *, device: str | None = None) -> None:
        asked.append(Run.open(run).device.type)

    with fake_gpu():
        there = Run.open(run, device=NAME)
        verb(there)
        verb(there, device="cpu")
    return asked


@pytest.fixture(scope="module")
def found(strokes, tmp_path_factory) -> dict[str, Any]:
    return apart(both, strokes, tmp_path_factory.mktemp("verbs"), sorted(ROWS.keys() - LONG))


@needs_fake
@pytest.mark.parametrize("verb", sorted(ROWS.keys() - LONG))
def test_a_verb_finds_the_same_on_the_device(verb, found):
    check(found[verb])


@needs_fake
@pytest.mark.slow
def test_a_long_verb_finds_the_same_on_the_device(strokes, tmp_path):
    found = apart(both, strokes, tmp_path, sorted(LONG))
    for verb in LONG:
        check(found[verb])


@needs_fake
def test_a_run_that_is_opened_on_a_device_stays_there(found):
    assert found["opened"] == [NAME, "cpu"]


def test_every_verb_of_a_model_has_the_option_and_a_row():
    for name, command in cli.commands.items():
        options = {p.name: p for p in command.params}
        if {"run", "runs"}.isdisjoint(options) or name in ON_THE_CPU:
            continue
        assert isinstance(options["device"], click.Option)
        assert options["device"].default == "cpu"
        assert name in ROWS.keys() | ELSEWHERE, name


def test_runs_on_several_devices_are_compared_on_one(tmp_path):
    here = Run.open("example:vae")
    there = replace(here, device=torch.device("meta"))
    with pytest.raises(PthetaError, match="the runs are on cpu and meta"):
        ptheta.compare([here, there], tmp_path / "report")


def test_wrong_arguments_are_told_with_the_name_of_the_verb():
    for call in (
        lambda: ptheta.latents("example:vae", devices="cpu"),  # type: ignore[call-arg]
        lambda: ptheta.latents(),  # type: ignore[call-arg]
    ):
        with pytest.raises(TypeError, match=r"^latents\(\) "):
            call()


def test_a_device_of_torch_is_told_to_be_named():
    with pytest.raises(PthetaError, match=r"^device = device\(type='cpu'\): give its name, 'cpu'"):
        Run.open("example:vae", device=torch.device("cpu"))  # type: ignore[arg-type]


@without_gpu
@pytest.mark.parametrize("verb", ROWS)
def test_a_device_that_is_not_there_is_one_line(verb, tmp_path):
    with pytest.raises(PthetaError, match="device 'cuda' is not available here: choose from cpu"):
        ROWS[verb](tmp_path, "cuda")
    assert not list(tmp_path.iterdir())
