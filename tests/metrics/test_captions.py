"""Captions: the judge, what training had not, the floors, and every family that takes text."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pictures

import ptheta
from ptheta.conditions import Text
from ptheta.config import options
from ptheta.data.image_data import ImageDataset
from ptheta.extractors.classifiers import Pixels
from ptheta.metrics import captions, judge, speed
from ptheta.metrics.captions import found_among, unseen_in
from ptheta.metrics.context import Context
from ptheta.metrics.floors import floors_of
from ptheta.metrics.metric import Section
from ptheta.metrics.table import METRICS
from ptheta.models import registry
from ptheta.tasks.sample import sample
from tests.conftest import MODELS, TINY, loaded
from tests.report.test_translations import columns

SHADES = tuple(f"{word} {of}" for word, of in product(("dark", "pale", "deep"), "abcd"))
FLOORS = {"random training image", "training image with the nearest caption"}


def flat(split: str = "train", seed: int = 0, n: int = 120, side: int = 8) -> ImageDataset:
    """Plain images of twelve shades of grey, each with a name and some noise."""
    rng = np.random.default_rng(seed)
    shade = np.arange(n) % len(SHADES)
    images = 10 + 20 * shade[:, None, None, None] + rng.integers(0, 8, (n, 1, side, side))
    said = tuple(SHADES[k] for k in shade)
    return ImageDataset("shades", split, images.astype(np.uint8), captions=said)


@pytest.fixture
def brief(monkeypatch) -> None:
    monkeypatch.setattr(speed, "SECONDS", 0.02)
    monkeypatch.setattr(judge, "STEPS", 3)


def found_of_real(by: judge.Judge, test: ImageDataset) -> float:
    x, texts = test.batch(slice(None)).x, test.caption_texts() or []
    right = found_among(by, x, x, texts, sorted(set(texts)), np.random.default_rng(0))
    assert torch.equal(right.made, right.real)
    return right.real.mean().item()


def test_the_judge_learns_which_caption_an_image_has(tmp_path, monkeypatch):
    """And is kept, for the same images and captions alone."""
    for setting, value in {"STEPS": 100, "BATCH": 24, "SIDE": 8}.items():
        monkeypatch.setattr(judge, setting, value)
    train, before = flat(side=10), torch.random.get_rng_state()
    by = judge.judge(train, tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert found_of_real(by, flat("test", 1, side=10)) > 0.7
    monkeypatch.setattr(judge, "_train", None)  # it is trained no more
    again = judge.judge(train, tmp_path)
    assert again.key == by.key
    assert all(map(torch.equal, by.parameters(), again.parameters()))
    others = replace(train, captions=tuple(reversed(train.captions or ())))
    with pytest.raises(TypeError):
        judge.judge(others, tmp_path)


@pytest.mark.parametrize(
    ("texts", "unit"),
    [
        (["a red circle", "a blue circle"] * 2, "words"),
        (["赤い丸", "青い丸", "青い四角"], "characters"),
        (["dog", "cat", "dog face", "cat face"], "words"),
    ],
)
def test_captions_without_spaces_are_read_letter_by_letter(texts, unit):
    assert judge.unit_for(texts) == unit


def test_a_caption_is_unseen_that_no_training_image_has():
    """Whatever its case and spaces, unless combinations of attributes were held out."""
    train, test = flat(), flat("test", 1, 24)
    assert unseen_in(test, None) is None
    assert not np.asarray(unseen_in(test, train)).any()
    said = ("Dark  A", "a dark", *SHADES[2:]) * 2
    found = np.asarray(unseen_in(replace(test, captions=said), train))
    assert np.flatnonzero(found).tolist() == [1, 13]
    held = np.arange(24) < 5
    assert np.array_equal(np.asarray(unseen_in(replace(test, unseen=held), None)), held)


def test_what_is_not_known_of_captions_is_said():
    """Without the training images there is no judge, and nobody knows what is unseen."""
    train, test = flat(), flat("test", 1)
    model = floors_of(train)["random training image"]
    entry = METRICS["caption_retrieval{captions}"]
    for ctx, reason in (
        (Context(test, Pixels(), model=model, no_copies="it is gone"), "it is gone"),
        (
            Context(test.subset(slice(0, 9)), Pixels(), model=model, train=train),
            "9 different captions: want 10 or more",
        ),
    ):
        assert [r.reason for r in entry.results(ctx)] == [reason]
    assert not METRICS["caption_match{captions}"].asked(ctx)  # it is no scene
    plain = replace(test, captions=None)
    assert not entry.asked(Context(plain, Pixels(), model=model, train=train))


def test_both_floors_are_known_by_their_answers():
    train = flat(n=24)
    floors = {name: floor for name, floor in floors_of(train).items() if name in FLOORS}
    assert floors.keys() == FLOORS
    text = Text.of_data(train, "shades")
    asked = text.encode(["pale c", "deep", *["dark b"] * 30])
    near = sample(floors["training image with the nearest caption"], 32, condition=asked)
    shade = (near.float().mean((1, 2, 3)) - 10) // 20
    assert shade[0] == SHADES.index("pale c")
    assert SHADES[int(shade[1])].startswith("deep")
    assert (shade[2:] == SHADES.index("dark b")).all()
    assert len(near[2:].unique(dim=0)) == 2  # both training images of that caption
    any_ = sample(floors["random training image"], 32, condition=asked)
    assert len(any_.unique(dim=0)) > 12
    assert not FLOORS & floors_of(replace(train, captions=None)).keys()
    assert not FLOORS & floors_of(replace(train, captions=("",) * 24)).keys()


def takes_text(name: str) -> dict[str, Any] | None:
    """The options under which a model is conditional on text; None where it cannot be."""
    known = options(registry.entry(name).load_config())
    choices = known["conditioning"].choices if "conditioning" in known else ("label",)
    if "text" not in loaded(name).takes or "condition" not in known or "label" not in choices:
        return None
    return {"condition": "text"} | ({"conditioning": "label"} if "conditioning" in known else {})


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("name", [name for name in MODELS if takes_text(name)])
def test_every_family_that_takes_text_is_measured(name):
    train, test = flat(), flat("test", 1)
    how = {**TINY.get(name, {}), **(takes_text(name) or {})}
    how["condition"] = Text.of_data(train, "shades")
    model = ptheta.create(name, train.spec, **how)
    ctx = Context(test, Pixels(), model=model.eval(), train=train, n=12)
    entry = METRICS["caption_retrieval{captions}"]
    assert captions.of_captions(ctx)
    found = entry.results(ctx)
    assert [r.metric for r in found] == [
        f"caption_retrieval{of}" for of in ("", "_seen", "_unseen")
    ]
    assert [r.value is None for r in found] == [False, False, True]


def written(place: Path, *parts: ImageDataset) -> Path:
    """A folder of pictures, each with its caption beside it."""
    for data in parts:
        folder = place / data.split
        folder.mkdir(parents=True)
        texts = data.caption_texts() or ()
        for i, (image, text) in enumerate(zip(data.images, texts, strict=True)):
            Pictures.fromarray(image[0]).save(folder / f"{i:03}.png")
            (folder / f"{i:03}.txt").write_text(text)
    return place


@pytest.mark.usefixtures("brief")
@pytest.mark.filterwarnings("ignore:")
def test_runs_of_captions_stand_beside_their_floors(tmp_path: Path):
    data = written(tmp_path / "data", flat(), flat("test", 1, 40))
    length: dict[str, Any] = {"steps": 2, "batch_size": 8, "sample_every": 0, "evaluate_every": 0}
    families: dict[str, dict[str, Any]] = {"cvae": {}, "gan": {"conditioning": "label"}}
    runs = []
    for name, more in families.items():
        how: dict[str, Any] = {"condition": "text", **TINY[name], **more, **length}
        runs.append(ptheta.train(name, data, tmp_path / name, **how))
    ptheta.compare(runs, tmp_path / "out", n=30)
    found = columns(tmp_path / "out")
    for name in ("cvae", "gan", *FLOORS):
        assert found[name]["caption_retrieval"]["value"] is not None
        assert "of real images" in found[name]["caption_retrieval"]["note"]
    text = (tmp_path / "out" / "report.md").read_text()
    section = text.split(f"## {Section.CAPTIONS}")[1].split("\n## ")[0]
    assert all(f"| {name} |" in section for name in FLOORS)
