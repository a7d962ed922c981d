"""Every kind of condition: what it checks, parses, makes and describes, and that models take it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

import ptheta
from ptheta import conditions, tasks
from ptheta.batch import Batch, Together, joined, repeated
from ptheta.cli.asked import OPTIONS
from ptheta.conditions import KINDS, Attributes, Image, Labels, Several, Text
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.errors import PthetaError
from ptheta.files.images import write_png
from ptheta.models import registry
from ptheta.models.base import Fits, Plays
from ptheta.specs import Column, ImageSpec, VectorSpec
from tests.conftest import MODELS, TINY, loaded
from tests.training.test_runs import QUIET

SPEC = ImageSpec(1, 8, 8, 2)


@pytest.fixture(scope="module")
def made() -> Dataset:
    """Squares on one of two sides, large or small, with everything that can be said of them."""
    n, rng = 60, np.random.default_rng(0)
    right, large = np.arange(n) % 2, np.arange(n) // 2 % 2
    images = rng.integers(0, 60, (n, 1, 8, 8), dtype=np.uint8)
    masks = np.zeros((n, 8, 8), np.uint8)
    for mask, r, big in zip(masks, right, large, strict=True):
        mask[2 : 6 if big else 4, 5 * r : 5 * r + 3] = 1
    images[:, 0][masks == 1] = 255
    said = [
        f"a {'large' if b else 'small'} square, {'right' if r else 'left'}"
        for r, b in zip(right, large, strict=True)
    ]
    return ImageDataset(
        "squares",
        "train",
        images,
        labels=right,
        classes=("left", "right"),
        captions=said,
        attributes=np.stack([large, rng.random(n)], 1),
        attribute_names=("large", "noise"),
        masks=masks,
    )


def of(kinds: str, data: Dataset) -> conditions.ConditionSpec:
    parts = [KINDS[kind].of_data(data, "squares") for kind in kinds.split("+")]
    found = conditions.together(list(parts))
    assert found is not None
    return found


EVERY = [*KINDS, "labels+attributes", "text+image", "+".join(KINDS)]


@pytest.mark.parametrize("kinds", EVERY)
def test_a_condition_checks_names_and_remembers_itself(kinds, made):
    spec = of(kinds, made)
    assert conditions.word(spec) == kinds
    kept = json.loads(json.dumps(conditions.to_json(spec)))
    assert conditions.from_json(kept) == spec
    for c in (spec.examples(7), spec.adapted(made).batch(range(7)).condition):
        assert c is not None
        assert spec.check(c) is c
        assert len(c) == len(spec.describe(c)) == 7
        assert all(spec.describe(c))
        vector = spec.vector(c)
        assert vector.shape == (7, spec.size)
        assert vector.dtype == torch.get_default_dtype()
        assert torch.equal(spec.vector(c[2:4]), vector[2:4])
        assert torch.equal(spec.vector(repeated(c, 2)), vector.repeat(2, 1))
        assert torch.equal(spec.vector(joined([c[:3], c[3:]])), vector)
    later = spec.vector(spec.examples(4, 3))
    assert torch.equal(later, spec.vector(spec.examples(7))[3:])


def test_what_a_user_types_is_understood_or_refused(made, tmp_path):
    labels, attributes = of("labels", made), of("attributes", made)
    text, image = of("text", made), of("image", made)
    assert labels.describe(labels.parse("right")) == ["right"]
    assert attributes.parse("large, noise=0.5").tolist() == [[1, 0.5]]  # type: ignore[union-attr]
    assert attributes.parse("0,0.5").tolist() == [[0, 0.5]]  # type: ignore[union-attr]
    assert attributes.describe(attributes.parse("noise=0.5")) == ["noise=0.5"]
    assert text.describe(text.parse("A LARGE square, left")) == ["a large square, left"]
    picture = np.zeros((16, 16), np.uint8)
    picture[:, 8:] = 255
    write_png(tmp_path / "half.png", picture)
    half = image.parse(str(tmp_path / "half.png"))
    assert half[0, 0, 3].tolist() == [0] * 4 + [255] * 4  # type: ignore[index, union-attr]
    both = of("labels+text", made)
    asked = both.parse("text: a small square; labels: left")
    assert both.describe(asked) == ["left, a small square"]
    for spec, wrong, words in (
        (labels, "up", "unknown label"),
        (attributes, "green", "unknown attribute"),
        (attributes, "large=x", "want a number"),
        (attributes, "1,2,3", "2 numbers"),
        (attributes, "large=1e300", "want a number"),
        (attributes, "1e39,0", "unknown attribute"),
        (attributes, "large, large=0", "given twice"),
        (labels, "9" * 5000, "unknown label"),
        (text, "a huge square", "unknown word"),
        (text, " ", "1 to 5 words"),
        (image, str(tmp_path / "none.png"), "give a picture"),
        (both, "labels: left", "lacks text"),
        (both, "labels: left; colour: red", "unknown kind"),
    ):
        with pytest.raises(PthetaError, match=words) as error:
            spec.parse(wrong)
        assert "\n" not in str(error.value)


def test_attributes_without_names_are_asked_for_by_place_or_all_at_once():
    spec = conditions.Attributes(("0", "1", "2"))
    for text, row in (("0,1", [1, 1, 0]), ("2=0.5", [0, 0, 0.5]), ("0,1,0.5", [0, 1, 0.5])):
        assert spec.parse(text).tolist() == [row]  # type: ignore[union-attr]
    years = conditions.Attributes(("2020", "2021"))
    assert years.parse("2020,2021").tolist() == [[1, 1]]  # type: ignore[union-attr]


def test_a_place_is_not_taken_for_a_name_that_says_another_number():
    for names in (("-1", "+1"), ("1.0", "2.0"), ("1e0", "0")):
        with pytest.raises(PthetaError, match="unknown label"):
            conditions.Labels(names).parse("1")
    assert conditions.Labels(("-1", "1")).describe(torch.tensor([1])) == ["1"]


def test_an_accent_may_be_a_character_of_its_own():
    composed, apart = "caf\u00e9", "cafe\u0301"
    assert [conditions.Labels((composed, "tea")).number(t) for t in (apart, composed)] == [0, 0]
    both = conditions.Labels((composed, apart))
    assert [both.number(t) for t in (composed, apart)] == [0, 1]


def test_kinds_are_named_once_and_none_alone():
    for text, words in (("none+labels", "leave it out"), ("labels+labels", "once"), ("+", "known")):
        with pytest.raises(PthetaError, match=words):
            conditions.kinds(text)


def test_what_is_no_condition_of_a_kind_is_refused(made):
    x = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    wrong: dict[str, list[Any]] = {
        "labels": [torch.tensor([0, 2]), torch.zeros(2), torch.zeros(2, 2, dtype=torch.long)],
        "attributes": [torch.zeros(3), torch.zeros(3, 4), torch.full((1, 2), torch.nan)],
        "text": [torch.zeros(2, 3, dtype=torch.long), torch.full((2, 6), 99), torch.zeros(2, 6)],
        "image": [x.float(), x[:, :, :4], x[0]],
        "labels+image": [
            torch.tensor([0]),
            Together({"labels": torch.tensor([0])}),
            Together({"labels": torch.tensor([0]), "image": x}),
        ],
    }
    for kinds, values in wrong.items():
        for value in values:
            with pytest.raises(PthetaError):
                of(kinds, made).check(value)
    for wrong_spec in (
        {"kind": "labels"},
        {"kind": "labels", "names": "ab"},
        {"kind": "labels", "names": ["a"], "more": 1},
        {"kind": "text", "vocabulary": ["a"], "length": 0},
        {"kind": "image", "spec": {"channels": 1}},
        {"kind": "several", "parts": [{"kind": "labels", "names": ["a"]}]},
        {"kind": "several", "parts": 3},
        {"kind": ["labels"]},
    ):
        with pytest.raises(PthetaError):
            conditions.from_json(wrong_spec)


CASES = [("cvae", kinds) for kinds in EVERY] + [("cgan", kinds) for kinds in EVERY]
CASES += [
    (name, "text+attributes")
    for name in MODELS
    if name not in ("cvae", "cgan")
    and set(KINDS) <= set(loaded(name).takes)
    and registry.entry(name).family == "autoregressive"
]


@pytest.mark.parametrize(("name", "kinds"), CASES)
def test_models_train_on_every_kind(name, kinds, made, tmp_path):
    how = {**TINY.get(name, {}), **QUIET, "levels": 2, "steps": 1, "condition": kinds}
    if name == "cgan":
        how["net"] = "mlp"
    run = ptheta.train(name, made, tmp_path / "r", **how)
    assert run.condition == of(kinds, made.with_levels(2))
    model: Any = run.model()
    x = tasks.sample(model, 5)
    assert x.shape == (5, 1, 8, 8)
    spec = run.condition
    assert torch.equal(x, tasks.sample(model, 5, condition=spec.examples(5)))
    again = ptheta.train(name, made, tmp_path / "r", resume=True, steps=2)
    assert again.condition == spec
    if isinstance(spec, Labels | Several) and "labels" in kinds:
        assert torch.equal(
            tasks.sample(model, 2, labels=["right"]), tasks.sample(model, 2, labels=[1])
        )
    if kinds == "labels":
        with pytest.raises(PthetaError, match="takes no text, it takes labels"):
            tasks.sample(model, 2, condition={"text": ["a square"]})


@pytest.mark.parametrize("name", MODELS)
def test_a_model_says_what_it_cannot_take(name):
    cls = loaded(name)
    config = registry.entry(name).load_config()()
    vectors = cls.unsupported(VectorSpec.of(2), None, config)
    if VectorSpec not in cls.specs:
        assert vectors is not None
        assert "vectors of 2 numbers" in vectors
    for condition in (Labels(("a", "b")), Attributes(("a",)), Text(("a",), 3), Image(SPEC)):
        reason = cls.unsupported(SPEC, condition, config)
        if condition.kind not in cls.takes:
            assert f"cannot be conditional on {condition.kind}" in (reason or "")
        elif reason is not None:  # how a condition enters a GAN is an option, which must take it
            assert "conditioning = " in reason
        assert reason is None or reason.count("\n") == 0
    assert issubclass(cls, Plays | Fits)


def test_a_batch_moves_and_describes_itself(made):
    both = of("labels+image", made)
    batch = both.adapted(made).batch(range(4))
    moved = batch.to(torch.device("cpu"))
    assert isinstance(moved.condition, Together)
    assert moved.extra.keys() == {"labels", "masks"}
    assert "labels: int64 (4,)" in repr(batch)
    assert len(batch) == 4
    assert repr(Batch(torch.zeros(2, 1))) == "Batch(x: float32 (2, 1))"
    assert [len(c.parts) for c in batch.condition] == [2] * 4  # type: ignore[union-attr]


def test_vectors_are_checked_by_their_columns():
    spec = VectorSpec((Column("age", "integer", low=0), Column("sex", "category", ("f", "m"))))
    x = torch.tensor([[3.0, 1.0], [torch.nan, 0.0]])
    assert spec.check(x) is x
    assert spec.shape == (2,)
    for wrong in ([[0.5, 0.0]], [[1.0, 2.0]], [[1.0]]):
        with pytest.raises(PthetaError):
            spec.check(torch.tensor(wrong))
    with pytest.raises(PthetaError):
        spec.check(x.double())
    for column in (("a", "category"), ("a", "real", ("x",)), ("a", "colour")):
        with pytest.raises(PthetaError):
            Column(*column)


def test_every_kind_has_an_option_of_the_command_line():
    assert OPTIONS.keys() == KINDS.keys()
