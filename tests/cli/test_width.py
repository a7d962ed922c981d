"""Lists fit a terminal: nothing is longer than a line, and no word is lost or cut."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
from click.testing import CliRunner

from ptheta.cli.commands import cli
from ptheta.cli.tables import flowing, folded, wrapped
from ptheta.data.names import some_of
from tests.data.makers import COLOUR, write_folder

LISTS = (("models",), ("models", "--tasks"), ("metrics",), ("data",))


def printed(*args: str, columns: int | None) -> str:
    env = {"COLUMNS": None if columns is None else str(columns)}
    done = CliRunner().invoke(cli, list(args), env=env)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("args", LISTS)
@pytest.mark.parametrize("columns", [80, 60])
def test_a_list_fits_and_loses_no_word(args, columns):
    narrow, whole = (printed(*args, columns=width) for width in (columns, None))
    assert max(map(len, narrow.splitlines())) <= columns
    words = narrow.split()
    assert set(words) == set(whole.split())
    if args != ("models", "--tasks"):  # whose rows are named again below
        assert words == whole.split()


@pytest.mark.parametrize("name", ["pictures", "long-" * 30])
def test_what_is_said_of_data_fits(name, tmp_path):
    """A path is one word, however long."""
    place = write_folder(tmp_path / name, COLOUR)
    for picture in place.rglob("*.png"):
        picture.with_suffix(".txt").write_text("a small striped triangle at the bottom left " * 5)
    narrow, whole = (printed("data", str(place), columns=width) for width in (80, None))
    assert narrow.split() == whole.split()
    assert max(len(line) for line in narrow.splitlines() if str(place) not in line) <= 80


@pytest.mark.slow
def test_a_terminal_tells_its_width():
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    env = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
    command = [sys.executable, "-m", "ptheta.cli", "metrics"]
    with subprocess.Popen(command, stdout=theirs, env=env, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        read = b""
        try:
            while part := os.read(ours, 2**16):
                read += part
        except OSError:  # the other end is closed
            pass
        assert process.wait() == 0
    os.close(ours)
    lines = read.decode().splitlines()
    assert len(lines) > 50
    assert max(map(len, lines)) <= 80


def test_what_has_no_room_stands_below():
    rows = [["  a-name", "x", "some words of it"], ["  b", "y", ""]]
    assert wrapped(rows, None) == ["  a-name  x  some words of it", "  b       y"]
    assert wrapped(rows, 40)[0] == "  a-name  x  some words of it"
    assert wrapped(rows, 20) == ["  a-name  x", "      some words of", "      it", "  b       y"]
    assert flowing("key: " + "word " * 5, 14) == ["key: word word", "    word word", "    word"]
    assert flowing("a:\n  b: c", 80) == ["a:", "  b: c"]
    matrix = [["", "first", "second", "third"], ["row", "+", "", "+"]]
    assert folded(matrix, 12) == [
        *("     first", "row  +", "", "     second", "row", "", "     third", "row  +")
    ]
    assert folded(matrix, None) == ["     first  second  third", "row  +              +"]


@pytest.mark.parametrize("most", [5, 20, 80])
def test_of_many_names_the_first_are_whole(most):
    for names in (["ab"], ["ab", "cd"], [f"name{i}" for i in range(40)], ["x" * 200, "y"]):
        text = some_of(names, most)
        whole = ", ".join(names)
        assert text == whole or f"({len(names)} in all)" in text or len(names) == 1
        if max(map(len, names)) <= most:
            assert set(text.split(", ... (")[0].split(", ")) <= set(names)
        if max(map(len, names)) + 18 <= most:
            assert len(text) <= most


@pytest.mark.parametrize("args", [("--help",), ("train", "vae", "--help"), ("models", "--help")])
@pytest.mark.parametrize("columns", [0, 1, 20, 40])
def test_the_help_loses_no_word_in_a_narrow_terminal(args, columns):
    shown = "".join(printed(*args, columns=columns).split())
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    assert shown.startswith("Usage:")
    assert shown.count("--") == "".join(printed(*args, columns=100).split()).count("--")
