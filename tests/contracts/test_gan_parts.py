"""The parts of a GAN go together, or are refused with the reason: every pair of them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

import ptheta
from ptheta.errors import PthetaError
from ptheta.models.adversarial.options import TRICKS
from ptheta.models.adversarial.presets import PRESETS
from ptheta.nets.adversarial.networks import NETWORKS
from ptheta.specs import ImageSpec
from ptheta.training import checkpoint
from tests.conftest import TINY, tiny
from tests.contracts.gan_parts import (
    BASE,
    LABELS,
    NUMBERS,
    SPEC,
    SPECS,
    VECTORS,
    Pairing,
    build,
    check_refused,
    choosable,
    examples,
    play,
    unsupported,
)
from tests.training.test_runs import same, train

PAIRINGS = {name: Pairing(choosable(), spec) for name, spec in SPECS.items()}
PAIRING = PAIRINGS["images"]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        pytest.param(kind, names, id="-".join((kind, *names)))
        for kind, pairing in PAIRINGS.items()
        for names in pairing.games()
    ],
)
def test_every_pair_of_parts_that_go_together_trains(kind, names):
    play(PAIRINGS[kind].build(*names))


@pytest.mark.parametrize(
    ("kind", "a", "b"),
    [(kind, *pair) for kind, pairing in PAIRINGS.items() for pair in pairing.refused],
)
def test_every_other_pair_is_refused_with_the_reason_that_an_entry_gives(kind, a, b):
    check_refused(PAIRINGS[kind], a, b)


OF_IMAGES = {f"augment={name}" for name in ("color", "translation", "cutout")}
OF_IMAGES |= {f"net={name}" for name in ("conv", "resize", "resnet", "growing")}


def test_parts_that_are_of_images_alone_are_refused_for_vectors_in_one_sentence():
    alone = PAIRINGS["vectors"].alone
    assert alone.keys() == OF_IMAGES
    assert not PAIRING.alone
    for name, given in alone.items():
        with pytest.raises(PthetaError) as error:
            build(given, VECTORS)
        text = str(error.value)
        assert text == unsupported(given, VECTORS)
        assert text.startswith(f"{name.replace('=', ' = ')} is not for vectors of 3 numbers")
        assert re.search(r": (use --net mlp|leave augment out)$", text)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_learns_vectors_or_says_with_which_networks_it_would(name):
    small = {option: value for option, value in BASE.items() if option != "net"}
    config = {**PRESETS[name].config, **small}
    if config.get("net", "auto") == "auto":
        play(build(config, VECTORS), steps=5)
    else:
        with pytest.raises(PthetaError, match="use --net mlp"):
            build(config, VECTORS)
        play(build({**config, "net": "mlp"}, VECTORS), steps=5)


KNOWN = [
    ({"loss": "wasserstein", "label_smoothing": 0.1}, "labels would only shrink it; leave label_s"),
    ({"loss": "relativistic", "label_flips": 0.1}, "no example alone"),
    ({"loss": "began", "minibatch": "stddev"}, "the batch has nothing to add; use minibatch = no"),
    ({"loss": "began", "conditioning": "projection"}, "is not linear in features; use loss = min"),
    ({"penalty": ("gp",), "d_norm": "batch"}, "own output; use d_norm = auto, layer, virtual"),
    ({"penalty": ("r1",), "minibatch": "discrimination"}, "each example's own output"),
    ({"weight_clip": 0.1, "spectral_norm": True}, "both bound the same weights"),
]


@pytest.mark.parametrize(("options", "said"), KNOWN)
def test_what_is_known_not_to_go_together_is_refused(options, said):
    with pytest.raises(PthetaError, match=said):
        build(options)


def test_every_trick_that_others_exclude_has_a_value_here():
    assert TRICKS.keys() <= NUMBERS.keys()


@pytest.mark.parametrize("net", NETWORKS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 14), (2, 28, 28), (3, 33, 64)])
def test_networks_take_any_size_and_channels(net, shape):
    spec = ImageSpec(*shape)
    options = {"features": 4, "g_hidden": (8,), "d_hidden": (8,), "net": net}
    for loss in ("non_saturating", "began"):
        model: Any = ptheta.create("gan", spec, loss=loss, **options).eval()
        with torch.no_grad():
            x = model.sample(3)
            assert x.shape == (3, *shape)
            assert model.discriminate(x).shape == (3,)


def test_images_too_small_to_halve_are_refused_in_one_line():
    spec = ImageSpec(1, 6, 20)
    with pytest.raises(PthetaError, match="use --net mlp"):
        ptheta.create("gan", spec)
    with torch.no_grad():
        model: Any = ptheta.create("gan", spec, net="mlp").eval()
        assert model.sample(2).shape == (2, 1, 6, 20)


def test_conditions_need_their_labels():
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"condition": LABELS}, "but conditioning = none"),
        ({"conditioning": "label"}, "needs a condition"),
        ({"conditioning": "projection"}, "needs a condition"),
        ({"conditioning": "auxiliary", "condition": ptheta.Attributes(("a",))}, "needs labels"),
    )
    for given, said in cases:
        with pytest.raises(PthetaError, match=said):
            ptheta.create("gan", SPEC, **{**BASE, **given})
    model = tiny("cgan", ImageSpec(1, 16, 16))
    for call in (lambda: model.sample(2), lambda: model.discriminate(examples(SPEC, 2).x)):
        with pytest.raises(PthetaError, match="this model"):
            call()


STATES = ["loss=began", "d_norm=virtual", "minibatch=discrimination", "augment=color"]
STATES += ["prior=sphere", "d_optimizer=sgd", *NUMBERS]


@pytest.mark.parametrize("part", STATES)
def test_the_state_of_every_trick_survives_a_pause(part, strokes, tmp_path):
    options = {**BASE, **PAIRING.options[part], "reference": 8, "ema": 0.9}
    options |= {"evaluate_every": 4, "held_out": 24}
    whole = train("gan", strokes, tmp_path / "whole", steps=12, **options)
    train("gan", strokes, tmp_path / "parts", steps=5, **options)
    parts = train("gan", strokes, tmp_path / "parts", steps=12, resume=True, **options)
    a, b = (checkpoint.latest(r.path / "state") for r in (whole, parts))
    assert a is not None
    assert b is not None
    for file in ("model", "ema", "optimizers", "rng-0"):
        assert same(a, b, f"{file}.safetensors"), file


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_other_defaults_of_one_model(name):
    model = tiny(name, ImageSpec(1, 16, 16))
    assert type(model).__name__ == "GAN"
    options = {**PRESETS[name].config, **TINY[name]}
    again = tiny("gan", ImageSpec(1, 16, 16), **options)
    assert {k: v.shape for k, v in model.state_dict().items()} == {
        k: v.shape for k, v in again.state_dict().items()
    }
    assert all(getattr(model.config, k) == v for k, v in options.items())
