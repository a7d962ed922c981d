"""Where the output goes: full, closed, of another encoding; and errors that no command caught."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from ptheta import cli
from ptheta.cli import listing

LIST = f"{sys.executable} -m ptheta.cli data"
WRONG = f"{sys.executable} -m ptheta.cli nono"
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        (f"{LIST} >/dev/full", 1),
        pytest.param(f"{LIST} >/dev/full 2>&1", 0, marks=SLOW),
        (f"{LIST} >&-", 1),
        pytest.param(f"{LIST} >&- 2>&-", 0, marks=SLOW),
        (f"{WRONG} 2>/dev/full", 0),
        pytest.param(f"{WRONG} 2>&-", 0, marks=SLOW),
        pytest.param(f"set -o pipefail; {LIST} | true", 0, marks=SLOW),
    ],
)
def test_output_that_cannot_be_written_is_one_line_or_silence(command, lines):
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    said = done.stderr.splitlines()
    if "pipefail" not in command:  # the reader may be quick enough to take it all
        assert done.returncode not in (0, 1)
    assert len(said) == lines, said
    assert all(line.startswith("ptheta: ") for line in said)


@pytest.mark.parametrize(
    "encoding",
    ["latin-1:strict", *(pytest.param(name, marks=SLOW) for name in ("ascii", "utf-8:strict"))],
)
def test_what_an_encoding_lacks_is_escaped(encoding):
    name = b"/none-\xe9-\xe2\x82\xac"  # no UTF-8, then a euro sign
    command = [sys.executable.encode(), b"-m", b"ptheta.cli", name]
    env = {"PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, env=env, capture_output=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert b"unknown command '/none-" in done.stderr


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(13, "Permission denied", "a/b"), "a/b: Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (MemoryError(), "out of memory"),
    ],
)
def test_what_no_command_caught_is_one_line(monkeypatch, capsys, error, line):
    def fail(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(listing.data, "callback", fail)
    assert isinstance(listing.data, click.Command)
    with pytest.raises(SystemExit) as ended:
        cli.main(["data"])
    said = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert len(said) == 1
    assert said[0].startswith(f"ptheta: {line}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("ptheta nosuch x", ""),
        ("ptheta train nosuch x", ""),
        ("ptheta models pixelcnn+", "plain,pixelcnn++"),
        ("ptheta train vae --dry", "plain,--dry-run"),
    ],
)
def test_a_shell_is_told_what_completes_and_no_faults(words, said):
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "ptheta.cli"],
        env=os.environ | asked | {"_PTHETA_COMPLETE": "bash_complete"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (said, "")
