"""ptheta says that it has types, and the script of a user is checked by them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import ptheta
from tests.typing import script

SCRIPT = Path(script.__file__)
SOURCE = Path(ptheta.__file__).parents[1]


def checked(file: Path, cache: Path) -> str:
    """What `mypy --strict` says of a script, with no settings but its own."""
    # errors are told of the script alone, as where ptheta is installed
    given = ["--strict", "--follow-imports=silent", "--config-file=", f"--cache-dir={cache}"]
    said = subprocess.run(
        [sys.executable, "-m", "mypy", *given, str(file)],
        env=os.environ | {"MYPYPATH": str(SOURCE)},
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout + said.stderr


def test_the_package_says_that_it_has_types():
    assert files("ptheta").joinpath("py.typed").is_file()


@pytest.mark.slow
def test_a_script_of_a_user_is_checked_strictly(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    assert checked(mine, tmp_path / "cache") == "Success: no issues found in 1 source file\n"
    # and what is wrong is seen
    mine.write_text(
        "import ptheta\n"
        "ptheta.sample('runs/vae', 'many')\n"
        "ptheta.evaluate('runs/vae', extractr='digits')\n"
        "ptheta.load('runs/vae').weights + 1\n"
        "ptheta.smaple\n",
        encoding="utf-8",
    )
    lines = re.findall(r"^mine\.py:(\d+): error", checked(mine, tmp_path / "cache"), re.MULTILINE)
    assert {int(line) for line in lines} == {2, 3, 4, 5}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:16 samples are few")
def test_the_script_runs(tmp_path, capsys):
    script.main(tmp_path)
    assert "nothing" in capsys.readouterr().out
    assert (tmp_path / "samples.png").is_file()
