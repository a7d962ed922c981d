"""The parts of a GAN go together, or are refused with the reason: every pair of them."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import pytest
import torch

import ptheta
from ptheta.batch import Batch
from ptheta.dynamics import DYNAMICS
from ptheta.errors import PthetaError
from ptheta.losses.adversarial import LOSSES
from ptheta.models.adversarial.gan import CONDITIONING
from ptheta.models.adversarial.presets import PRESETS
from ptheta.specs import ImageSpec
from ptheta.training import checkpoint
from ptheta.training.engine import Engine
from ptheta.training.group import Group
from tests.conftest import TINY, tiny
from tests.training.test_runs import same, train

SPEC = ImageSpec(1, 8, 8)
BASE = {"net": "mlp", "g_hidden": (8, 8), "d_hidden": (8, 8), "latent": 4, "code": 3}
BASE |= {"reference": 4}

LABELS = ptheta.Labels(("a", "b", "c"))

PARTS: dict[str, dict[str, dict[str, Any]]] = {
    "loss": {name: {"loss": name} for name in LOSSES},
    "penalty": {
        **{name: {"penalty": (name,)} for name in ("gp", "dragan", "r1", "r2")},
        "r1+r2+gp": {"penalty": ("r1", "r2", "gp"), "penalty_weight": 0.5},
        "clip": {"weight_clip": 0.05},
        "spectral": {"spectral_norm": True},
    },
    "conditioning": {
        name: {"conditioning": name, "condition": LABELS} if name != "none" else {}
        for name in CONDITIONING
    },
    "trick": {
        "feature_matching": {"feature_matching": 0.5},
        "discrimination": {"minibatch": "discrimination"},
        "stddev": {"minibatch": "stddev"},
        "virtual": {"g_norm": "virtual", "d_norm": "virtual"},
        "layer": {"d_norm": "layer"},
        "batch": {"d_norm": "batch"},
        "smoothing": {"label_smoothing": 0.1},
        "label_noise": {"label_noise": 0.2},
        "flips": {"label_flips": 0.1},
        "instance_noise": {"instance_noise": 0.3, "instance_noise_steps": 2},
        "sphere": {"prior": "sphere"},
        "history": {"historical_averaging": 0.1},
        "augment": {"augment": ("color", "translation", "cutout")},
        "two_scales": {"d_lr": 4e-4},
        "critic_steps": {"critic_steps": 2},
    },
}

WITHOUT_LABELS = ("wasserstein", "relativistic", "began")
UNJUDGED = list(product(WITHOUT_LABELS, ("smoothing", "label_noise", "flips")))
SLOPES = ("gp", "dragan", "r1", "r2", "r1+r2+gp")
REFUSED = {
    **dict.fromkeys(UNJUDGED, "is not defined for loss"),
    ("began", "discrimination"): "to which the batch has nothing to add",
    ("began", "stddev"): "to which the batch has nothing to add",
    ("began", "projection"): "is a reconstruction error",
    **dict.fromkeys(
        product(SLOPES, ["batch", "discrimination", "stddev"]), "an output depends on all images"
    ),
}

PAIRS = [
    (a, b)
    for (_, first), (_, second) in combinations(PARTS.items(), 2)
    for a, b in product(first, second)
]
OPTIONS = {name: options for part in PARTS.values() for name, options in part.items()}


def images(n: int = 6) -> Batch:
    torch.manual_seed(1)
    x = torch.randint(0, 256, (n, *SPEC.shape), dtype=torch.uint8)
    return Batch(x, torch.arange(n) % 3)


@pytest.mark.parametrize(("a", "b"), PAIRS, ids=[f"{a}-{b}" for a, b in PAIRS])
def test_every_pair_of_parts_trains_or_is_refused(a, b):
    torch.manual_seed(0)
    options = {**BASE, **OPTIONS[a], **OPTIONS[b]}
    if (a, b) in REFUSED:
        with pytest.raises(PthetaError, match=REFUSED[a, b]) as error:
            ptheta.create("gan", SPEC, **options)
        assert "\n" not in str(error.value)
        return
    model: Any = ptheta.create("gan", SPEC, **options).train()
    game = model.game()
    engine = Engine(model, game, Group())
    with torch.no_grad():
        game.start(images())
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for step in (1, 2, 3):
        engine.step = step
        DYNAMICS["alternating"](engine, game, step, images())
        with torch.no_grad():
            game.after(step)
    assert all(torch.isfinite(p).all() for p in model.parameters())
    changed = {k.split(".")[0] for k, v in model.state_dict().items() if not v.equal(before[k])}
    assert {"generator", "discriminator"} <= changed
    y = torch.arange(4) % 3 if model.classes else None
    with torch.no_grad():
        assert model.eval().sample(4, y).shape == (4, *SPEC.shape)
        assert model.discriminate(images().x[:4], y).isfinite().all()


@pytest.mark.parametrize("net", ["mlp", "conv", "resize", "resnet"])
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
        ({"weight_clip": 0.1, "spectral_norm": True}, "take one of them"),
    )
    for options, said in cases:
        with pytest.raises(PthetaError, match=said):
            ptheta.create("gan", SPEC, **{**BASE, **options})
    model = tiny("cgan", ImageSpec(1, 16, 16))
    for call in (lambda: model.sample(2), lambda: model.discriminate(images(2).x)):
        with pytest.raises(PthetaError, match="this model"):
            call()


@pytest.mark.parametrize("trick", [*PARTS["trick"], "began", "spectral"])
def test_every_tricks_state_survives_a_pause(trick, strokes, tmp_path):
    options = {**BASE, **OPTIONS[trick], "reference": 8, "ema": 0.9}
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
