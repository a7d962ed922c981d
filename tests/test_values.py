"""Values of options: numbers are finite and in range, wherever they are given."""

from __future__ import annotations

import ast
import json
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import click
import pytest
import torch

import ptheta
from ptheta import config
from ptheta.cli import main, types
from ptheta.cli.commands import cli
from ptheta.compute import memory
from ptheta.errors import PthetaError
from ptheta.models import registry
from ptheta.runs import plan
from ptheta.specs import ImageSpec
from tests.conftest import MODELS, tiny

SPEC = ImageSpec(1, 8, 8, 256)
SOURCE = Path(ptheta.__file__).parent


def every_option() -> Iterator[tuple[type, config.Option]]:
    """Each option of each model once."""
    seen = set()
    for name in MODELS:
        for cls in plan.sections(name).values():
            for opt in config.options(cls).values():
                if (known := (opt.name, str(opt.hint))) not in seen:
                    seen.add(known)
                    yield cls, opt


def test_no_option_takes_what_is_no_finite_number():
    for cls, opt in every_option():
        if not opt.choices and not {"int", "float"} & set(re.findall(r"\w+", str(opt.hint))):
            continue  # a text
        values: list[Any] = ["inf", "-inf", "nan", "1e999", float("inf"), float("nan")]
        for value in values if not opt.choices else ["inf"]:
            with pytest.raises(PthetaError, match=opt.name) as error:
                config.build(cls, {opt.name: value})
            assert "\n" not in str(error.value)


def test_no_whole_number_has_no_end_and_true_is_none():
    for cls, opt in every_option():
        if "int" not in str(opt.hint) or opt.choices:
            continue
        for value in (-1, 2**64, 10**400, "9" * 5000, True, [2**64], {"a": 1}, "x"):
            with pytest.raises(PthetaError, match=opt.name) as error:
                config.build(cls, {opt.name: value})
            assert len(str(error.value)) < 400


def numbers() -> Iterator[tuple[str, click.Option]]:
    """Every option of a verb that takes a number; those of train and sweep stand in configs."""
    for verb, command in cli.commands.items():
        for param in command.params:
            counts = isinstance(param.default, int | float) and not isinstance(param.default, bool)
            if isinstance(param, click.Option) and counts:
                yield verb, param


def test_every_number_of_every_verb_has_a_range():
    found = list(numbers())
    assert len(found) > 25
    for verb, param in found:
        assert isinstance(param.type, types.Whole | types.Real), (verb, param.name)
        for value in ("inf", "nan", "", "x", "1e999", "9" * 5000):
            with pytest.raises(PthetaError, match=f"^{param.opts[0]} ") as error:
                param.type.convert(value, param, None)
            assert len(str(error.value)) < 200
        if param.name == "seed":
            assert param.type.convert(str(2**63 - 1), param, None) == 2**63 - 1
            for value in ("-1", str(2**63)):
                with pytest.raises(PthetaError, match="want"):
                    param.type.convert(value, param, None)


@pytest.mark.parametrize("text", ["", " ", "a" * 256, "a/" * 2100, "a\0b"])
def test_a_source_is_a_name_or_a_path(text):
    with pytest.raises(PthetaError, match="want"):
        types.SOURCE.convert(text, None, None)
    assert types.SOURCE.convert("a" * 255, None, None)


def test_a_message_is_one_line_whatever_a_name_holds(tmp_path, monkeypatch, capsys):
    odd = "a\nb\x1b[31m\udcff"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["sample", odd, "--out", "x.png"])
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.count("\n") == 1
    assert r"a b\x1b[31m\udcff is not a run" in told


def test_what_the_system_refuses_is_one_line(monkeypatch, capsys):
    faults: tuple[Exception, ...] = (
        MemoryError(),
        OSError(5, "Input/output error", "a" * 5000),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried\nto"),
    )
    for fault in faults:
        monkeypatch.setattr("ptheta.cli.commands.cli.main", Mock(side_effect=fault))
        with pytest.raises(SystemExit) as ended:
            main([])
        told = capsys.readouterr().err
        assert ended.value.code == 2
        assert told.count("\n") == 1
        assert len(told) < 250
    monkeypatch.setattr("ptheta.cli.commands.cli.main", Mock(side_effect=RuntimeError("a fault")))
    with pytest.raises(RuntimeError, match="a fault"):
        main([])


# -- memory

LARGE: dict[str, dict[str, Any]] = {
    "vae": {"hidden": (10**9, 10**9)},
    "ae": {"latent": 10**9},
    "made": {"hidden": (10**9,)},
    "nade": {"hidden": 10**9},
    "dcgan": {"latent": 2 * 10**9},
    "pixelcnn": {"features": 10**8},
    "gated-pixelcnn": {"first_kernel": 10**8 + 1},
    "image-transformer": {"width": 10**8},
    "row-lstm": {"features": 10**8},
    "pixelcnn++": {"components": 2**31 - 1},
}


@pytest.mark.parametrize("name", LARGE)
def test_a_model_larger_than_memory_is_refused_before_memory_is_taken(name):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PthetaError, match=r"this model takes .* GiB of memory and .* are free"):
        ptheta.create(name, SPEC, **LARGE[name])
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < 2 * memory.SMALL


@pytest.mark.parametrize("name", MODELS)
def test_counting_a_model_changes_nothing(name, monkeypatch):
    """A model that is counted first has the weights of one that is not."""
    plain = tiny(name, SPEC).state_dict()
    monkeypatch.setattr(memory, "SMALL", 0)
    counted = tiny(name, SPEC).state_dict()
    assert plain.keys() == counted.keys()
    assert all(torch.equal(plain[key], counted[key]) for key in plain)


def test_training_needs_more_memory_than_use(monkeypatch):
    monkeypatch.setattr(memory, "SMALL", 0)
    build = registry.entry("ae").build
    made = build(SPEC, registry.entry("ae").load_config()(), None)
    monkeypatch.setattr(memory, "room", lambda: 3 * memory.weights(made))
    build(SPEC, made.config, None)
    with pytest.raises(PthetaError, match="to train it"):
        build(SPEC, made.config, None, to_train=True)


# -- config files

FILES: dict[str, tuple[str, bytes, str]] = {
    "Latin-1": ("toml", b"# caf\xe9\n", "not UTF-8"),
    "UTF-16": ("toml", "latent = 2".encode("utf-16"), "not UTF-8"),
    "deep": ("json", b"[" * 100_000, "not valid"),
    "deep TOML": ("toml", b"a = " + b"[" * 100_000, "not valid"),
    "list": ("json", b"[1]", "want a table"),
    "twice": ("json", b'{"latent": 2, "latent": 3}', "occurs twice"),
    "twice, TOML": ("toml", b"latent = 2\nlatent = 3\n", "not valid"),
    "5000 digits": ("json", b'{"latent": ' + b"9" * 5000 + b"}", "not valid"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_config_file_that_is_none_says_why(name, tmp_path):
    suffix, data, words = FILES[name]
    file = tmp_path / f"c.{suffix}"
    file.write_bytes(data)
    with pytest.raises(PthetaError, match=words) as error:
        config.read_file(file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_config_file_of_any_editor_is_read(before, end, tmp_path):
    file = tmp_path / "c.toml"
    file.write_bytes(before + end.join(["# café".encode(), b"latent = 2", b"[train]", b"lr = 1"]))
    assert config.read_file(file) == {"latent": 2, "train": {"lr": 1}}


def train(tmp_path: Path, table: dict[str, Any], *flags: str, verb: str = "train") -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps(table), encoding="utf-8")
    cli.main([verb, "vae", "--config", str(file), *flags], standalone_mode=False)


IN_FILE = {"hidden": [8], "latent": 2, "steps": 1, "threads": 1}


def test_a_config_file_may_give_data_out_and_recipe(tmp_path, monkeypatch):
    asked: list[tuple[Any, ...]] = []

    def record(*args: Any, **options: Any) -> Any:
        asked.append((*args, options))
        return SimpleNamespace(path=args[2], spec=SPEC, condition=None)

    monkeypatch.setattr("ptheta.api.train", record)
    given = {"data": "a", "out": "b", "recipe": "demo"}
    train(tmp_path, {**given, **IN_FILE})
    flags = ("--data", "c", "--out", "d", "--recipe", "e", "--latent", "9")
    train(tmp_path, {**given, **IN_FILE}, *flags)
    how = {"resume": False, "more_data": False}
    assert asked[0] == ("vae", "a", "b", {"recipe": "demo", **how, **IN_FILE})
    assert asked[1] == ("vae", "c", "d", {"recipe": "e", **how, **IN_FILE, "latent": "9"})


ODD: dict[str, tuple[dict[str, Any], str]] = {
    "the model": ({"model": "gan"}, "the model is given on the command line"),
    "a table that is none": ({"train": 3}, "want a table of options"),
    "resume": ({"resume": True}, "unknown option of vae .*'resume'"),
    "config": ({"config": "x"}, "unknown option of vae .*'config'"),
    "a typo": ({"latnet": 2}, "did you mean 'latent'"),
    "twice": ({"latent": 2, "model": {"latent": 3}}, "latent is given twice"),
    "data that is a number": ({"data": 3}, "data = 3: want a string"),
    "data of no text": ({"data": ""}, "--data ''"),
    "infinite": ({"lr": float("inf")}, "lr = inf: input should be a finite number"),
    "true": ({"latent": True}, "latent = True: input should be a valid integer"),
}


@pytest.mark.parametrize("verb", ["train", "sweep"])
@pytest.mark.parametrize("name", ODD)
def test_what_a_config_file_cannot_give_is_refused(name, verb, strokes, tmp_path):
    table, words = ODD[name]
    flags = ["--out", str(tmp_path / "out")]
    flags += [] if "data" in table else ["--data", str(strokes)]
    with pytest.raises(PthetaError, match=words) as error:
        train(tmp_path, table, *flags, verb=verb)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


# -- encodings


def test_every_text_file_has_its_encoding_named():
    """What is read and written does not depend on the language of the machine."""
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                assert not _undecided(node), f"{file}:{node.lineno}"


def _undecided(call: ast.Call) -> bool:
    """Whether a call opens a text file without saying its encoding."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id  # type: ignore[attr-defined]
    if any(word.arg == "encoding" for word in call.keywords):
        return False
    if name in ("read_text", "write_text"):
        # a function of ptheta.files.atomic has the path before the text, and an encoding of its own
        return isinstance(call.func, ast.Attribute)
    place = 0 if isinstance(call.func, ast.Attribute) else 1  # of the mode: path.open, open(path
    modes = [a.value for a in call.args[place : place + 1] if isinstance(a, ast.Constant)]
    return name == "open" and any(mode in ("r", "w", "a", "x") for mode in modes)
