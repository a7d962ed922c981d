"""Command-line entry point. No model is named here; torch is imported only when a command needs
it."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TextIO

import click

from ptheta.config import brief
from ptheta.errors import Interrupted, PthetaError, nearest, out_of_memory, unknown
from ptheta.terminal.signals import ENDING, ending, lasting, name_of

GONE = (errno.EPIPE, errno.EBADF)  # the reader of the output has closed it
STARTERS = {"TORCHELASTIC_RUN_ID", "SLURM_STEP_ID"}  # variables of processes of several machines
UNREAD = 128 + signal.SIGPIPE  # exit status when the output has no reader


def main(argv: list[str] | None = None, work: Callable[[], object] | None = None) -> None:
    """Entry point of the `ptheta` command. Bad input gives one line on stderr and exit status 2.

    work: done instead of the command of `argv`; may return an exit status
    """
    if sys.stderr is None:  # stderr is closed: discard messages
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        _say("standard output is closed: open it, or redirect it to /dev/null")
        sys.exit(2)
    _escape_what_cannot_be_written()
    if not STARTERS.isdisjoint(os.environ):  # torch would report each try to reach another process
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    warnings.showwarning = _Warnings()
    atexit.register(gc.freeze)  # skips a slow garbage collection of torch objects at exit
    status, text = 0, ""
    with lasting(), ending() as asked:
        try:
            status, text = _done(partial(_command, argv) if work is None else work)
        except BaseException:  # any exception that a signal caused
            if asked.number is None:
                raise
        if asked.number is not None and status != 128 + asked.number:
            status, text = 128 + asked.number, f"stopped by {name_of(asked.number)}"
    for number in ENDING:  # all output is written: avoid a traceback at exit
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if text:
        _say(text)
    sys.exit(_flushed(status))


class _Warnings:
    """Prints each `UserWarning` once, on one line; other categories are for developers."""

    def __init__(self) -> None:
        self.said: set[str] = set()

    def __call__(
        self, message: Warning | str, category: type[Warning], *_: object, **__: object
    ) -> None:
        if issubclass(category, UserWarning) and str(message) not in self.said:
            self.said.add(str(message))
            from ptheta.terminal.screen import above

            with suppress(OSError, ValueError):
                above(f"ptheta: warning: {_shown(str(message))}", sys.stderr)


def _command(argv: list[str] | None) -> object:
    from ptheta.cli.commands import cli  # slow to import, so only after signal handlers are set

    return cli.main(args=argv, prog_name="ptheta", standalone_mode=False)


def _done(work: Callable[[], object]) -> tuple[int, str]:
    """Does the work. Returns the exit status and, if it failed, the error message."""
    try:
        ended = work()
        return (ended if isinstance(ended, int) else 0), ""  # a command may return a status
    except Interrupted as error:
        return 128 + error.number, str(error)
    except PthetaError as error:
        return 2, str(error)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else str(error))
        return 2, ""
    except click.ClickException as error:
        return 2, _one_line(error)
    except (KeyboardInterrupt, click.Abort):
        return 128 + signal.SIGINT, "interrupted"
    except (ImportError, MemoryError, OSError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno in GONE and error.filename is None:
            return UNREAD, ""  # the reader of the output has gone
        if (text := _beyond(error)) is None:
            raise
        return 2, text


def _beyond(error: Exception) -> str | None:
    """One line for an operating-system or memory error; None if the error is a bug."""
    if (found := out_of_memory(error)) is not None:
        return str(found)
    if isinstance(error, OSError):
        where = f"{brief(error.filename)}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return None


def _flushed(status: int) -> int:
    """Flushes the output and returns the exit status: buffered output may fail only now."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:  # full, or closed
        gone = not isinstance(error, OSError) or error.errno in GONE
        if not gone and not status:
            _say(f"cannot write the output: {error}")
        status = status or (UNREAD if gone else 2)
    _let_go(sys.stdout)
    _let_go(sys.stderr)
    return status


def _say(line: str) -> None:
    """Prints a line on stderr; ignores failures, since the terminal may be closed."""
    with suppress(OSError, ValueError):
        click.echo(f"ptheta: {_shown(line)}", err=True)


def _let_go(stream: TextIO) -> None:
    """Discards output that cannot be written; otherwise Python prints a traceback at exit."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _escape_what_cannot_be_written() -> None:
    """Escapes characters, such as those in file names, that the terminal's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # replaced, or closed
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _shown(text: str) -> str:
    """The text on one line, with unprintable characters of file names (line breaks, control codes,
    undecodable bytes) escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _purpose(option: click.Option) -> str:
    """The first sentence of the help of an option."""
    first = (option.help or "").partition(". ")[0].removesuffix(".")
    return first[:1].lower() + first[1:]


def _one_line(error: click.ClickException) -> str:
    """click's message on one line, with the nearest option if one was mistyped."""
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.NoSuchOption) and ctx is not None:
        params = ctx.command.get_params(ctx)
        known = [name for p in params for name in (*p.opts, *p.secondary_opts)]
        if nearest(error.option_name, known) is None:  # the full list is too long to print
            return f"unknown option {error.option_name!r}: see {ctx.command_path} --help"
        return str(unknown("option", error.option_name, known))
    text = " ".join(error.format_message().split())
    if isinstance(error, click.MissingParameter) and isinstance(error.param, click.Option):
        text = f"{text.removesuffix('.')}: {_purpose(error.param)}"
    where = f" (see: {ctx.command_path} --help)" if ctx is not None else ""
    return text[0].lower() + text[1:] + where
