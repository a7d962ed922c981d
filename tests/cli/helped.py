"""The help of a model, and what it offers."""

from __future__ import annotations

import re

from click.testing import CliRunner

from ptheta.cli.commands import cli


def help_of(model: str) -> str:
    """All of `ptheta train MODEL --help-all`, on one line."""
    told = CliRunner().invoke(cli, ["train", model, "--help-all"], env={"COLUMNS": "100"})
    assert told.exit_code == 0, told.output
    return " ".join(told.output.split())


def offers(text: str, flag: str, choice: str) -> bool:
    """Whether a help says that an option may be set to this."""
    told = re.search(rf"--{flag} <([^>]*)>(.*?)\[[^\]]*\]", text)
    if told is None:
        return False
    named = told[1] if told[1] != "NAME" else told[2].partition("One of ")[2]
    return choice in re.split(r"[|, .]+", named)
