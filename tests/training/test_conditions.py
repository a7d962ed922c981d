"""Conditions come from the data: their number, their names, and nothing that never occurs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

import ptheta
from ptheta import conditions, schemas, tasks
from ptheta.capabilities import capabilities
from ptheta.config import options
from ptheta.data import open_data
from ptheta.errors import PthetaError
from ptheta.files.tensors import save_tensors
from ptheta.models import registry
from ptheta.runs.folder import Run
from ptheta.runs.older import upgrade
from tests.conftest import MODELS, TINY, loaded, tiny
from tests.training.test_runs import QUIET

SPEC = ptheta.ImageSpec(1, 16, 16, 2)


def takes_labels(name: str) -> dict[str, Any] | None:
    """The options under which a model is conditional on labels; None where it cannot be."""
    known = options(registry.entry(name).load_config())
    choices = known["conditioning"].choices if "conditioning" in known else ("label",)
    if "labels" not in loaded(name).takes or "label" not in choices:
        return None
    return {"conditioning": "label"} if "conditioning" in known else {"condition": "labels"}


LABELLED = {name: found for name in MODELS if (found := takes_labels(name)) is not None}


@pytest.fixture(scope="module")
def gaps(tmp_path_factory):
    """Images with the labels 3, 7 and 9 of what could be ten."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 2, (60, 16, 16), dtype=np.uint8) * 255
    path = tmp_path_factory.mktemp("gaps") / "gaps.npz"
    np.savez(path, images=images, labels=np.array([3, 7, 9])[np.arange(60) % 3])
    return path


@pytest.mark.parametrize("name", LABELLED)
def test_a_conditional_model_knows_the_classes_that_occur_in_its_data(name, gaps, tmp_path):
    how = {
        **TINY.get(name, {}),
        **QUIET,
        **LABELLED[name],
        "levels": 2,
        "steps": 1,
        "batch_size": 6,
    }
    run = ptheta.train(name, gaps, tmp_path / "r", **how)
    assert run.condition == ptheta.Labels(("3", "7", "9"))
    model: Any = run.model()
    assert len(model.condition) == 3
    if "samples" in capabilities(model):
        assert tasks.sample(model, 4).shape == (4, 1, 16, 16)
    batch = run.data("train").batch(range(9))
    assert set(batch.extra["labels"].tolist()) <= {0, 1, 2}


@pytest.mark.parametrize("name", sorted(set(MODELS) - set(LABELLED)))
def test_a_model_without_conditions_refuses_one(name):
    with pytest.raises(PthetaError, match="condition"):
        tiny(name, SPEC, condition=ptheta.Labels(("a", "b")))


def test_labels_are_known_by_name_in_other_data(gaps, tmp_path):
    data = open_data(gaps).with_classes(("9", "unused", "3", "7"))
    again = data.with_classes(("3", "7", "9"))
    own = open_data(gaps).with_classes(("3", "7", "9"))
    assert again.labels is not None
    assert own.labels is not None
    assert (again.labels == own.labels).all()
    assert data.present_classes() == ("9", "3", "7")
    with pytest.raises(PthetaError, match="class '9' is a class of gaps"):
        data.with_classes(("3", "7"))


def test_labels_are_asked_for_by_name():
    digits, clothes = ptheta.Labels(("3", "7", "9")), ptheta.Labels(("shirt", "bag"))
    assert [digits.number(text) for text in ("9", "3")] == [2, 0]
    assert [clothes.number(text) for text in ("bag", "0")] == [1, 0]
    assert torch.equal(digits.check(digits.parse("9")), torch.tensor([2]))  # type: ignore[arg-type]
    for labels, text in ((digits, "0"), (digits, "x"), (clothes, "2"), (clothes, "-1")):
        with pytest.raises(PthetaError, match="unknown label"):
            labels.parse(text)


@pytest.mark.parametrize("names", [(), 3, "abc", ["a"], ("a", "a"), (3, 7)])
@pytest.mark.parametrize("kind", [ptheta.Labels, ptheta.Attributes])
def test_names_are_different_words(kind, names):
    with pytest.raises(PthetaError, match="give a tuple of names"):
        kind(names)


@pytest.mark.parametrize("name", ["made", "vae", "cgan"])
def test_what_is_no_condition_or_spec_is_refused_in_one_line(name):
    wrong: list[Any] = ["labels", ["a"], 3, {"kind": "labels"}, ptheta.Labels]
    for condition in wrong:
        with pytest.raises(PthetaError, match=r"give ptheta\.Labels"):
            ptheta.create(name, SPEC, condition=condition)
    spec: Any = (1, 8, 8)
    with pytest.raises(PthetaError, match=r"give a ptheta\.ImageSpec"):
        ptheta.create(name, spec)


def test_an_old_run_of_attributes_without_names_takes_those_of_its_data_in_their_order():
    data = open_data("shapes", "test").subset(slice(0, 4))
    assert data.attributes is not None
    spec = ptheta.Attributes(tuple(map(str, range(data.attributes.shape[1]))))
    rows = spec.adapted(data).batch(range(4)).condition
    assert torch.equal(torch.as_tensor(rows), torch.from_numpy(data.attributes[data.index]).float())
    with pytest.raises(PthetaError, match="no attribute '0'"):
        ptheta.Attributes(("0", "1")).adapted(data)


def test_conditions_survive_json():
    for condition in (None, ptheta.Labels(("a", "b")), ptheta.Attributes(("round",))):
        kept = json.loads(json.dumps(conditions.to_json(condition)))
        assert conditions.from_json(kept) == condition
    with pytest.raises(PthetaError, match="known are labels, attributes"):
        conditions.from_json({"kind": "smell", "names": []})


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("pixelcnn", {"classes": 0}),
        ("pixelcnn", {"classes": 3}),
        ("cvae", {"classes": 3, "attributes": 0}),
        ("cvae", {"classes": 10, "attributes": 2}),
        ("cgan", {"classes": 3, "condition": "label"}),
        ("gan", {"classes": 0, "condition": "none"}),
        ("vae", {}),
    ],
)
def test_a_run_of_an_earlier_version_loads(name, old, strokes, tmp_path):
    """Its config counted labels or attributes, and knew no names."""
    size = old.get("attributes") or old.get("classes") or 0
    kind = ptheta.Attributes if old.get("attributes") else ptheta.Labels
    condition = kind(tuple(map(str, range(size)))) if size else None
    model = tiny(name, SPEC, classes=0, condition=condition)
    how: dict[str, Any] = {**TINY["vae"], **QUIET, "steps": 1, "levels": 2}
    run = ptheta.train("vae", strokes, tmp_path / "r", **how)
    file = run.path / "config.json"
    about = json.loads(file.read_text())
    about.pop("condition")
    new = {k: v for k, v in vars(model.config).items() if k not in ("condition", "conditioning")}
    about |= {"model": name, "config": new | old}
    file.write_text(json.dumps(about))
    opened = Run.open(run.path)
    assert opened.plan.config == model.config
    assert (0 if opened.condition is None else opened.condition.size) == size
    assert type(opened.condition) is type(condition)
    config = schemas.Config.model_validate_json(file.read_text())
    assert upgrade(upgrade(config)) == upgrade(config) == opened.about
    file = opened.weights_file()
    save_tensors(file, model.state_dict(), {})
    loaded = opened.model()
    assert all(
        torch.equal(p, q) for p, q in zip(model.parameters(), loaded.parameters(), strict=True)
    )
