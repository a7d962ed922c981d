"""Every model that takes captions may read them in order, by a network that it learns with."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ptheta
from ptheta import conditions
from ptheta.batch import Batch
from ptheta.capabilities import HasBound, HasLogProb
from ptheta.conditions import Text
from ptheta.conditions.units import UNITS, tokens_of
from ptheta.data.image_data import ImageDataset
from ptheta.dynamics import DYNAMICS
from ptheta.errors import PthetaError
from ptheta.models import registry
from ptheta.models.adversarial.conditioning import CONDITIONING
from ptheta.models.worded import TextConditional
from ptheta.nets.condition import embedding
from ptheta.nets.text import ENCODERS
from ptheta.nets.text.options import PLAIN, TextOptions
from ptheta.specs import ImageSpec
from ptheta.training.engine import Engine
from ptheta.training.group import Group
from tests.conftest import MODELS, TINY

SPEC = ImageSpec(1, 8, 8, 2)
TEXT = Text(("red", "blue", "circle", "above", "square"), 6)
FIRST, SECOND = TEXT.encode(["red circle above square", "square above red circle"]).split(1)
READ = {"text_encoder": "gru", "text_width": 6}


def ways(name: str) -> list[dict[str, Any]]:
    """Options under which a model is given captions."""
    config = registry.entry(name).load_config()
    if not issubclass(config, TextConditional):
        return []
    if config.__dataclass_fields__["text_encoder"].default != PLAIN:
        return []  # it has an encoder anyway, and laws of its own
    if "conditioning" not in config.__dataclass_fields__:
        return [{}]
    ways = [way for way, entry in CONDITIONING.items() if "text" in entry.takes]
    how: dict[str, Any] = {"net": "mlp", "g_hidden": (8,), "d_hidden": (8,)}
    return [how | {"conditioning": way} for way in ways] if name == "gan" else []


CASES = [(name, {**TINY.get(name, {}), **how}) for name in MODELS for how in ways(name)]


def made(name: str, options: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    return ptheta.create(name, SPEC, condition=TEXT, **options).train()


def likelihood(model: Any, x: torch.Tensor, caption: torch.Tensor) -> torch.Tensor:
    """By the best that the model has; of the same noise."""
    torch.manual_seed(0)
    if isinstance(model, HasLogProb):
        return model.log_prob(x, caption)
    if isinstance(model, HasBound):
        return model.elbo(x, caption)
    return model.log_prob_estimate(x, caption).value


@pytest.mark.parametrize(
    ("name", "options"), CASES, ids=[f"{n}-{o.get('conditioning', '')}" for n, o in CASES]
)
def test_an_encoder_is_learned_with_the_model(name, options):
    model = made(name, options | READ)
    x = torch.randint(0, 2, (4, *SPEC.shape), dtype=torch.uint8) * 255
    batch = Batch(x, TEXT.encode(["red", "blue circle", "square", "above"]))
    before = {k: v.clone() for k, v in model.named_parameters() if "encoder.gru" in k}
    assert before
    engine = Engine(model, model.game(), Group())
    for step in (1, 2):  # what is 0 at the start hides what is before it for a step
        engine.step = step
        DYNAMICS["alternating"].rule(engine, model.game(), step, batch)
    still = [k for k, v in model.named_parameters() if k in before and v.equal(before[k])]
    assert not still
    model.eval()
    if name == "gan":
        z = model.sample_latent(1)
        said = [model.generate(z, c) for c in (FIRST, SECOND)]
    else:
        said = [likelihood(model, x[:1], c) for c in (FIRST, SECOND)]
    assert not torch.equal(*said)


def test_a_bag_of_words_has_the_weights_that_it_always_had():
    """So that an earlier run, whose config says nothing of encoders, goes on to load."""
    bag = embedding(TEXT, 3, TextOptions())
    assert bag is not None
    assert bag.state_dict().keys() == {"weight"}
    assert torch.equal(bag(FIRST), bag(SECOND))
    for name, options in CASES:
        names = made(name, options).state_dict()
        assert not [key for key in names if "encoder.embed" in key or "vectors" in key], name


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_where_only_the_order_tells_the_bag_is_a_bit_worse(name):
    """Two pixels, of which the one that is named first is white: a bag of words leaves one fair
    bit open, log 2 nats, and the order of words none."""
    torch.manual_seed(0)
    x = torch.tensor([[255, 0], [0, 255]], dtype=torch.uint8).view(2, 1, 1, 2)
    c = TEXT.encode(["red above blue", "blue above red"])
    how: dict[str, Any] = {"hidden": 8, "text_encoder": name, "text_width": 8}
    model: Any = ptheta.create("nade", ImageSpec(1, 1, 2, 2), condition=TEXT, **how)
    optimizer = torch.optim.Adam(model.parameters(), 0.1)
    for _ in range(40):
        nats = -model.log_prob(x, c).mean()
        optimizer.zero_grad()
        nats.backward()
        optimizer.step()
    assert float(nats.detach()) == pytest.approx(math.log(2) if name == "bag" else 0, abs=0.05)


@pytest.mark.parametrize("name", sorted(set(ENCODERS) - {"bag"}))
@pytest.mark.parametrize("more", [(), ("labels",), ("labels", "attributes")])
def test_a_caption_beside_other_conditions(name, more):
    parts: dict[str, conditions.ConditionSpec] = {
        "labels": conditions.Labels(("a", "b")),
        "attributes": conditions.Attributes(("x",)),
    }
    spec = conditions.together([TEXT, *(parts[kind] for kind in more)])
    assert spec is not None
    net = embedding(spec, 5, TextOptions(name, 7))
    assert net is not None
    asked = spec.examples(3)
    assert net(asked).shape == (3, 5)
    net(asked).square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize("given", [{"text_encoder": "gru"}, {"text_unit": "characters"}])
def test_how_captions_are_read_is_an_option_of_a_model_that_is_given_some(given):
    (option,) = given
    for name in ("pixelcnn", "gan"):
        with pytest.raises(PthetaError, match=rf"{option} = .*choose --condition text"):
            ptheta.create(name, SPEC, **given)


CAPTIONS = ["Red circle,  above!", "हिन्दी में", "café 1", ""]


@pytest.fixture(scope="module")
def captioned() -> ImageDataset:
    images = np.zeros((4, 1, 8, 8), np.uint8)
    return ImageDataset("made", "train", images, captions=CAPTIONS)


def test_a_caption_is_words_and_signs_or_letters(captioned):
    words = Text.of_data(captioned, "made")
    assert words.length == 5
    assert {"red", "above", "!", "हिन्दी", "में", "1"} <= set(words.vocabulary)
    assert words.describe(words.encode(CAPTIONS)) == ["red circle, above!", *CAPTIONS[1:]]
    said = ["medium-light (skin) tone, o'clock: 3!"]
    signs = Text.of_data(replace(captioned, captions=said * 4), "made")
    assert signs.describe(signs.encode(said)) == said
    letters = Text.of_data(captioned, "made", "characters")
    assert letters.length == len("red circle, above!")
    assert letters.describe(letters.encode(CAPTIONS)) == ["red circle, above!", *CAPTIONS[1:]]
    assert letters.describe(letters.parse("Circle Red")) == ["circle red"]
    assert conditions.from_json(letters.to_json()) == letters
    older = {k: v for k, v in words.to_json().items() if k != "unit"}
    assert conditions.from_json(older) == words


def test_accents_and_capitals_make_no_difference(captioned):
    for unit in ("words", "characters"):
        text = Text.of_data(captioned, "made", unit)
        same = text.encode(["café", "CAFE\u0301"])
        assert torch.equal(same[0], same[1])
        assert int(same.max()) < text.tokens - 1  # known


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("\u200fنقطة\u200f حمراء\u202c", "نقطة حمراء"),
        ("a\u200b red\0dot\x1b", "a red dot"),
        ("so\u00adft \ufeff❤\ufe0f", "soft ❤"),
        ("e\u200d\u0301te", "éte"),
    ],
)
def test_what_is_not_seen_makes_no_difference(unit, written, same):
    assert tokens_of(written, UNITS[unit]) == tokens_of(same, UNITS[unit])


def test_flags_that_differ_in_what_is_not_seen_stay_different():
    flags = [f"\U0001f3f4{''.join(chr(0xE0000 + ord(c)) for c in name)}" for name in ("eng", "sct")]
    assert [tokens_of(f"{flag} x", UNITS["words"]) for flag in flags] == [[f, "x"] for f in flags]


@given(st.text(max_size=8))
def test_what_is_read_of_a_caption_is_read_again_as_the_same(text):
    for unit in UNITS.values():
        tokens = tokens_of(text, unit)
        assert tokens_of(unit.join(tokens), unit) == tokens


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("a huge red thing", r"unknown word 'a'.*also unknown: 'huge', 'thing'$"),
        ("", r"caption '' is empty: give 1 to 5 words"),
        ("red " * 2500, r"9,999 characters.*has 2,500 words"),
        ("z" * 10_000, r"unknown word 'z+\.\.\. \(10,000 characters\)'"),
        ("red Ж λ", r"unknown word 'ж'.*also unknown: 'λ'"),
    ],
)
def test_what_no_model_was_taught_is_said_in_a_line(captioned, given, said):
    with pytest.raises(PthetaError, match=said) as error:
        Text.of_data(captioned, "made").parse(given)
    assert len(str(error.value)) < 500
    assert "\n" not in str(error.value)


def test_the_longest_captions_are_cut(captioned):
    long = replace(captioned, captions=["a b " * 2500, *CAPTIONS[1:]])
    for unit, most in (("words", 128), ("characters", 512)):
        text = Text.of_data(long, "made", unit)
        assert text.length == most
        assert len(text.captions[0]) < 1000
        assert text.take(long, np.arange(4)).shape == (4, most)  # type: ignore[union-attr]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_captions_are_read_in_the_type_of_the_weights(name, dtype):
    for kind in ("cvae", "nade"):
        model = made(kind, {**TINY[kind], "text_encoder": name, "text_width": 6}).eval().to(dtype)
        c = TEXT.examples(2)
        with torch.no_grad():
            x = model.sample(2, c)
            score = model.elbo(x, c) if kind == "cvae" else model.log_prob(x, c)
        assert score.isfinite().all()
