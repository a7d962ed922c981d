"""Every command of README.md and of docs/ is one that this version understands."""

from __future__ import annotations

import pytest

from tests.docs.commands import PAGES, README, commands_of, parsed, words_of

PLUGGED = "--plugin"  # of a module that the page has the reader write


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_commands_are_understood(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "options.toml").write_text("")
    for line in commands_of(page):
        words = [w for w in words_of(line) if not w.startswith("$")]  # no variable of a shell
        if PLUGGED in words or "--help" in words:
            continue
        try:
            parsed(words)
        except Exception as error:
            raise AssertionError(f"{line}: {error}") from error
