"""The help: a section for each verb, two examples that are right, lines that fit a terminal."""

from __future__ import annotations

import shlex

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from ptheta.cli import main
from ptheta.cli.commands import cli
from ptheta.cli.help import SECTIONS, Verb
from ptheta.cli.train import ModelCommands
from ptheta.runs.offered import needless

WIDTH = 80
ROOM = 64  # letters beside the longest name of a verb
VERBS = {name: command for name, command in cli.commands.items() if isinstance(command, Verb)}


def shown(*args: str) -> str:
    done = CliRunner().invoke(cli, [*args, "--help"], env={"COLUMNS": str(WIDTH)})
    assert done.exit_code == 0, done.output
    return done.output


def test_every_verb_stands_in_a_section_in_a_line():
    text = shown()
    places = [text.index(f"\n{section}:") for section in SECTIONS]
    assert places == sorted(places)
    assert "\nCommands:" not in text
    for name, command in cli.commands.items():
        summary = (command.help or "").split("\n\n")[0]
        assert len(" ".join(summary.split())) <= ROOM, name
        assert f"  {name} " in text


@pytest.mark.parametrize("name", cli.commands)
def test_the_help_fits_and_has_no_empty_words(name):
    text = shown(name)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "2147483647" not in text
    assert "INTEGER RANGE" not in text


@pytest.mark.parametrize("name", VERBS)
def test_two_examples_are_commands(name):
    examples = VERBS[name].examples
    assert len(examples) >= 2
    for line in examples:
        program, *words = shlex.split(line)
        verb, words = words[: len(name.split())], words[len(name.split()) :]
        assert [program, *verb] == ["ptheta", *name.split()]
        VERBS[name].make_context(name, list(words), parent=click.Context(cli))


@pytest.mark.parametrize("verb", ["train", "sweep"])
@pytest.mark.parametrize("model", ["vae", "pix2pix", "kde"])
def test_a_model_shows_its_basic_options_first(verb, model):
    short, whole = shown(verb, model), CliRunner().invoke(cli, [verb, model, "--help-all"]).output
    assert "--steps" in short
    assert "--checkpoint-every" not in short
    assert "--checkpoint-every" in whole
    assert "Recipes:" in short
    group = cli.commands[verb]
    assert isinstance(group, ModelCommands)
    fresh = group.get_command(click.Context(group), model)
    assert fresh is not None
    flags = {flag for p in fresh.params for flag in p.opts if p.name not in needless(model)}
    assert all(flag in whole for flag in flags)
    assert "more options" not in whole


def test_the_values_shown_are_those_of_the_default_recipe():
    text = " ".join(shown("train", "vae").split())
    assert "batch size over all processes [128]" in text
    assert "passes over the data [50.0]" in text
    assert "--processes" in text


def test_examples_are_not_wrapped():
    text = CliRunner().invoke(cli, ["launch", "--help"], env={"COLUMNS": "60"}).output
    assert [f"  {line}" for line in VERBS["launch"].examples] == text.splitlines()[-2:]


def test_what_a_model_has_no_use_for_is_not_offered():
    assert "pairs" in needless("vae")
    assert "pairs" not in needless("pix2pix")
    assert {"columns", "beta"} <= needless("pixelcnn")
    assert "beta" not in needless("bicycle-gan")  # which says so in its recipe
    assert not needless("vae") & {"levels", "columns", "beta"}


def completed(*words: str) -> list[tuple[str, str]]:
    """What a shell is answered behind these words, the last of which is begun: (type, text)."""
    found = ShellComplete(cli, {}, "ptheta", "_PTHETA_COMPLETE")
    return [(c.type, c.value) for c in found.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("train", "va"), [("plain", "vae"), ("plain", "vae-gan")]),
        (("models", "row"), [("plain", "row-lstm")]),
        (("train", "vae", "--net", "r"), [("plain", "resize")]),
        (("train", "vae", "--recipe", "bu"), [("plain", "burda-2016")]),
        (("train", "vae", "--data", "pe"), [("file", "pe")]),
        (("train", "vae", "--out", ""), [("file", "")]),
        (("sample", "runs/"), [("file", "runs/")]),
    ],
)
def test_a_shell_completes_models_words_and_paths(words, wanted):
    assert completed(*words) == wanted


def test_names_of_models_are_completed_without_their_options(monkeypatch):
    monkeypatch.setattr(ModelCommands, "get_command", None)
    context = click.Context(cli.commands["train"])
    assert [c.value for c in context.command.shell_complete(context, "vae")] == ["vae", "vae-gan"]


def test_a_missing_option_is_said_with_what_it_is_for(capsys):
    with pytest.raises(SystemExit):
        main(["log", "example:vae"])
    assert "missing option '--to': tracker: tensorboard" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["sweep", "vae", "--out", "r"])
    assert "missing option '--data': name of a data set, or a path (see" in capsys.readouterr().err
