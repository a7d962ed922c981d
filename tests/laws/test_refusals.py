"""What does not exist is refused in one line, never taken for something else."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch

import ptheta
from ptheta import tasks
from ptheta.config import options
from ptheta.corruption import corrupt
from ptheta.errors import PthetaError
from ptheta.metrics.ais import ais
from ptheta.models import registry
from ptheta.nets.adversarial.config import NetConfig
from ptheta.nets.adversarial.discriminator import Discriminator
from ptheta.nets.adversarial.generator import Generator
from ptheta.nets.coders import CoderConfig, decoder, encoder
from ptheta.nets.heads import HeadOptions, head
from ptheta.nets.masked import AboveConv2d, MaskedConv2d, RowConv2d, sees
from ptheta.nets.minibatch import minibatch
from ptheta.nets.norms import normalisation
from ptheta.nets.sparse_prefix import sparse_prefix
from ptheta.specs import ImageSpec
from tests.conftest import tiny

SPEC = ImageSpec(1, 8, 8, 2)
X = torch.zeros(2, *SPEC.shape, dtype=torch.uint8)
KNOWN = torch.ones(X.shape, dtype=torch.bool)
ROUND = ptheta.Attributes(("round", "red"))
Y = torch.arange(2)
BAD: Any = "bananas"


@cache
def model(name: str, **options: Any) -> Any:
    return tiny(name, SPEC, **options).eval()


def probed(draws: int = 1, steps: int = 1) -> object:
    return tasks.probe(model("vae"), BAD, (X, Y), (X, Y), [2], draws=draws, steps=steps)


def prefix() -> object:
    zeros = torch.zeros(3, 2)
    return sparse_prefix(torch.ones(1, 3) > 0, zeros[:1], zeros, zeros, BAD)


NAMES: dict[str, Callable[[], object]] = {
    "mask": lambda: sees(1, 1, BAD, 1),
    "masked convolution": lambda: MaskedConv2d(1, 1, 3, BAD),
    "its type in lower case": lambda: MaskedConv2d(1, 1, 3, "b"),  # type: ignore[arg-type]
    "row convolution": lambda: RowConv2d(1, 1, 3, BAD),
    "normalisation of maps": lambda: normalisation(BAD, 4, 4),
    "normalisation of units": lambda: normalisation(BAD, 4, 2),
    "minibatch": lambda: minibatch(BAD, 4),
    "generator": lambda: Generator(SPEC, NetConfig(net=BAD), 4),
    "norm of a generator": lambda: Generator(SPEC, NetConfig(g_norm=BAD), 4),
    "discriminator": lambda: Discriminator(SPEC, NetConfig(net=BAD), "none"),
    "norm of a discriminator": lambda: Discriminator(SPEC, NetConfig(), BAD),
    "minibatch layer": lambda: Discriminator(SPEC, NetConfig(minibatch=BAD), "none"),
    "encoder": lambda: encoder(SPEC, CoderConfig(net=BAD), 4),
    "decoder": lambda: decoder(SPEC, CoderConfig(net=BAD), 1),
    "likelihood": lambda: head(SPEC, BAD),
    "sigma": lambda: head(SPEC, "gaussian", HeadOptions(sigma=BAD)),
    "activation": prefix,
    "noise": lambda: corrupt(X, BAD, 0.5),
    "region": lambda: tasks.region(BAD, SPEC),
    "start of annealing": lambda: ais(model("vae"), X, start=BAD),
}


@pytest.mark.parametrize("what", NAMES)
def test_an_unknown_name_is_refused(what):
    with pytest.raises(
        PthetaError, match=r"unknown .* '(bananas|b)': (known|did you mean)"
    ) as said:
        NAMES[what]()
    assert "\n" not in str(said.value)


CHOOSING = [
    (name, field)
    for name in ("vae", "iwae", "cvae", "avb", "ae", "dae", "nade")
    for field, opt in options(registry.entry(name).load_config()).items()
    if opt.choices
]


@pytest.mark.parametrize(("name", "field"), CHOOSING)
def test_an_unknown_choice_of_a_config_made_by_hand_is_refused(name, field):
    found = registry.entry(name)
    with pytest.raises(PthetaError):
        found.load_model()(SPEC, found.load_config()(**{field: BAD}))


NUMBERS: dict[str, tuple[Callable[[], object], str]] = {
    "even kernel": (lambda: MaskedConv2d(1, 1, 4, "B"), "must be odd"),
    "even row": (lambda: RowConv2d(1, 1, 4, "B"), "must be odd"),
    "even kernel above": (lambda: AboveConv2d(1, 1, 4, strict=True), "must be odd"),
    "unequal parts": (lambda: MaskedConv2d(1, 3, 3, "B", parts=2), "2 equal parts"),
    "dims of a norm": (lambda: normalisation("batch", 4, 3), "dims = 3"),
    "virtual without reference": (lambda: normalisation("virtual", 4, 4), "at least 1 image"),
    "label of a manifold": (lambda: tasks.manifold(model("cvae"), 2, label=7), "unknown label 7"),
    "negative label": (lambda: tasks.manifold(model("cvae"), 2, label=-1), "unknown label -1"),
    "label of none": (lambda: tasks.manifold(model("vae"), 2, label=0), "takes no labels"),
    "attribute": (lambda: tasks.manifold(model("cvae", condition=ROUND), 2, label=2), "label 2"),
    "equal dims": (lambda: tasks.manifold(model("vae"), 2, dims=(1, 1)), "give two of 0 to 2"),
    "negative dims": (lambda: tasks.manifold(model("vae"), 2, dims=(-1, 1)), "give two of 0"),
    "no side": (lambda: tasks.manifold(model("vae"), 0), "side = 0"),
    "traversal": (lambda: tasks.traverse(model("vae"), torch.zeros(3), [-1]), "has 0 to 2"),
    "empty traversal": (lambda: tasks.traverse(model("vae"), torch.zeros(3), []), "at least one"),
    "short walk": (lambda: tasks.interpolate(model("vae"), 2, 1), "at least 1 walk of 2 images"),
    "no walk": (lambda: tasks.interpolate(model("vae"), 0, 5), "at least 1 walk"),
    "codes of a GAN": (lambda: tasks.most_used(model("dcgan"), X), "no `encode`"),
    "use of one image": (lambda: tasks.most_used(model("vae"), X[:1]), "at least two"),
    "sampled label": (lambda: tasks.sample(model("cvae"), 2, labels=[3]), "unknown label 3"),
    "no labels": (lambda: tasks.sample(model("cvae"), 2, labels=[]), "labels is empty"),
    "candidates": (lambda: tasks.inpaint(model("nade"), X, KNOWN, candidates=0), "at least one"),
    "posterior of none": (
        lambda: ais(model("aae"), X, start="posterior"),
        "no `log_likelihood`",
    ),
    "no chains": (lambda: ais(model("vae"), X, chains=0), "chains = 0"),
    "noise below 0": (lambda: corrupt(X, "gaussian", -0.1), "want 0 or more"),
    "noise above 1": (lambda: corrupt(X, "masking", 1.5), "want a probability"),
    "no draws": (lambda: probed(draws=0), "draws = 0"),
    "no tuning": (
        lambda: tasks.probe(model("vae"), BAD, (X, Y), (X, Y), [2], steps=0),
        "steps = 0",
    ),
    "no steps": (lambda: ais(model("vae"), X, steps=0), "steps = 0"),
}


@pytest.mark.parametrize("what", NUMBERS)
def test_a_number_that_means_nothing_is_refused(what):
    call, words = NUMBERS[what]
    with pytest.raises(PthetaError, match=words) as said:
        call()
    assert "\n" not in str(said.value)


USES: dict[str, tuple[str, Callable[[Any, Any], object]]] = {
    "inpaint": ("nade", lambda m, y: tasks.inpaint(m, X, KNOWN, condition=y)),
    "surprise": ("nade", lambda m, y: tasks.surprise(m, X, y)),
    "reconstruct": ("cvae", lambda m, y: tasks.reconstruct(m, X, y)),
    "denoise": ("cvae", lambda m, y: tasks.denoise(m, X, "masking", 0.5, condition=y)),
    "interpolate": ("cvae", lambda m, y: tasks.interpolate(m, 2, 3, condition=y)),
    "most used": ("cvae", lambda m, y: tasks.most_used(m, X, y)),
    "traverse": ("cvae", lambda m, y: tasks.traverse(m, torch.zeros(3), [0], condition=y[:1])),
}


@pytest.mark.parametrize("use", USES)
def test_a_label_that_a_model_does_not_know_or_take_is_refused(use):
    name, call = USES[use]
    knowing = model(name, classes=3)
    call(knowing, torch.tensor([0, 2]))
    for label in (3, -1):
        with pytest.raises(
            PthetaError, match=f"unknown label {label}: the labels of this model are 0 to 2"
        ):
            call(knowing, torch.tensor([label, 0]))
    with pytest.raises(PthetaError, match="takes no condition"):
        call(model({"cvae": "vae"}.get(name, name)), torch.tensor([0, 1]))
