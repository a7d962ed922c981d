"""A worker process: does its share of the work and reports the outcome."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Generic, NoReturn, TypeVar, TypeVarTuple

from ptheta.errors import PthetaError, out_of_memory
from ptheta.terminal.signals import ENDING, Stopped, ending, lasting

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
UNGUARDED = 79  # exit status of a worker that would start the user's training again


class Message(Generic[T]):
    """A message to the parent process."""

    def taken(self, outcome: Outcome[T] | None) -> Outcome[T] | None:
        """Handles the message in the parent; returns the updated outcome."""
        return outcome


@dataclass(frozen=True)
class Remark(Message[T]):
    """A warning to be issued in the parent process."""

    text: str
    category: type[Warning]

    def taken(self, outcome: Outcome[T] | None) -> Outcome[T] | None:
        warnings.warn(self.text, self.category, stacklevel=3)
        return outcome


@dataclass(frozen=True)
class Begun(Message[T]):
    """The process has started, and ending signals reach it from now on."""


class Outcome(Message[T]):
    """Outcome of the work: done, or one of the three failures."""

    done = False
    refusal: PthetaError | None = None  # a line for the user
    signal: int | None = None  # received before the work could handle it
    fault: str | None = None  # the traceback of another exception

    def taken(self, outcome: Outcome[T] | None) -> Outcome[T] | None:
        return self


@dataclass(frozen=True)
class Done(Outcome[T]):
    """The work is done, and this is what it returned."""

    value: T
    done = True


@dataclass(frozen=True)
class Refused(Outcome[T]):
    """The work raised a PthetaError."""

    refusal: PthetaError


@dataclass(frozen=True)
class Ended(Outcome[T]):
    """An ending signal came before the work could handle it."""

    signal: int


@dataclass(frozen=True)
class Failed(Outcome[T]):
    """The work raised another exception."""

    fault: str


def serve(
    rank: int,
    channel: Connection,
    work: Callable[[int, *Ts], T],
    args: tuple[*Ts],
) -> None:
    """Does the work in this new process, and reports the outcome."""
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def warn(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        with suppress(OSError):  # the parent is gone
            channel.send_bytes(pickle.dumps(Remark[T](str(message), category)))

    warnings.showwarning = warn
    with suppress(OSError):  # the parent is gone
        channel.send_bytes(pickle.dumps(Begun[T]()))
    with lasting():
        outcome = _outcome(rank, work, args)
    with suppress(OSError):
        # plain bytes: a tensor in shared memory would be lost with this process
        channel.send_bytes(pickle.dumps(outcome))
    if not outcome.done:
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(1)  # without cleanup that may wait for the others


def _outcome(rank: int, work: Callable[[int, *Ts], T], args: tuple[*Ts]) -> Outcome[T]:
    """Does the work; signals are only handled during it."""
    try:
        with ending(again=lambda _: None):  # only the parent reacts to repeated signals
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            try:
                return Done(work(rank, *args))
            finally:
                signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    except Stopped as stopped:
        return Ended(stopped.number)
    except PthetaError as error:
        return Refused(error)
    except BaseException as error:
        refusal = out_of_memory(error)
        return Failed(traceback.format_exc()) if refusal is None else Refused(refusal)


def _end_with_parent() -> NoReturn:
    """Ends this process as soon as its parent has ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError
