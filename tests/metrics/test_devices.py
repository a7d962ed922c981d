"""Sampling and measuring on another device: what is placed there, and what depends on it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from torch import Tensor

import ptheta
from ptheta.capabilities import capabilities, device_of
from ptheta.cli.commands import cli
from ptheta.compute.layout import channels_last
from ptheta.compute.precise import without_tf32
from ptheta.compute.streams import seeded
from ptheta.data.cache import cache_folder
from ptheta.data.image_data import ImageDataset
from ptheta.errors import PthetaError
from ptheta.extractors.classifiers import Pixels, Trained
from ptheta.extractors.features import Features, extract
from ptheta.extractors.gradients import Gradients
from ptheta.extractors.patches import Patches
from ptheta.extractors.placed import OnDevice, place_of, placed
from ptheta.extractors.pretrained import Own
from ptheta.extractors.reference import reference
from ptheta.measures.results import Evaluation
from ptheta.metrics.evaluate import context
from ptheta.metrics.protocol import protocol
from ptheta.metrics.stored import held
from ptheta.runs.folder import Run
from ptheta.specs import DataSpec, ImageSpec
from ptheta.tasks.sample import sample
from ptheta.training import processes
from tests.conftest import MODELS, TINY, VECTORS, conditions, examples, loaded, tiny
from tests.fake_gpu import CPU, MISSING, NAME, apart, fake_gpu, gpu
from tests.training.test_runs import QUIET

SPEC = ImageSpec(1, 16, 16, 2)
CUDA = torch.device("cuda", 0)
needs_fake = pytest.mark.skipif(MISSING, reason="this torch has no devices written in Python")
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


# -- models

# What torch's fused cell of a GRU computes on a GPU, the CPU has no kernel for.
NOT_FAKED = {"text-gan", "stackgan"}
SOME = ("vae", "made", "dcgan", "kde")


def uses(model: Any, n: int = 4) -> dict[str, Callable[[torch.device], Tensor]]:
    """What a model can compute, by name, of examples on a device."""
    can, x, y = capabilities(model), examples(model.spec, n), conditions(model, n)

    def on(device: torch.device) -> tuple[Tensor, Any]:
        return x.to(device), None if y is None else y.to(device)

    every: dict[str, Callable[[torch.device], Tensor]] = {
        "samples": lambda _: sample(model, n, seed=1),
        "log_prob": lambda d: model.log_prob(*on(d)),
        "bound": lambda d: model.elbo(*on(d)),
        "encodes": lambda d: model.encode(*on(d)),
        "discriminates": lambda d: model.discriminate(*on(d)),
        "completes": lambda d: model.complete(
            on(d)[0], torch.zeros_like(on(d)[0]).bool(), on(d)[1]
        ),
    }
    return {name: use for name, use in every.items() if name in can}


def used(model: Any, device: torch.device) -> dict[str, Tensor]:
    found = {}
    for name, use in uses(model).items():
        with torch.no_grad(), seeded(3):
            found[name] = use(device).cpu()
    return found


def gaps(names: Iterable[str]) -> dict[str, float]:
    """The largest differences of what models compute on the fake GPU, with the same noise."""
    specs: tuple[DataSpec, ...] = (SPEC, VECTORS)
    found = {}
    for name in names:
        for spec in (spec for spec in specs if isinstance(spec, loaded(name).specs)):
            torch.manual_seed(0)
            model = channels_last(tiny(name, spec).eval())
            here = used(model, CPU)
            with fake_gpu():
                there = used(model.to(gpu()), gpu())
            assert device_of(model) == gpu()
            for use, x in here.items():
                gap = float((x.double() - there[use].double()).abs().nan_to_num().max())
                scale = max(1.0, float(x.double().nan_to_num().abs().max()))
                found[f"{name}, {type(spec).__name__}, {use}"] = gap / scale
    return found


@needs_fake
def test_models_compute_where_they_are(faked):
    assert {name: gap for name, gap in faked["models"].items() if gap > 1e-5} == {}
    assert len(faked["models"]) > 2 * len(SOME)


@needs_fake
@pytest.mark.slow
def test_every_model_computes_where_it_is():
    found = apart(gaps, [name for name in MODELS if name not in NOT_FAKED])
    assert {name: gap for name, gap in found.items() if gap > 1e-5} == {}


def test_a_model_of_buffers_has_a_device():
    assert device_of(torch.nn.BatchNorm1d(2, affine=False).to("meta")).type == "meta"
    assert device_of(torch.nn.Identity()) == CPU


# -- features


def distances_of_features() -> dict[str, float]:
    x = examples(ImageSpec(1, 16, 16, 256), 20)
    data = ImageDataset("noise", "train", x.numpy())
    own = Own(torch.nn.Conv2d(1, 2, 3), "own")
    every = (Trained("digits"), Pixels(), Gradients(), Patches.of(data), own)
    found = {}
    for extractor in every:
        here = extract(x, extractor).features
        with fake_gpu():
            there = extract(x, placed(extractor, gpu())).features
        again = extract(x, extractor).features  # back on the CPU
        assert torch.equal(here, again)
        found[extractor.name] = float((here - there).abs().max() / here.abs().max())
    return found


@needs_fake
def test_features_are_computed_on_the_device(faked):
    found = faked["features"]
    assert set(found) == {"digits", "pixels", "gradients", "patches", "own"}
    assert max(found.values()) < 1e-5, found


def test_features_of_devices_are_cached_apart():
    data = ImageDataset("noise", "train", examples(SPEC, 6).numpy())
    extractor = Pixels()
    there = placed(extractor, CUDA)
    assert isinstance(there, OnDevice)
    assert placed(extractor, CPU) is extractor
    assert [place_of(by) for by in (extractor, there)] == ["cpu", "cuda"]
    found, calls = extract(data, extractor), []

    def extracted() -> Features:
        calls.append("once")
        return found

    for by in (extractor, there, extractor, there):
        reference(data, by, extracted)
    assert len(calls) == 2
    assert len(list((cache_folder() / "reference").iterdir())) == 2


def test_float32_is_float32_on_a_gpu():
    flags = torch.backends.cudnn
    before = flags.allow_tf32, flags.deterministic
    with without_tf32(CUDA):
        assert (flags.allow_tf32, flags.deterministic, flags.enabled) == (False, True, True)
    with without_tf32(CPU):
        assert (flags.allow_tf32, flags.deterministic) == before
    assert (flags.allow_tf32, flags.deterministic) == before


# -- verbs


def trained(name: str, data: Path, out: Path) -> Run:
    how: dict[str, Any] = {**TINY[name], **QUIET, "levels": 2, "steps": 2, "device": "cpu"}
    return ptheta.train(name, data, out, **how)


def both(data: Path, out: Path) -> dict[str, Any]:
    """Samples and evaluations of a run by the CPU and by the fake GPU."""
    run = trained("vae", data, out / "run")
    how: dict[str, Any] = {"n": 12, "is_k": 2, "extractor": "digits"}
    ptheta.sample(run, 6, out=out / "cpu.npy")
    ptheta.sample(run, 6, out=out / "folder")
    here = ptheta.evaluate(run, **how)
    with fake_gpu():
        ptheta.sample(run, 6, out=out / "gpu.npy", device=NAME)
        with pytest.raises(PthetaError, match="folder"):
            ptheta.sample(run, 9, out=out / "folder", device=NAME)
        there = ptheta.evaluate(run, device=NAME, **how)
        opened = Run.open(run, device=NAME)
        assert device_of(opened.model()) == gpu()
        test, train = opened.data("test"), opened.data("train")
        about = opened.checkpoint() | {"model": "vae"}
        ctx = context(opened.model(), test, train, about=about, **how)
        assert held(there, ctx)
        assert held(here, ctx) == {}
        images = ptheta.evaluate_images(data, data, extractor="digits", device=NAME)
    assert images.protocol["device"] == NAME
    assert Evaluation.read(run.path / "evaluation.json").protocol["device"] == NAME
    return {
        "same": (out / "cpu.npy").read_bytes() == (out / "gpu.npy").read_bytes(),
        "values": [[(r.metric, r.value) for r in e.results] for e in (here, there)],
        "differ": [k for k in here.protocol if here.protocol[k] != there.protocol[k]],
        "devices": [e.protocol["device"] for e in (here, there)],
    }


def work(data: Path, out: Path) -> dict[str, Any]:
    """Everything that the tests look at, in one process of its own, since its start takes long."""
    warnings.simplefilter("ignore")  # of few images
    return {
        "models": gaps(SOME),
        "features": distances_of_features(),
        "verbs": both(data, out),
    }


@pytest.fixture(scope="module")
def faked(strokes, tmp_path_factory) -> dict[str, Any]:
    return apart(work, strokes, tmp_path_factory.mktemp("faked"))


@needs_fake
def test_samples_and_numbers_are_those_of_the_device(faked):
    found = faked["verbs"]
    assert found["same"]
    assert found["devices"] == ["cpu", NAME]
    assert set(found["differ"]) <= {"device", "time"}
    here, there = found["values"]
    assert len(here) == len(there) > 15
    for (name, a), (again, b) in zip(here, there, strict=True):
        assert name == again
        if name != "sampling_speed":
            assert a == b or b == pytest.approx(a, rel=1e-4, abs=1e-6), name


def compared(data: Path, out: Path) -> Any:
    run = trained("made", data, out / "run")
    with fake_gpu():
        ptheta.compare([run], out / "report", n=12, device=NAME)
    return Evaluation.read(run.path / "evaluation.json").protocol["device"]


@needs_fake
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_runs_are_compared_on_a_device(strokes, tmp_path):
    assert apart(compared, strokes, tmp_path) == NAME
    assert (tmp_path / "report" / "report.html").is_file()


def test_the_device_is_in_every_protocol():
    data = ImageDataset("noise", "test", examples(SPEC, 6).numpy())
    assert protocol(data, Pixels(), 6, 0)["device"] == "cpu"
    assert protocol(data, placed(Pixels(), CUDA), 6, 0)["device"] == "cuda"


# -- what is asked for


@pytest.mark.parametrize("verb", ["sample", "evaluate", "compare"])
def test_the_cpu_is_the_default(verb):
    (option,) = (p for p in cli.commands[verb].params if "--device" in p.opts)
    assert isinstance(option, click.Option)
    assert option.default == "cpu"
    assert "differ" in (option.help or "")


VERBS: dict[str, Callable[[Path, Path, str], object]] = {
    "sample": lambda out, data, device: ptheta.sample("example:vae", out=out, device=device),
    "evaluate": lambda out, data, device: ptheta.evaluate("example:vae", device=device),
    "images": lambda out, data, device: ptheta.evaluate_images(data, data, device=device),
    "compare": lambda out, data, device: ptheta.compare(["example:vae"], out, device=device),
    "open": lambda out, data, device: Run.open("example:vae", device=device),
}


@without_gpu
@pytest.mark.parametrize("verb", VERBS)
def test_a_device_that_is_not_there_is_one_line(verb, strokes, tmp_path):
    for device, words in (
        ("cuda", "device 'cuda' is not available here: choose from cpu"),
        ("gpu", "unknown device 'gpu'"),
        ("cuda:1", "unknown device 'cuda:1'"),
    ):
        with pytest.raises(PthetaError, match=words) as error:
            VERBS[verb](tmp_path / "x.npy", strokes, device)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "x.npy").exists()


@without_gpu
def test_without_a_gpu_auto_is_the_cpu():
    assert processes.chosen_device("auto") == CPU
    run = Run.open("example:vae", device="auto")
    assert run.device == Run.open("example:vae").device == CPU
    assert Run.open(run) is run
    assert Run.open(run, device="cpu") is run


def test_several_processes_share_the_cpu_only(monkeypatch, tmp_path, strokes):
    there = processes.Device(lambda: True, most=lambda: 2, own=True)
    monkeypatch.setitem(processes.DEVICES, "cuda", there)
    assert processes.chosen_device("auto") == CUDA
    words = "processes = 2 with device 'cuda': several processes share work on the CPU only"
    with pytest.raises(PthetaError, match=words):
        ptheta.sample("example:vae", out=tmp_path / "x.npy", device="cuda", processes=2)
    with pytest.raises(PthetaError, match=words):
        ptheta.evaluate("example:vae", device="auto", processes=2)
    with pytest.raises(PthetaError, match=words):
        ptheta.evaluate(Run.open("example:vae", device="cuda"), processes=2)
    with pytest.raises(PthetaError, match=words):
        ptheta.evaluate_images(strokes, strokes, device="cuda", processes=2)
