"""Fixtures and small data sets shared by the tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ptheta import config
from ptheta.api.export import Images, check_out, export
from ptheta.batch import Condition
from ptheta.conditions import ConditionSpec, Image, Labels, Text, wanted
from ptheta.data.image_data import ImageDataset
from ptheta.data.memory import Source
from ptheta.models import registry
from ptheta.models.base import Model, Plays
from ptheta.specs import Column, DataSpec, ImageSpec, VectorSpec, quantise
from tests.data import makers

# Under nohup or in a background job some signals are ignored, and their tests would fail.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, usual)

# Tests run in parallel: the commands that they start would compete for threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def write_images(x: Tensor, out: Path) -> Path:
    """Write an image batch in the format given by the suffix of `out`."""
    return export(Images.of(x), check_out(out))


SMALL = {"features": 4, "latent": 6, "search_steps": 1}  # a GAN
DRAWS = {"features": 4, "latent": 3, "text_width": 6}  # text-to-image models
NOISED = {  # a denoising network
    "features": (4, 8),
    "hidden": 16,
    "layers": 1,
    "embedding": 8,
    "sample_steps": 4,
    "resample": 2,
}
# The smallest useful options of each model; a model without an entry is built with its defaults.
TINY: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("gan", "dcgan", "lsgan", "wgan", "wgan-gp"), SMALL),
    **dict.fromkeys(("dragan", "r3gan", "sngan"), SMALL),
    "began": {**SMALL, "code": 5},
    **dict.fromkeys(("cgan", "acgan", "projection-gan"), SMALL),
    # a batch statistic makes scores depend on the whole batch; tests score images one by one
    "progressive-gan": {**SMALL, "minibatch": "none"},
    "infogan": {**SMALL, "categories": 3, "continuous": 1},
    "vae": {"hidden": (16,), "latent": 3, "features": 4},
    "iwae": {"hidden": (16,), "latent": 3, "features": 4, "samples": 3},
    "cvae": {"hidden": (16,), "latent": 3, "features": 4},
    "beta-tcvae": {"hidden": (16,), "latent": 3, "features": 4},
    "ladder-vae": {"hidden": (16,), "layers": (4, 2), "units": (8,), "features": 4},
    "vq-vae": {"codes": 8, "dims": 3, "features": 4, "blocks": 1, "hidden": (16,)},
    "avb": {"hidden": (16,), "latent": 3, "features": 4, "critic": (8,), "bases": 2, "noise": 3},
    "ae": {"hidden": (16,), "latent": 3, "features": 4},
    "dae": {"hidden": (16,), "latent": 3, "features": 4},
    "gsn": {"hidden": (16,), "latent": 3, "features": 4, "sweeps": 5},
    "aae": {"hidden": (16,), "latent": 3, "features": 4, "critic": (8,)},
    "vae-gan": {"hidden": (16,), "latent": 3, "features": 4},
    "alpha-gan": {"hidden": (16,), "latent": 3, "features": 4, "critic": (8,)},
    "pix2pix": {"features": 4},
    "bicycle-gan": {"features": 4, "latent": 2, "discriminators": 1},
    "cyclegan": {"features": 4, "blocks": 1, "d_features": 4, "pool": 5},
    "context-gan": {"features": 4, "dilations": (1, 2), "d_features": 4},
    "text-gan": DRAWS,
    "stackgan": {**DRAWS, "augmented": 3},
    "gmmn": {"hidden": (16,), "latent": 3, "features": 4, "generator": (8,), "code": 3},
    "wae-mmd": {"hidden": (16,), "latent": 3, "features": 4},
    "kde": {"centres": 50},
    "mixture": {"components": 3},
    "nice": {"hidden": (16,), "couplings": 2},
    "realnvp": {"hidden": (16,), "scales": 2, "depth": 1, "features": (4,)},
    "glow": {"hidden": (16,), "scales": 2, "depth": 2, "features": (4,)},
    "maf": {"hidden": (16,), "transforms": 2},
    **dict.fromkeys(("ddpm", "flow-matching"), NOISED),
    "nade": {"hidden": 12, "block": 5},
    "made": {"hidden": (40,)},
    "pixelcnn": {"features": 6, "blocks": 2, "head": 6},
    "row-lstm": {"features": 6, "first_kernel": 3, "head": 6},
    "diagonal-bilstm": {"features": 6, "first_kernel": 3, "head": 6},
    "multiscale-pixelcnn": {"features": 6, "blocks": 2, "head": 6, "context": 1},
    "image-transformer": {"width": 8, "heads": 2, "layers": 2},
    "pixelcnn++": {"features": 6, "blocks": 2, "components": 2},
    "rbm": {"hidden": 5, "chains": 4, "sweeps": 5},
    "gated-pixelcnn": {"features": 6, "layers": 3, "first_kernel": 3, "head": 6},
}


@pytest.fixture(autouse=True)
def one_thread():
    """Sum in the same order on any machine; also faster for small tensors."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_images():
    makers.rewind()


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTHETA_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 rows of a real, an integer and a categorical column, as .csv, with labels."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    lines = ["height,age,pet,label"]
    for i in range(240):
        grown = i % 2
        height, age = rng.normal(1.2 + 0.5 * grown, 0.1), rng.integers(2, 12) + 30 * grown
        pet = ("cat", "dog", "owl")[rng.integers(3)]
        lines.append(f"{height:.3f},{age},{pet},{'grown' if grown else 'small'}")
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="session")
def strokes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 labelled 16x16 grey images of bars on faint noise, as .npz: quick to learn from.

    Without the noise, bars of similar brightness would count as near-duplicates.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(0, 20, (240, 16, 16), dtype=np.uint8)
    labels = np.arange(240) % 2
    for image, label in zip(images, labels, strict=True):
        at = rng.integers(2, 12)
        bar = slice(at, at + 3)
        image[(slice(2, 14), bar) if label else (bar, slice(2, 14))] = rng.integers(180, 256)
    path = tmp_path_factory.mktemp("data") / "strokes.npz"
    np.savez(path, images=images, labels=labels)
    return path


VECTORS = VectorSpec(
    (
        Column("age", "integer", low=0, high=99, center=40, scale=20),
        Column("pet", "category", ("cat", "dog", "owl")),
        Column("height", center=1.7, scale=0.1),
        Column("sex", "category", ("f", "m")),
    )
)


def examples(spec: DataSpec, n: int, seed: int = 3) -> torch.Tensor:
    """Random examples of any spec."""
    draw = torch.Generator().manual_seed(seed)
    if isinstance(spec, ImageSpec):
        x = torch.randint(0, 256, (n, *spec.shape), dtype=torch.uint8, generator=draw)
        return quantise(x, spec.levels)
    return spec.unscaled(torch.randn(n, *spec.scaled_shape, generator=draw))


def tiny(name: str, spec: DataSpec, *, classes: int | None = None, **options: Any) -> Any:
    """A small model of the registry with weights drawn from seed 0.

    classes: number of labels to condition on; default: three if the model requires a condition
    """
    import ptheta

    torch.manual_seed(0)
    options = {**TINY.get(name, {}), **options}
    if isinstance(spec, VectorSpec) and "net" in config_options(name):
        options.setdefault("net", "mlp")
        if "search_steps" in options:
            options = {"g_hidden": (16, 16), "d_hidden": (16,), **options}
    if classes is None and "condition" not in options:
        condition = condition_of(name, spec, options)
    else:
        condition = labels(classes) if classes else None
    return ptheta.create(name, spec, **{"condition": condition, **options})


def labels(classes: int) -> Labels:
    return Labels(tuple(map(str, range(classes))))


def captions(spec: DataSpec) -> Text:
    """Captions of a standing or a lying bar."""
    return Text(
        ("a", "bar", "standing", "lying", "grey"), 4, ("a standing bar", "a lying grey bar")
    )


def black_or_white(spec: DataSpec) -> Image:
    """Binary input images of the same size."""
    assert isinstance(spec, ImageSpec)
    return Image(ImageSpec(1, spec.height, spec.width, 2))


# Conditions for the models that require one, by kind.
CONDITIONS: dict[str, Callable[[DataSpec], ConditionSpec]] = {
    "labels": lambda spec: labels(3),
    "image": black_or_white,
    "text": captions,
}


def condition_of(name: str, spec: DataSpec, options: Mapping[str, Any]) -> ConditionSpec | None:
    """The condition of a model that requires one with these options; None for other models."""
    kinds = wanted(registry.entry(name).load_config()(**options))
    return CONDITIONS[kinds[0]](spec) if kinds else None


def data_for(name: str, data: Path) -> Source:
    """The images of a .npz as data that the model can learn from.

    Adds input images (a mask of the bright pixels) or captions (naming the label) if required.
    """
    kinds = wanted(registry.entry(name).load_config()())
    if not {"image", "text"} & {*kinds}:
        return data
    with np.load(data) as file:
        images, labels = file["images"], file["labels"]
    if "text" in kinds:
        said = [f"a {'standing' if label else 'lying'} bar" for label in labels]
        return ImageDataset(data.stem, "train", images[:, None], captions=said)
    bright = (images > 100).astype(np.uint8)
    return ImageDataset(data.stem, "train", images[:, None], masks=bright)


def conditions(model: Any, n: int) -> Condition | None:
    """n valid conditions of a model; None if it is unconditional."""
    return None if model.condition is None else model.condition.examples(n)


def loaded(name: str) -> type[Model]:
    """The class of a registered model."""
    cls = registry.entry(name).load_model()
    assert issubclass(cls, Model)
    return cls


def config_options(name: str) -> set[str]:
    """The option names of a model."""
    return set(config.options(registry.entry(name).load_config()))


def pairs(names: Iterable[str], *specs: DataSpec) -> Any:
    """Parametrise a test by model name and spec, for every spec that the model can learn."""
    found = [
        pytest.param(name, spec, id=f"{name}-{spec}".replace(" ", "-"))
        for name in names
        for spec in specs
        if isinstance(spec, loaded(name).specs)
    ]
    return pytest.mark.parametrize(("name", "spec"), found)


MODELS = list(registry.MODELS)
PLAYED = [name for name in MODELS if issubclass(registry.entry(name).load_model(), Plays)]
FITTED = [name for name in MODELS if name not in PLAYED]
