"""The command line and `import ptheta` are one interface: the same verbs, with the same options."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Unpack, get_args, get_origin, get_type_hints

import click
import pytest

import ptheta
from ptheta import config
from ptheta.cli.commands import cli
from ptheta.cli.measure import PREPROCESSING
from ptheta.cli.train import ModelCommands
from ptheta.models import registry
from ptheta.runs import plan
from ptheta.runs.folder import Run

# verbs that Python calls otherwise, and why
OTHERWISE = {
    "models": ("list_models", "ptheta.models is the package"),
    "metrics": ("list_metrics", "ptheta.metrics is the package"),
    "data": ("describe", "ptheta.data is the package"),
    "data pack": ("pack", "a verb of two words"),
    "report": ("write_report", "ptheta.report is the package"),
}
# functions that are no verb of the command line, and why
PYTHON = {
    "create": "its result is in memory alone",
    "register": "`ptheta --plugin`",
    "load": "its result is in memory alone",
    "open_data": "its result is in memory alone",
    "open_images": "`open_data` of images alone",
    "list_tasks": "`ptheta models --tasks`",
    "list_datasets": "`ptheta data` without a source",
    "evaluate_images": "`ptheta evaluate` of a folder of images",
    "dry_run": "`ptheta train MODEL --dry-run`",
    "closest": "the images that `ptheta evaluate --closest` draws",
}
# verbs that are no function of Python, and why
OF_SHELL = {
    "completion": "a shell reads it",
    "study": "a group: its functions are in ptheta.study and ptheta.api.studying",
}
# options that no function takes, and why
SHELL = {
    "threads": "a program says it to torch",
    "as_json": "a function gives an object",
    "config": "a program reads its own files",
}
# verb -> (options of the command line alone, parameters of Python alone, why)
DIFFERENT: dict[str, tuple[set[str], set[str], str]] = {
    "data": (
        {"out"},
        {"levels", "dynamic", "max_broken"},
        "the picture is `open_data(...).preview()`; these change nothing of what is looked at",
    ),
    "models": (
        {"tasks", "tree", "graph"},
        set(),
        "`list_tasks`: another table; `place` in each row of `list_models`; `model.graph()`",
    ),
    "fit": ({"settings"}, set(), "options of the training by their names"),
    "sample": ({"captions", "images"}, {"condition"}, "texts by kind of condition"),
    "decode": (
        {"captions", "labels", "attributes", "images"},
        {"condition"},
        "texts by kind of condition",
    ),
    "inpaint": (
        {"captions", "labels", "attributes", "measure"},
        {"condition"},
        "texts by kind of condition; `ptheta.api.score_inpainting`",
    ),
    **dict.fromkeys(
        ("denoise", "reconstruct", "invert", "arithmetic", "interpolate", "traverse", "encode"),
        ({"captions", "labels", "attributes"}, {"condition"}, "texts by kind of condition"),
    ),
    "evaluate": (set(PREPROCESSING), set(), "of `evaluate_images`"),
    "impute": ({"data", "hide", "repeats", "draws"}, set(), "of `ptheta.api.score_imputation`"),
    "train": ({"dry_run"}, {"model", "callbacks"}, "`dry_run`; a command for each; objects"),
    "sweep": ({"vary"}, {"model", "settings"}, "a text of a grid; any settings"),
}


def functions() -> set[str]:
    return {name for name in ptheta.__all__ if inspect.isfunction(getattr(ptheta, name))}


def called(verb: str) -> str:
    """A verb in Python."""
    return OTHERWISE[verb][0] if verb in OTHERWISE else verb


def parameters(verb: str) -> tuple[list[inspect.Parameter], set[str]]:
    """Those of the function of a verb, and the names of all, those of an unpacked table too."""
    function = getattr(ptheta, called(verb))
    found = list(inspect.signature(function, eval_str=True).parameters.values())
    names = {p.name for p in found if p.kind is not p.VAR_KEYWORD}
    unpacked = [p.annotation for p in found if get_origin(p.annotation) is Unpack]
    return found, names.union(*(get_type_hints(get_args(of)[0]) for of in unpacked))


def commands() -> dict[str, tuple[str, set[str]]]:
    """Every command -> its verb, and the names of its options; `train` and `sweep` have a command
    for each model, whose configs are options in Python, too."""
    found = {}
    for verb, command in cli.commands.items():
        if verb in OF_SHELL:
            continue
        if not isinstance(command, ModelCommands):
            found[verb] = verb, {p.name for p in command.params if p.name}
            continue
        for name in registry.MODELS:
            made = command.get_command(click.Context(command), name)
            assert made is not None
            fields = {opt for cls in plan.sections(name).values() for opt in config.options(cls)}
            options = {p.name for p in made.params if p.name} - {"help_all"}
            assert fields - options <= {"seed"}  # a sweep has the number of seeds
            found[f"{verb} {name}"] = verb, options - fields
    return found


COMMANDS = commands()


def test_every_verb_is_a_function_and_every_function_a_verb():
    assert set(map(called, cli.commands.keys() - OF_SHELL)) == functions() - PYTHON.keys()
    assert functions() >= PYTHON.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_verb_has_the_same_options_on_the_command_line_and_in_python(command):
    verb, options = COMMANDS[command]
    shell, python, _ = DIFFERENT.get(verb, (set(), set(), ""))
    _, names = parameters(verb)
    assert options - names == shell | (options & SHELL.keys())
    assert names - options == python


@pytest.mark.parametrize("verb", [v for v, options in COMMANDS.values() if "run" in options])
def test_a_verb_that_uses_a_run_takes_it_first_as_a_folder_or_opened(verb):
    (first, *_), _ = parameters(verb)
    assert (first.name, first.annotation) == ("run", str | Path | Run)


def test_the_types_are_there_for_whoever_imports_ptheta():
    assert (files("ptheta") / "py.typed").is_file()


SCRIPT = """
import ptheta
from torch import Tensor, nn

run: ptheta.Run = ptheta.train("vae", "digits", "runs/vae", steps=3)
model: nn.Module = ptheta.load(run.path)
x: Tensor = ptheta.sample(run, 4, out="a.png").x
bits = ptheta.evaluate(run, n=100).get("bits_per_dim")
value: float | None = None if bits is None else bits.value
page = ptheta.compare([run], "report")
print(page.name, ptheta.describe("digits")["kind"], ptheta.list_models()["vae"]["paper"])
"""


@pytest.mark.slow
def test_a_script_of_a_user_is_checked_strictly(tmp_path):
    (tmp_path / "right.py").write_text(SCRIPT)
    (tmp_path / "wrong.py").write_text(SCRIPT.replace("x: Tensor", "x: int"))
    check = ["mypy", "--strict", "--follow-imports=silent", "right.py", "wrong.py"]
    done = subprocess.run(
        [sys.executable, "-m", *check], cwd=tmp_path, capture_output=True, text=True
    )
    lines = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert [line.split(":")[0] for line in lines] == ["wrong.py"], done.stdout
