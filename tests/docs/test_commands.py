"""Commands that pages show are commands: their verbs and options are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from scripts import site_pages
from scripts.draw_gallery import PICTURES

from ptheta.cli.commands import cli
from ptheta.cli.train import train
from ptheta.models import registry

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "scripts/site").rglob("*.md")]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FIRST = ROOT / "scripts" / "site" / "guide" / "first.md"
ELSEWHERE = ("mine", "my-", "MODULE", "...")  # what stands for something of the reader's


def commands(text: str) -> list[str]:
    """The commands of a page's blocks, each on one line, without what is said of them."""
    blocks = [block for kind, block in BLOCK.findall(text) if kind in ("", "sh", "bash")]
    lines = "\n".join(blocks).replace("\\\n", " ").replace(" && ", "\n").splitlines()
    told = [line.partition("  #")[0].strip() for line in lines]
    return [line for line in told if re.match(r"ptheta [a-z]", line)]


def parse(command: str) -> None:
    """Raises a ClickException for what the command line does not know."""
    _, *words = shlex.split(command, comments=True)
    group: click.Command = cli
    context = click.Context(cli, info_name="ptheta")
    while isinstance(group, click.Group) and words:
        name, found, words = group.resolve_command(context, words)
        assert found is not None
        group, context = found, click.Context(found, parent=context, info_name=name)
    params = group.get_params(context)
    if group.name == "launch":  # which takes the options of a training as well
        training = train.get_command(context, words[1])
        assert training is not None
        params += training.params
    known = {flag for p in params for flag in (*p.opts, *p.secondary_opts)}
    given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert given <= known, f"{command}: {', '.join(given - known)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_pages_are_known(page):
    for command in commands(page.read_text(encoding="utf-8")):
        if not any(word in command for word in ELSEWHERE):
            parse(command)


def test_commands_of_pictures_are_known():
    for name, picture in PICTURES.items():
        assert picture.model in registry.models()
        assert picture.commands[-1].endswith(f" {name}.png")
        for command in picture.commands:
            parse(command)


def of_model(name: str) -> list[str]:
    return site_pages.commands_of(name, registry.entry(name)).splitlines()


@pytest.mark.parametrize("name", registry.MODELS)
def test_commands_of_models_are_known(name):
    for command in of_model(name):
        parse(command)


def run(command: str) -> None:
    _, *words = shlex.split(command)
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, f"{command}: {result.output}\n{result.exception}"


# each takes as long as the steps that it times
@pytest.mark.slow
@pytest.mark.parametrize("name", list(registry.MODELS)[::6])
def test_a_model_could_be_trained_by_the_command_of_its_page(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(f"{of_model(name)[0]} --dry-run")


@pytest.mark.slow
def test_the_first_run_runs(tmp_path, monkeypatch):
    """Every command of the page, one after the other, of fewer steps."""
    monkeypatch.chdir(tmp_path)
    for command in commands(FIRST.read_text(encoding="utf-8")):
        run(f"{command} --steps 20" if command.startswith("ptheta train") else command)
    assert (tmp_path / "runs" / "report" / "report.html").exists()
