"""The commands that README.md, the pages of docs/ and the help show, and how to shorten them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from ptheta.cli.commands import cli
from ptheta.cli.help import Verb
from tests.conftest import TINY

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
COURSE = sorted((ROOT / "docs" / "course").glob("[0-9]*.md"))
FENCE = "```"
LENGTHS = ("--minutes", "--steps", "--epochs")
MOST = 40  # images that a command draws or reads
# what takes its time, as little as it may be
SHORT = {
    "usefulness": ("-n", str(MOST), "--repeats", "1"),
    "outliers": ("--samples", "2"),
    "probe": ("--steps", "5", "--draws", "1"),
    "invert": ("--steps", "2", "--restarts", "1", "--drawn", "100"),
    "tradeoff": ("--values", "0.5,1"),
}
QUIET = {"evaluate_every": 0, "sample_every": 0, "checkpoint_every": 0, "batch_size": 8}


def commands_of(page: Path) -> list[str]:
    """The lines of a page's blocks that begin with `ptheta`, comments and all."""
    found, inside, begun = [], False, ""
    for line in page.read_text("utf-8").splitlines():
        if line.startswith(FENCE):
            inside = not inside
        elif inside and (begun or line.startswith("ptheta ")):
            begun += line.removesuffix("\\")
            if not line.endswith("\\"):
                found += begun.split(" && ")
                begun = ""
    return found


def words_of(line: str) -> list[str]:
    """What stands behind `ptheta`, without the comment and the file that the shell writes."""
    program, *words = shlex.split(line, comments=True)
    assert program == "ptheta", line
    return words[: words.index(">")] if ">" in words else words


def examples() -> list[str]:
    """The examples of all verbs."""
    return [e for c in cli.commands.values() if isinstance(c, Verb) for e in c.examples]


def parsed(words: list[str]) -> click.Context:
    """Raises a UsageError or a PthetaError where an option or a verb is not known."""
    command: click.Command = cli
    ctx = click.Context(cli)
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(ctx, list(words))
        assert found is not None
        command = found
        ctx = click.Context(command, parent=ctx, info_name=name)
    return command.make_context(ctx.info_name, list(words), parent=ctx.parent)


def shortened(words: list[str]) -> list[str]:
    """The same command on few steps and few examples; all else as it is written."""
    verb = words[0]
    if verb in ("train", "sweep"):
        return [verb, *_trained(words[1:])] if "--help" not in words else words
    if verb == "demo":
        return [*words, "--speed", "400"]
    command = cli.commands[verb]
    options = {flag: p for p in command.params for flag in p.opts}
    words = [*_fewer(words), *_unless(words, SHORT.get(verb, ()))]
    default = options["-n"].default if "-n" in options else None
    if "-n" not in words and isinstance(default, int) and default > MOST:
        words += ["-n", str(MOST)]
    return words


def _unless(words: list[str], flags: tuple[str, ...]) -> Iterator[str]:
    for flag, value in zip(flags[::2], flags[1::2], strict=True):
        if flag not in words:
            yield from (flag, value)


def _fewer(words: list[str]) -> list[str]:
    few = list(words)
    for flag in ("-n", "--each"):
        if flag in few and int(few[few.index(flag) + 1]) > MOST:
            few[few.index(flag) + 1] = str(MOST)
    return few


def _trained(words: list[str]) -> list[str]:
    """A training of two steps, of a small network where the command does not choose one."""
    kept, skip = list[str](), False
    for word in words:
        if not skip and word not in LENGTHS:
            kept.append(word)
        skip = word in LENGTHS
    small = {} if "--recipe" in kept or ".csv" in " ".join(kept) else TINY.get(kept[0], {})
    more = list[str]()
    for name, value in {**QUIET, **small, "steps": 2}.items():
        flag = f"--{name.replace('_', '-')}"
        if flag not in kept and "--resume" not in kept:
            plain = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            more += [flag, plain]
    return kept + more if "--resume" not in kept else [*kept, "--steps", "4"]


def python_of(page: Path) -> list[str]:
    """The blocks of Python of a page."""
    parts = page.read_text("utf-8").split(f"{FENCE}python\n")[1:]
    return [part.split(f"{FENCE}\n")[0] for part in parts]
