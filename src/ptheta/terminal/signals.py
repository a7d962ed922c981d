"""Signals that ask a program to end: SIGINT (Ctrl-C), SIGTERM, SIGHUP (a closed session), and
SIGUSR1 (a job that is about to be preempted).

Also keeps programs running if their output has no reader.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from typing import Any, NoReturn, TextIO, cast

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
ENDING = tuple(s for s in signal.Signals if s.name in NAMES)
REPEATED = 0.5  # seconds: `timeout` and a closing session send signals twice
INSISTING = 1.0  # seconds after which Stopped is raised again if it was swallowed


class Stopped(BaseException):
    """Raised in the main thread when a signal asks the program to end.

    Like KeyboardInterrupt it is not an Exception, so error handlers do not catch it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {name_of(number)}")
        self.number = number


class Request(Enum):
    FIRST = auto()
    REPEATED = auto()  # duplicate of the last signal
    AGAIN = auto()  # a second request: end immediately


class Requests:
    """The received ending signals. number: the first one, or None"""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.number: int | None = None
        self._clock, self._since = clock, 0.0

    def note(self, number: int) -> Request:
        if self.number is None:
            self.number, self._since = number, self._clock()
            return Request.FIRST
        # repeated SIGHUP is ignored: the shell and the kernel each send one
        soon = self._clock() - self._since < REPEATED
        return Request.REPEATED if soon or number == signal.SIGHUP else Request.AGAIN


def name_of(number: int) -> str:
    """SIGTERM for 15; "signal 40" for a number without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextmanager
def handled(handle: Callable[[int], object]) -> Iterator[None]:
    """Context in which an ending signal calls `handle` with its number, in the main thread.

    Ignored signals stay ignored (nohup). Does nothing in other threads, which receive no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in ENDING}
    before = {n: h for n, h in handlers.items() if h not in (None, signal.SIG_IGN)}
    try:
        for number in before:
            signal.signal(number, lambda number, _: handle(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave(number: int) -> NoReturn:
    """Ends the program at once."""
    with suppress(OSError):  # the terminal may be closed
        os.write(2, f"ptheta: stopped at once by {name_of(number)}\n".encode())
    os._exit(128 + number)


@contextmanager
def ending(again: Callable[[int], object] = leave) -> Iterator[Requests]:
    """Context in which the first ending signal raises Stopped, and another one calls `again`.

    Libraries may swallow exceptions, by a bare `except` or in a destructor, so Stopped is raised
    repeatedly until the context has ended.
    """
    requests = Requests()
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return

    def handle(number: int) -> None:
        request = requests.note(number)
        if request is Request.FIRST:
            signal.setitimer(signal.ITIMER_REAL, INSISTING, INSISTING)
            raise Stopped(number)
        if request is Request.AGAIN:
            again(number)

    def insist(*_: object) -> None:
        if requests.number is not None and not _unwinding(sys.exc_info()[1]):
            raise Stopped(requests.number)

    def unraisable(args: sys.UnraisableHookArgs) -> None:
        if not isinstance(args.exc_value, Stopped):
            hook(args)

    hook, alarm = sys.unraisablehook, signal.signal(signal.SIGALRM, insist)
    sys.unraisablehook = unraisable
    try:
        with handled(handle):
            yield requests
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)
        sys.unraisablehook = hook


def _unwinding(error: BaseException | None) -> bool:
    """Whether Stopped is already propagating."""
    while error is not None and not isinstance(error, Stopped):
        error = error.__context__
    return error is not None


class Lasting:
    """A message stream that ignores write errors after the terminal or the reader of the pipe is
    gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def lasting() -> Iterator[None]:
    """Context in which unwritable messages do not end the work."""
    before = sys.stderr
    if before is not None:  # None in a program without a console
        sys.stderr = cast(TextIO, Lasting(before))
    try:
        yield
    finally:
        sys.stderr = before
