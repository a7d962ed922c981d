"""Numbers of attributes that stand for words: red for 0."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import ptheta
from ptheta import conditions, tasks
from ptheta.conditions import Attributes
from ptheta.data import describe, open_images
from ptheta.data.image_data import ImageDataset
from ptheta.data.request import DataSettings, Request
from ptheta.data.selection import selected
from ptheta.data.shapes import ATTRIBUTE_VALUES, ATTRIBUTES
from ptheta.errors import PthetaError
from tests.conftest import TINY

COLOURS = {"red": 0.0, "green": 1.0, "blue": 2.0}
SPEC = Attributes.of(("hat", "colour", "bag"), {"colour": COLOURS, "bag": {"big": 0, "none": -1}})
SCENES = Attributes.of(ATTRIBUTES, ATTRIBUTE_VALUES)


def made(values: dict[str, dict[str, float]], names: tuple[str, ...] = ("hat", "colour")) -> Any:
    n, rng = 60, np.random.default_rng(0)
    return ImageDataset(
        *("made", "train", rng.integers(0, 256, (n, 1, 8, 8)).astype(np.uint8)),
        attributes=np.stack([rng.integers(0, 2, n), rng.integers(0, 3, n)], 1),
        attribute_names=names,
        attribute_values=values,
    )


def values(condition: Any) -> list[list[float]]:
    found: list[list[float]] = condition.tolist()
    return found


def test_a_word_is_asked_for_and_told_by_its_name():
    for text, row, told in (
        ("colour=green", [0, 1, -1], "colour=green"),
        ("hat,colour=2,bag=big", [1, 2, 0], "hat, colour=blue, bag=big"),
        ("hat=0.5", [0.5, 0, -1], "hat=0.5, colour=red"),
        ("1,2,-1", [1, 2, -1], "hat, colour=blue"),
    ):
        assert values(SPEC.parse(text)) == [row]
        assert SPEC.describe(SPEC.parse(text)) == [told]
    assert SPEC.describe(torch.tensor([[0, 0.5, -1]])) == ["colour=0.5"]


def test_what_is_told_is_what_is_asked_for():
    """Of every scene, and of the examples that a model is shown with."""
    rows = np.unique(np.asarray(open_images("shapes", "test").attributes), axis=0)
    for condition in (torch.from_numpy(rows).float(), SCENES.examples(20), SPEC.examples(3)):
        spec = SPEC if condition.shape[1] == 3 else SCENES  # type: ignore[union-attr]
        told = spec.describe(condition)
        asked = [values(spec.parse(text))[0] for text in told]
        assert asked == values(condition)
        assert len(set(told)) == len({tuple(row) for row in values(condition)})
    assert "first_colour=red" in ", ".join(SCENES.describe(torch.from_numpy(rows)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour=pink", "unknown value of colour 'pink'"),
        ("colour=3", "unknown value of colour"),
        ("colour", "Write colour=red"),
        ("red", "is a value of colour: write colour=red"),
        ("colour=red,colour=1", "given twice"),
    ],
)
def test_another_word_is_refused_in_one_line(text, words):
    with pytest.raises(PthetaError, match=words) as found:
        SPEC.parse(text)
    assert "\n" not in str(found.value)


def test_words_are_kept_and_earlier_conditions_have_none():
    kept = json.loads(json.dumps(conditions.to_json(SPEC)))
    assert conditions.from_json(kept) == SPEC
    plain = {"kind": "attributes", "names": ["hat", "colour"]}
    assert conditions.from_json(plain) == Attributes(("hat", "colour"))
    assert conditions.to_json(Attributes(("hat", "colour"))) == plain
    faults: list[Any] = [[[]], [[["red", "x"]], []], 3, [[["red", 0], ["blue", 0]], []]]
    for wrong in faults:
        with pytest.raises(PthetaError):
            conditions.from_json({**plain, "words": wrong})


def test_a_run_whose_numbers_had_no_words_still_opens(tmp_path):
    """And what it draws is the same."""
    data = made({"colour": COLOURS})
    how: dict[str, Any] = {**TINY.get("cvae", {}), "steps": 1, "batch_size": 4, "sample_every": 0}
    run = ptheta.train("cvae", data, tmp_path / "r", condition="attributes", **how)
    assert run.condition == Attributes.of(("hat", "colour"), {"colour": COLOURS})
    x = tasks.sample(run.model(), 3, condition={"attributes": ["hat,colour=blue"]})
    config = json.loads((tmp_path / "r/config.json").read_text())
    del config["condition"]["words"]
    (tmp_path / "r/config.json").write_text(json.dumps(config))
    older = ptheta.Run.open(tmp_path / "r")
    assert older.condition == Attributes(("hat", "colour"))
    assert torch.equal(tasks.sample(older.model(), 3, attributes=[1, 2]), x)
    assert len(older.data("train", data).conditions([0, 1])) == 2  # type: ignore[arg-type]


def test_the_same_words_of_other_numbers_are_the_same():
    known = Attributes.of(("hat", "colour"), {"colour": COLOURS})
    other = made({"colour": {"blue": 0.0, "red": 1.0, "green": 2.0}})
    words = [("blue", "red", "green")[int(n)] for n in np.asarray(other.attributes)[:, 1]]
    found = known.describe(known.adapted(other).conditions(range(60)))  # type: ignore[arg-type]
    assert [text.split("=")[-1] for text in found] == words
    swapped = replace(
        other,
        attributes=np.asarray(other.attributes)[:, ::-1],
        attribute_names=("colour", "hat"),
    )
    assert known.describe(known.adapted(swapped).conditions(range(60))) == found  # type: ignore[arg-type]
    with pytest.raises(PthetaError, match="unknown value of colour in made 'pink'"):
        known.adapted(made({"colour": {"red": 0.0, "pink": 1.0, "blue": 2.0}}))


def test_examples_are_chosen_by_word_or_number():
    data = made({"colour": COLOURS})
    rows = [
        selected(data, Request("train", DataSettings(where=(f"colour={text}",)))).rows(slice(None))
        for text in ("blue", "2", "2.0")
    ]
    assert all(np.array_equal(row, rows[0]) for row in rows)
    assert np.array_equal(rows[0], np.flatnonzero(np.asarray(data.attributes)[:, 1] == 2))
    with pytest.raises(PthetaError, match="there is blue, green, red"):
        selected(data, Request("train", DataSettings(where=("colour=pink",))))
    lines = describe("shapes")["attributes"]
    assert "objects: 1, 2" in lines
    assert "background: white, grey, black" in lines
    assert "second_size: none, small, large" in lines


def test_what_is_unseen_does_not_depend_on_the_words():
    plain, worded = made({}), made({"colour": COLOURS})
    asked = Request("train", DataSettings(unseen=("hat", "colour"), unseen_share=0.5))
    assert np.array_equal(*(selected(d, asked).rows(slice(None)) for d in (plain, worded)))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"shade": COLOURS}, "'shade', which is not an attribute; known: hat, colour"),
        ({"colour": {}}, "give a finite number"),
        ({"colour": {"red": 0.0, "blue": 0.0}}, "two words share one number"),
    ],
)
def test_words_that_cannot_be_are_refused(words, said):
    with pytest.raises(PthetaError, match=said):
        made(words)
