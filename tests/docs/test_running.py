"""Every command of README.md runs as it is written, in its order, and every example of the help:
on few steps and few examples."""

from __future__ import annotations

from functools import partial

import pytest

import ptheta
from tests.conftest import TINY
from tests.docs.commands import (
    MOST,
    QUIET,
    README,
    commands_of,
    examples,
    python_of,
    shortened,
    words_of,
)
from tests.docs.world import make_files, make_runs, run

pytestmark = pytest.mark.slow


def faults(lines: list[str]) -> dict[str, str]:
    """Line -> what went wrong, of those that did not run."""
    tried = ((line, run(shortened(words_of(line)))) for line in lines)
    return {line: fault for line, fault in tried if fault is not None}


@pytest.mark.filterwarnings("ignore")
def test_the_commands_of_the_readme_run_in_their_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    make_files(tmp_path)
    assert not faults(commands_of(README))


@pytest.mark.filterwarnings("ignore")
def test_the_examples_of_the_help_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    make_files(tmp_path)
    make_runs()
    found = dict[str, str]()
    for line in examples():
        if line.startswith("ptheta demo"):  # it takes long, and README.md shows it, too
            continue
        for name in written(words_of(line)):  # by an earlier example, to which this is another
            (tmp_path / name).unlink(missing_ok=True)
        found |= faults([line])
    assert not found


def written(words: list[str]) -> list[str]:
    """The files that a command writes."""
    places = [i + 1 for i, word in enumerate(words) if word in ("--out", "--show", "--codes")]
    return [words[i] for i in places if "." in words[i]]


@pytest.mark.filterwarnings("ignore")
def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    make_files(tmp_path)
    train = ptheta.train

    def short(model, data, out, **options):
        given = {name: value for name, value in options.items() if name != "minutes"}
        return train(model, data, out, **{**given, **TINY[model], **QUIET, "steps": 2})

    monkeypatch.setattr(ptheta, "train", short)
    monkeypatch.setattr(ptheta, "compare", partial(ptheta.compare, n=MOST))
    short("vae", "digits", "runs/vae", levels=4)
    (block, *others) = python_of(README)
    assert not others
    exec(compile(block, str(README), "exec"), {})
