"""Commands, each in a process of its own, which begins where ptheta is already imported."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

# Importing takes longer than most of these commands: it is done once, by the server that forks.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.cli.imported"])
PATIENCE = 300  # seconds


@dataclass(frozen=True)
class Done:
    """What a command has said. status: its exit status"""

    status: int
    stdout: str
    stderr: str


def _command(words: list[str], folder: str) -> None:
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(folder, name), os.O_WRONLY | os.O_CREAT), descriptor)
    from ptheta.cli import main

    main(words)


def command(*words: object) -> Done:
    """`ptheta WORDS`, to its end."""
    with tempfile.TemporaryDirectory() as folder:
        process = FORKS.Process(target=_command, args=([*map(str, words)], folder))
        process.start()
        process.join(PATIENCE)
        assert process.exitcode is not None, f"still at work after {PATIENCE} s: {words}"
        said = [Path(folder, name).read_text("utf-8") for name in ("stdout", "stderr")]
        return Done(process.exitcode, *said)
