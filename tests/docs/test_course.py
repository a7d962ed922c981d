"""The commands and the answers of the course run, each lesson in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ptheta.lab.table import PAGES
from tests.docs.commands import COURSE, ROOT, commands_of, python_of, shortened, words_of
from tests.docs.world import run

INDEX = ROOT / "docs" / "course" / "index.md"
LAB = ROOT / "docs" / "lab.md"


def test_the_course_has_ten_lessons_in_order():
    numbers = sorted(int(path.name.partition("-")[0]) for path in COURSE)
    assert numbers == list(range(1, 11))
    links = re.findall(r"\]\((\d+-\w+\.md)\)", INDEX.read_text("utf-8"))
    assert sorted(links) == [path.name for path in COURSE]
    assert [int(link.partition("-")[0]) for link in links] == numbers


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_a_lesson_has_commands_a_picture_and_answers(path: Path):
    text = path.read_text("utf-8")
    assert text.index("**Learned here:**") < text.index("```") < text.index("## Exercises")
    assert "](../images/" in text
    exercises = re.split(r"^\*\*\d\.\*\*", text.partition("## Exercises")[2], flags=re.MULTILINE)[
        1:
    ]
    assert len(exercises) >= 3
    assert all("*Answer.*" in exercise for exercise in exercises)
    assert python_of(path)
    for block in python_of(path):
        compile(block, str(path), "exec")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_a_lesson_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its commands of a few steps in their order, and its answers."""
    monkeypatch.chdir(tmp_path)
    faults = {}
    for words in map(words_of, commands_of(path)):
        if words[0] == "learn" and (words[1] not in PAGES or PAGES[words[1]].trains):
            continue  # takes minutes, and has tests of its own
        fault = run(shortened(words))
        if fault is not None:
            faults[" ".join(words)] = fault
    assert not faults
    names: dict[str, object] = {}
    for block in python_of(path):
        exec(compile(block, str(path), "exec"), names)


def test_every_page_of_the_lab_is_documented():
    text = LAB.read_text("utf-8")
    assert all(f"| `{name}` |" in text for name in PAGES)
