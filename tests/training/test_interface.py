"""The Python interface: images in memory in place of a path, and the caller's random streams."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ptheta
import ptheta.data
from ptheta import api, tasks
from ptheta.api import Grid, Rows
from ptheta.data import open_images
from ptheta.data.image_data import ImageDataset
from ptheta.data.sources import open_image_set
from ptheta.errors import PthetaError
from ptheta.extractors.classifiers import Pixels
from ptheta.files.atomic import digest
from ptheta.runs.folder import Run
from ptheta.specs import ImageSpec
from tests.conftest import tiny

IMAGES = np.random.default_rng(5).integers(0, 256, (60, 8, 8), dtype=np.uint8)
LABELS = np.arange(60) % 2
MANY = np.concatenate([IMAGES, 255 - IMAGES, IMAGES.transpose(0, 2, 1)])
TABLE = np.where(IMAGES[:, 0, :2] < 50, np.nan, IMAGES[:, 0, :2])
SMALL: dict[str, Any] = {"steps": 1, "hidden": (4,), "latent": 2}
QUICK: dict[str, Any] = {"steps": 1, "hidden": (4,), "evaluate_every": 0}
MEASURED: dict[str, Any] = {"n": 8, "extractor": "pixels"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled images in a file, and beside it runs that were trained on the same in memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PTHETA_CACHE", str(tmp_path_factory.mktemp("cache")))
        place = tmp_path_factory.mktemp("interface")
        np.savez(place / "a.npz", images=IMAGES, labels=LABELS)
        ptheta.train("vae", (IMAGES, LABELS), place / "run", **SMALL)
        ptheta.train("made", (IMAGES, LABELS), place / "made", steps=1, hidden=(4,))
        np.savetxt(place / "rows.csv", TABLE, delimiter=",", header="a,b", comments="")
        ptheta.train("gaussian", place / "rows.csv", place / "table", epochs=1.0)
        ptheta.train(
            "pix2pix", (IMAGES, LABELS), place / "pairs", pairs="noise", steps=1, features=2
        )
    return place


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few images
        yield


GIVEN: dict[str, Callable[[Path], Any]] = {
    "path": lambda place: place / "a.npz",
    "array": lambda place: IMAGES,
    "channels last": lambda place: IMAGES[..., None],
    "tensor": lambda place: torch.from_numpy(IMAGES)[:, None],
    "floats": lambda place: torch.from_numpy(IMAGES).double() / 255,
    "labelled": lambda place: (torch.from_numpy(IMAGES), LABELS.tolist()),
    "data set": lambda place: open_images(place / "a.npz"),
    "parts": lambda place: {
        "train": open_images(place / "a.npz"),
        "test": open_images(place / "a.npz", "test"),
    },
}


@pytest.mark.parametrize("given", GIVEN)
def test_the_same_images_give_the_same_weights_wherever_they_are(given, place, tmp_path):
    run = ptheta.train("vae", GIVEN[given](place), tmp_path / "run", **SMALL)
    weights = [digest(r.path / "model.safetensors") for r in (run, Run.open(place / "run"))]
    assert weights[0] == weights[1]
    assert run.fingerprint == Run.open(place / "run").fingerprint
    assert run.plan.source == (str(place / "a.npz") if given == "path" else "images in memory")
    test = run.data("test", place / "a.npz")  # from where they lie now
    assert test.fingerprint() == open_images(place / "a.npz", "test").fingerprint()


def test_levels_of_a_data_set_are_those_of_the_run(place, tmp_path):
    binary = open_images(place / "a.npz", levels=2, dynamic=True)
    run = ptheta.train("vae", binary, tmp_path / "run", **SMALL)
    assert isinstance(run.spec, ptheta.ImageSpec)
    assert (run.spec.levels, run.plan.data.dynamic) == (2, True)
    assert ptheta.train("vae", binary, tmp_path / "4", levels=4, dynamic=False, **SMALL)


NEED_DATA: dict[str, Callable[..., Any]] = {
    "evaluate": lambda run, **given: api.evaluate(run, **given, **MEASURED),
    "fit": lambda run, **given: api.fit(run, **given, components=2),
    "probe": lambda run, **given: api.probe(run, (4,), **given, draws=1, steps=1),
    "closest": lambda run, **given: api.closest(run, **given, n=4, pairs=2),
    "latents": lambda run, **given: ptheta.latents(run, 20, **given),
    "layers": lambda run, **given: ptheta.layers(run, 20, **given),
    "look": lambda run, **given: Run.open(run).look(*given.values()),
}


@pytest.mark.parametrize("verb", NEED_DATA)
def test_a_run_from_memory_asks_for_its_data_and_takes_it(verb, place):
    with pytest.raises(PthetaError, match="trained on images in memory: give them with --data"):
        NEED_DATA[verb](place / "run")
    for given in ((IMAGES, LABELS), place / "a.npz"):
        assert NEED_DATA[verb](place / "run", data=given) is not None


def test_a_run_goes_on_with_images_in_memory(place, tmp_path):
    whole = ptheta.train("vae", IMAGES, tmp_path / "a", **(SMALL | {"steps": 4}))
    ptheta.train("vae", place / "a.npz", tmp_path / "b", **(SMALL | {"steps": 2}))
    on = ptheta.train("vae", IMAGES, tmp_path / "b", resume=True, steps=4)
    assert digest(whole.path / "model.safetensors") == digest(on.path / "model.safetensors")
    assert on.plan.source == str(place / "a.npz")  # it still lies there


def test_a_data_set_that_was_trained_on_whole_has_none_to_measure_on(place, tmp_path):
    train, test = (open_images(place / "a.npz", split) for split in ("train", "test"))
    run = ptheta.train("vae", train, tmp_path / "run", **SMALL)
    with pytest.raises(PthetaError, match="trained on all held-out images"):
        run.data("test", train)
    assert len(run.data("test", test)) == len(test)
    assert run.own({"train": train, "test": test}).kind == "same"


def test_images_in_memory_are_measured_like_those_of_a_folder(place):
    kept, again = (
        [(r.metric, r.value) for r in api.evaluate_images(IMAGES[:20], real, **MEASURED).results]
        for real in (place / "a.npz", (IMAGES, LABELS))
    )
    assert kept == again
    assert len(open_image_set(IMAGES).images) == 60
    with pytest.raises(PthetaError, match="compared with real ones"):
        api.closest(IMAGES)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (IMAGES.tolist(), "data of type list: give a name, a path, a Dataset"),
        ((IMAGES, LABELS[:5]), r"labels of shape \(5,\) for 60 images"),
        ({"trian": IMAGES}, "unknown split 'trian': did you mean 'train'"),
        ({"test": IMAGES}, "only a test part"),
        (IMAGES[0, 0], r"has shape \(8,\)"),
        (torch.randn(9, 1, 8, 8), "floats from -"),
        (IMAGES.astype(complex), "holds complex128"),
    ],
)
def test_what_is_no_source_is_one_line(wrong, words, tmp_path):
    with pytest.raises(PthetaError, match=words) as error:
        ptheta.train("vae", wrong, tmp_path / "run", **SMALL)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


@pytest.mark.slow
def test_several_processes_get_images_in_memory(tmp_path):
    run = ptheta.train("vae", (IMAGES, LABELS), tmp_path / "run", processes=2, **SMALL)
    assert run.about.dataset.images == len(open_images(IMAGES))


def _sample(run: Any, data: Any = None, **given: Any) -> Grid | Rows:
    return ptheta.sample(run, 5, **given)


def _inpaint(run: Any, **given: Any) -> Grid:
    return ptheta.inpaint(_autoregressive(run), n=3, each=2, **given)


def _surprise(run: Any, **given: Any) -> Grid:
    return ptheta.surprise(_autoregressive(run), n=3, **given)


def _translate(run: Any, **given: Any) -> Grid:
    return ptheta.translate(_beside(run, "pairs"), n=3, **given)


def _autoregressive(run: Any) -> Path:
    """The run beside this one that completes images."""
    return _beside(run, "made")


def _beside(run: Any, name: str) -> Path:
    place: Path = run.path if isinstance(run, Run) else run
    return place.parent / name


WRITING: dict[str, Callable[..., Grid | Rows]] = {
    "sample": _sample,
    "inpaint": _inpaint,
    "surprise": _surprise,
    "reconstruct": partial(ptheta.reconstruct, n=3),
    "denoise": partial(ptheta.denoise, n=3),
    "interpolate": partial(ptheta.interpolate, n=2, steps=3),
    "manifold": lambda run, data=None, **given: ptheta.manifold(run, 3, **given),
    "traverse": partial(ptheta.traverse, n=2, steps=3),
    "translate": _translate,
}

MODELS = {
    name: tiny(name, ImageSpec(1, 8, 8, 2))
    for name in ("ae", "cvae", "dae", "gan", "made", "vae", "pix2pix")
}

X = torch.randint(0, 2, (12, 1, 8, 8), dtype=torch.uint8) * 255
CODES = torch.randn(30, 3)
ON = ImageDataset("some", "train", X.numpy(), levels=2)


def _on_arrays(verb: Callable[..., Any], place: Path, out: Path) -> Any:
    return verb(place / "run", data=(IMAGES, LABELS))


VERBS: dict[str, Callable[[Path, Path], Any]] = {
    "create": lambda place, out: ptheta.create("vae", ImageSpec(1, 8, 8)),
    "train": lambda place, out: ptheta.train("vae", IMAGES, out, **SMALL),
    "dry_run": lambda place, out: ptheta.dry_run("vae", IMAGES, **SMALL),
    "load": lambda place, out: ptheta.load(place / "run"),
    "list_datasets": lambda place, out: ptheta.list_datasets(),
    "list_metrics": lambda place, out: ptheta.list_metrics(),
    "list_models": lambda place, out: ptheta.list_models(),
    "list_tasks": lambda place, out: ptheta.list_tasks(),
    "open_data": lambda place, out: ptheta.open_data(place / "a.npz", levels=2).batch([0]),
    "open_images": lambda place, out: open_images(place / "a.npz", levels=2).batch([0]),
    "register": lambda place, out: ptheta.register("extractor", "own-pixels", Pixels),
    "describe": lambda place, out: ptheta.describe(place / "a.npz"),
    "evaluate_images": lambda place, out: api.evaluate_images(IMAGES[:20], IMAGES, **MEASURED),
    "sweep": lambda place, out: ptheta.sweep(
        "vae", str(place / "a.npz"), out, [{}], seeds=1, **SMALL
    ),
    "compare": lambda place, out: ptheta.compare(
        [place / "run"], out, **MEASURED, data=str(place / "a.npz")
    ),
    "write_report": lambda place, out: ptheta.write_report(
        ptheta.compare([place / "run"], out, **MEASURED, data=str(place / "a.npz")).parent
    ),
    "demo": lambda place, out: ptheta.demo(out, str(place / "a.npz"), speed=1e6),
    **{name: partial(_on_arrays, verb) for name, verb in WRITING.items()},
    **{name: partial(_on_arrays, verb) for name, verb in NEED_DATA.items()},
    "tasks.sample_batches": lambda place, out: list(tasks.sample_batches(MODELS["vae"], 2)),
    "tasks.sample": lambda place, out: tasks.sample(MODELS["vae"], 2),
    "chain": lambda place, out: ptheta.chain(
        ptheta.train("dae", IMAGES, out / "dae", **SMALL), steps=4, chains=2, every=2
    ),
    "tasks.chain": lambda place, out: tasks.chain(MODELS["dae"], 4, 2, every=2),
    "classify": lambda place, out: ptheta.classify(
        ptheta.train("made", (IMAGES, LABELS), out / "told", condition="labels", **QUICK),
        (IMAGES, LABELS),
        data=(IMAGES, LABELS),
    ),
    "tasks.classify": lambda place, out: tasks.classify(MODELS["cvae"], ON, samples=2),
    "compress": lambda place, out: ptheta.compress(place / "made", IMAGES[:5], out / "x.ptc"),
    "decompress": lambda place, out: ptheta.decompress(
        place / "made",
        ptheta.compress(place / "made", IMAGES[:5], out / "x.ptc").path,
        out / "x.npy",
    ),
    "context": lambda place, out: ptheta.context(place / "made", data=IMAGES, n=3),
    "tasks.context": lambda place, out: tasks.context(MODELS["made"], X),
    "tasks.compress": lambda place, out: tasks.compress(MODELS["made"], X, 5),
    "tasks.decompress": lambda place, out: tasks.decompress(
        MODELS["made"], tasks.compress(MODELS["made"], X[:3]), 3
    ),
    "cluster": lambda place, out: ptheta.cluster(place / "run", IMAGES[:9], clusters=2),
    "tasks.cluster": lambda place, out: tasks.cluster(MODELS["vae"], ON, 2, restarts=2),
    "encode": lambda place, out: ptheta.encode(place / "run", IMAGES[:6], sample=True),
    "decode": lambda place, out: (
        ptheta.decode(place / "run", ptheta.encode(place / "run", IMAGES[:6])).x
    ),
    "scatter": lambda place, out: ptheta.scatter(place / "run", IMAGES, out=out / "codes.png"),
    "tasks.encode": lambda place, out: tasks.encode(MODELS["vae"], X).drawn(),
    "tasks.decode": lambda place, out: tasks.decode(MODELS["ae"], torch.zeros(2, 3)),
    "tasks.scatter": lambda place, out: tasks.scatter(MODELS["vae"], X),
    "tasks.denoise": lambda place, out: tasks.denoise(MODELS["dae"], X, "gaussian", 0.5),
    "tasks.fit": lambda place, out: tasks.fit(MODELS["ae"], CODES, components=2),
    "launch": lambda place, out: ptheta.launch("slurm", ["vae", "--out", str(out)], nodes=2),
    "learn": lambda place, out: ptheta.learn("likelihood", out / "page.html"),
    "pack": lambda place, out: ptheta.pack(IMAGES, out / "shards", images_per_shard=20),
    "log": lambda place, out: ptheta.log(place / "run", "tensorboard", out=out / "events"),
    "push": lambda place, out: ptheta.push(place / "run", "team/run", out=out / "shared"),
    "impute": lambda place, out: ptheta.impute(
        place / "table", place / "rows.csv", out=out / "full.csv"
    ),
    "tasks.impute": lambda place, out: tasks.impute(MODELS["vae"], X, X > 0),
    "tasks.imputed": lambda place, out: tasks.imputed(MODELS["vae"], X, X > 0, candidates=1),
    "tasks.inpaint": lambda place, out: tasks.inpaint(
        MODELS["made"], X, tasks.region("upper", ImageSpec(1, 8, 8, 2))
    ),
    "tasks.interpolate": lambda place, out: tasks.interpolate(MODELS["vae"], 2, 3),
    "invert": lambda place, out: ptheta.invert(
        place / "run", data=(IMAGES, LABELS), steps=2, drawn=20, n=2, measured=4
    ),
    "tasks.invert": lambda place, out: tasks.invert(MODELS["vae"], X, steps=2, drawn=20),
    "arithmetic": lambda place, out: ptheta.arithmetic(
        place / "run", data=(IMAGES, LABELS), plus="label=1", minus="label=0", n=2
    ),
    "tasks.manifold": lambda place, out: tasks.manifold(MODELS["vae"], 2),
    "tasks.most_used": lambda place, out: tasks.most_used(MODELS["vae"], X),
    "tasks.reconstruct": lambda place, out: tasks.reconstruct(MODELS["vae"], X),
    "tasks.surprise": lambda place, out: tasks.surprise(MODELS["made"], X),
    "tasks.traverse": lambda place, out: tasks.traverse(MODELS["vae"], torch.zeros(3), [0]),
    "tasks.translate": lambda place, out: tasks.translate(MODELS["pix2pix"], X),
    "tasks.probe": lambda place, out: tasks.probe(
        *(MODELS["vae"], lambda: MODELS["vae"], (X, torch.arange(12) % 2)),
        *((X, torch.arange(12) % 2), [4]),
        draws=1,
        steps=1,
    ),
    "outliers": lambda place, out: ptheta.outliers(
        place / "run", IMAGES[:6], data=(IMAGES, LABELS), false_alarms=0.4, score=["nearest"]
    ),
    "ratio": lambda place, out: ptheta.ratio(
        ptheta.train("dcgan", MANY, out / "gan", steps=1, features=4, latent=4),
        held_out=20,
        floors=False,
        data=MANY,
    ),
    "tasks.ratio": lambda place, out: tasks.ratio(MODELS["gan"].eval(), None, ON, floors=False),
    "tradeoff": lambda place, out: ptheta.tradeoff(
        place / "run", values=[0.5], n=20, extractor="pixels", data=(IMAGES, LABELS)
    ),
    "tasks.tradeoff": lambda place, out: tasks.tradeoff(
        MODELS["vae"],
        torch.cat([X, X]),
        torch.cat([X, X]),
        lambda x: x.flatten(1).float(),
        [0.5],
    ),
    "density": lambda place, out: ptheta.density(
        place / "run", IMAGES[:6], data=(IMAGES, LABELS), samples=2
    ),
    "tasks.density": lambda place, out: tasks.density(MODELS["vae"], ON, samples=2),
    "neighbours": lambda place, out: ptheta.neighbours(
        ptheta.train("vae", MANY, out / "vae", **SMALL), drawn=12, space=["pixels"], data=MANY
    ),
    "usefulness": lambda place, out: ptheta.usefulness(
        place / "table", {"train": TABLE, "test": TABLE[::-1, ::-1].copy()}, n=12, repeats=1
    ),
    "tasks.outliers": lambda place, out: tasks.outliers(
        MODELS["vae"], ON.subset(slice(0, 4)), ON, scores=["elbo", "importance-bound"]
    ),
    "tasks.psnr": lambda place, out: tasks.psnr(X, 255 - X),
    "tasks.region": lambda place, out: tasks.region("left", ImageSpec(1, 8, 8)),
}


def _streams() -> tuple[list[int], Any, Any]:
    return torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate()  # noqa: NPY002


MODULES = {name for name in ptheta.__all__ if isinstance(getattr(ptheta, name), ModuleType)}


def test_every_verb_has_its_row():
    assert {f"tasks.{name}" for name in tasks.__all__} <= VERBS.keys()
    assert {name for name in ptheta.__all__ if name.islower()} - MODULES <= VERBS.keys()


@pytest.mark.parametrize("verb", WRITING)
def test_a_verb_of_images_gives_what_it_writes(verb, place, tmp_path):
    how: dict[str, Any] = {"data": (IMAGES, LABELS)}
    grid = WRITING[verb](place / "run", out=tmp_path / "x.npy", **how)
    assert grid.path == tmp_path / "x.npy"
    assert np.array_equal(np.load(tmp_path / "x.npy"), grid.x.numpy())
    again = WRITING[verb](Run.open(place / "run"), **how)
    assert again.path is None
    assert torch.equal(again.x, grid.x)
    assert again.about == grid.about


@pytest.mark.parametrize(
    "verb", sorted(WRITING.keys() - {"translate", "denoise", "sample", "traverse"})
)  # their texts keep their size
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_picture_has_the_scale_that_is_asked_for(verb, suffix, place, tmp_path):
    sizes = []
    for scale in (1, 3):
        file = tmp_path / f"{scale}.{suffix}"
        WRITING[verb](place / "run", data=(IMAGES, LABELS), out=file, scale=scale)
        with Image.open(file) as picture:
            sizes.append(picture.size)
    assert sizes[1] == tuple(3 * side for side in sizes[0])


@pytest.mark.parametrize(
    ("out", "scale", "words"),
    [
        ("x.npy", 2, "--scale 2 applies only to image files, and .*x.npy is not"),
        ("folder", 2, "folder is not an image"),
        (None, 2, "no file is named"),
        ("x.png", 0, "want 1 or more"),
        ("x.png", 10**9, r"more than programs open: give \d+ or less"),
    ],
)
def test_a_scale_that_cannot_be_had_is_refused(out, scale, words, place, tmp_path):
    where = None if out is None else tmp_path / out
    with pytest.raises(PthetaError, match=words):
        ptheta.sample(place / "run", 4, out=where, scale=scale)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "verb",
    [
        pytest.param(v, marks=[pytest.mark.slow] * (v in ("compare", "demo", "write_report")))
        for v in VERBS
    ],
)
def test_the_streams_of_the_caller_go_on(verb, place, tmp_path):
    torch.manual_seed(3)
    np.random.seed(4)  # noqa: NPY002
    random.seed(5)
    before = _streams()
    VERBS[verb](place, tmp_path / "out")
    assert _streams() == before


def test_a_table_that_is_there_is_not_overwritten(place, tmp_path):
    (tmp_path / "rows.csv").write_text("mine")
    with pytest.raises(PthetaError, match=r"rows.csv already exists: give another name"):
        ptheta.sample(place / "table", 3, out=tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text() == "mine"
    ptheta.sample(place / "table", 3, out=tmp_path / "rows.csv", force=True)
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 4
