"""What a model cannot be of is asked of its class, and is what its constructor says."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from ptheta.conditions import Attributes, ConditionSpec, Image, Labels, Several, Text
from ptheta.config import options
from ptheta.errors import PthetaError
from ptheta.models import registry
from ptheta.specs import DataSpec, ImageSpec, VectorSpec
from tests.conftest import MODELS, TINY, loaded

GREY, BINARY = ImageSpec(1, 8, 8), ImageSpec(1, 8, 8, 2)
LABELS = Labels(("a", "b"))
SPECS: tuple[DataSpec, ...] = (GREY, ImageSpec(3, 16, 16, 2), ImageSpec(1, 6, 20), VectorSpec.of(2))
CONDITIONS: tuple[ConditionSpec | None, ...] = (
    *(None, LABELS, Attributes(("a",)), Text(("a",), 3), Image(GREY)),
    Several((LABELS, Text(("a",), 3))),
)


def config_of(name: str, **given: Any) -> Any:
    return registry.entry(name).load_config()(**{**TINY.get(name, {}), **given})


def said(
    name: str, spec: DataSpec, condition: ConditionSpec | None, config: object
) -> tuple[str | None, str | None]:
    """What the class says, and what the constructor does."""
    cls = loaded(name)
    reason = cls.unsupported(spec, condition, config)
    try:
        cls(spec, config, condition)
    except PthetaError as error:
        return reason, str(error)
    return reason, None


@pytest.mark.parametrize("name", MODELS)
def test_a_constructor_refuses_what_its_class_does_in_the_same_sentence(name):
    config = config_of(name)
    found = [
        said(name, spec, condition, config)
        for spec in SPECS
        for condition in (CONDITIONS if spec == GREY else CONDITIONS[:2])
    ]
    for asked, built in found:
        assert asked == built
        assert asked is None or "\n" not in asked
    assert None in [asked for asked, _ in found]


CASES: dict[str, tuple[str, DataSpec, ConditionSpec | None, dict[str, Any], str]] = {
    "a choice of none": ("vae", GREY, None, {"prior": "vam"}, "did you mean 'vamp'"),
    "levels": ("vae", GREY, None, {"likelihood": "bernoulli"}, "a bernoulli likelihood needs 2 l"),
    "levels of nade": ("nade", GREY, None, {"likelihood": "bernoulli"}, "categorical, logistic or"),
    "no condition": ("cvae", GREY, None, {}, "cvae needs a condition"),
    "prior of a cvae": ("cvae", GREY, LABELS, {"prior": "vamp"}, "cannot depend on a condition"),
    "prior of avb": ("avb", GREY, None, {"prior": "vamp"}, r"only the prior N\(0, I\)"),
    "level": ("dae", GREY, None, {"noise": "masking", "level": 1.5}, "want a probability"),
    "heads": ("image-transformer", GREY, None, {"width": 9}, "a multiple of heads = 2"),
    "first kernel": ("pixelcnn", BINARY, None, {"first_kernel": 4}, "first_kernel = 4 must be odd"),
    "kernel": ("gated-pixelcnn", BINARY, None, {"kernel": 2}, "kernel = 2 must be odd"),
    "columns": ("row-lstm", BINARY, None, {"kernel": 2}, "kernel = 2 must be odd"),
    "kernel of a BiLSTM": ("diagonal-bilstm", BINARY, None, {"first_kernel": 2}, "must be odd"),
    "size": ("dcgan", ImageSpec(1, 6, 20), None, {}, "use --net mlp"),
    "conditioning": ("gan", GREY, LABELS, {}, "but conditioning = none"),
    "a condition that does not enter": (
        "gan",
        GREY,
        None,
        {"condition": "text"},
        "choose a conditioning",
    ),
    "label of a gan": ("cgan", GREY, None, {}, "needs a condition"),
    "parts": ("began", GREY, None, {"minibatch": "stddev"}, "does not go with"),
    "labels of infogan": ("infogan", GREY, LABELS, {}, "it takes no condition"),
    "momentum": ("vae", GREY, None, {"momentum": 0.9}, "which adam does not have"),
    "look ahead": (
        "gan",
        GREY,
        None,
        {"optimizer": "sgd", "beta1": 0.5, "nesterov": True},
        "nesterov needs momentum",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_options_rule_out_is_asked_without_building(case, monkeypatch):
    name, spec, condition, given, words = CASES[case]
    config = config_of(name, **given)
    asked, built = said(name, spec, condition, config)
    assert asked == built
    with monkeypatch.context() as m:
        m.setattr(nn.Module, "__init__", None)
        again = loaded(name).unsupported(spec, condition, config)
    assert again == asked
    assert re.search(words, again or "")


def test_what_is_not_installed_is_told(monkeypatch):
    monkeypatch.setattr("ptheta.nets.flow.find_spec", lambda name: None)
    asked, built = said("vae", GREY, None, config_of("vae", prior="flow"))
    assert asked == built == "a flow prior needs the extra: pip install 'ptheta[flows]'"


def choosing() -> list[tuple[str, str]]:
    """(model, option) of every option that has choices."""
    return [
        (name, field)
        for name in MODELS
        for field, opt in options(registry.entry(name).load_config()).items()
        if opt.choices
    ]


@pytest.mark.parametrize("name", MODELS)
def test_a_word_that_is_no_choice_is_told_by_every_class(name):
    for field in [field for model, field in choosing() if model == name]:
        word = ("bananas",) if options(type(config_of(name)))[field].is_tuple else "bananas"
        config = dataclasses.replace(config_of(name), **{field: word})
        asked, built = said(name, GREY, None, config)
        assert asked == built
        assert f"unknown {field} 'bananas'" in (asked or "")


def test_no_constructor_of_a_model_refuses_by_itself():
    root = Path(registry.__file__).parent
    for file in root.rglob("*.py"):
        for cls in ast.parse(file.read_text()).body:
            for method in cls.body if isinstance(cls, ast.ClassDef) else ():
                if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                    raises = [node for node in ast.walk(method) if isinstance(node, ast.Raise)]
                    assert not raises or file == root / "base.py", f"{file}:{method.lineno}"
