"""The command line. Nothing here names a model; torch is imported when a command needs it."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import signal
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import click

from ptheta.config import brief
from ptheta.errors import Interrupted, PthetaError, nearest, unknown
from ptheta.terminal.signals import ENDING, ending, lasting, name_of

NO_MEMORY = ("can't allocate memory", "out of memory", "Storage size calculation overflowed")
GONE = (errno.EPIPE, errno.EBADF)  # nobody reads the output any more
UNREAD = 128 + signal.SIGPIPE  # the status where nobody reads what would be said


def main(argv: list[str] | None = None) -> None:
    """The installed command. Bad input: one line on stderr and status 2."""
    if sys.stderr is None:  # closed: what is said there is for nobody
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        _say("standard output is closed: open it, or send it away with >/dev/null")
        sys.exit(2)
    _escape_what_cannot_be_written()
    warnings.showwarning = _Warnings()
    atexit.register(gc.freeze)  # or Python, as it ends, looks for garbage among all torch has made
    status, text = 0, ""
    with lasting(), ending() as asked:
        try:
            status, text = _done(argv)
        except BaseException:  # whatever a signal made of the work
            if asked.number is None:
                raise
        if asked.number is not None and status != 128 + asked.number:
            status, text = 128 + asked.number, f"stopped by {name_of(asked.number)}"
    for number in ENDING:  # the work is done and written: no traceback of what closes it
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if text:
        _say(text)
    sys.exit(_flushed(status))


class _Warnings:
    """Shows a warning as a line for the user, once; those of other kinds are for developers."""

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


def _done(argv: list[str] | None) -> tuple[int, str]:
    """Does what is asked for; returns the exit status, and why it failed where it did."""
    try:
        from ptheta.cli.commands import cli  # here, where signals are taken: it takes a moment

        ended = cli.main(args=argv, prog_name="ptheta", standalone_mode=False)
        return (ended if isinstance(ended, int) else 0), ""  # of a command that ended with a status
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
    except (OSError, MemoryError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno in GONE and error.filename is None:
            return UNREAD, ""  # the reader of the output has gone
        if (text := _beyond(error)) is None:
            raise
        return 2, text


def _beyond(error: Exception) -> str | None:
    """A line for what no check foresaw and the system refused; None for a fault of the program."""
    if isinstance(error, OSError):
        where = f"{brief(error.filename)}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    # torch has no type of its own for it on the CPU
    if isinstance(error, MemoryError) or any(text in str(error) for text in NO_MEMORY):
        return "the memory is not enough: ask for fewer or smaller images, or a smaller model"
    return None


def _flushed(status: int) -> int:
    """The exit status, once all output is written: what a buffer holds is written only now."""
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
    """A line for the user, where it can be written: the terminal may have gone."""
    with suppress(OSError, ValueError):
        click.echo(f"ptheta: {_shown(line)}", err=True)


def _let_go(stream: TextIO) -> None:
    """What cannot be written is not tried again when Python ends, which would say so at length."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _escape_what_cannot_be_written() -> None:
    """Names of files may hold what the encoding of the terminal has not."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # replaced, or closed
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _shown(text: str) -> str:
    """A text on one line: what is no letter in a name of a file (a line break, a code for the
    terminal, a byte in no encoding) as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _one_line(error: click.ClickException) -> str:
    """click's message, with the nearest option where one was mistyped."""
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.NoSuchOption) and ctx is not None:
        params = ctx.command.get_params(ctx)
        known = [name for p in params for name in (*p.opts, *p.secondary_opts)]
        if nearest(error.option_name, known) is None:  # all of them would be pages
            return f"unknown option {error.option_name!r}: see {ctx.command_path} --help"
        return str(unknown("option", error.option_name, known))
    text = " ".join(error.format_message().split())
    where = f" (see: {ctx.command_path} --help)" if ctx is not None else ""
    return text[0].lower() + text[1:] + where
