"""Work on several processes of this machine: they are started, heard and ended here.

Each process tells what became of its work by one object on a pipe. Ending signals are passed on;
no process outlives the one that started it.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn, TypeVar

from torch.multiprocessing import get_context

from ptheta.errors import Interrupted, PthetaError
from ptheta.terminal.signals import (
    ENDING,
    Request,
    Requests,
    Stopped,
    ending,
    handled,
    lasting,
    name_of,
)

T = TypeVar("T")
GRACE = 3.0  # seconds that the others have to end by themselves once one has failed
CLOSING = 30.0  # seconds that all have to end by themselves once their work is done
TICK = 0.1  # seconds between two looks for signals
UNGUARDED = 79  # status of a process that, to be started, starts the user's training again


@dataclass(frozen=True)
class Done:
    """The work is done, and this is what it returned."""

    value: Any


@dataclass(frozen=True)
class Refused:
    """The work raised an error that is a line for the user."""

    error: PthetaError


@dataclass(frozen=True)
class Ended:
    """An ending signal came before the work could take it."""

    number: int


@dataclass(frozen=True)
class Failed:
    """The work raised another exception."""

    traceback: str


@dataclass(frozen=True)
class Remark:
    """A warning, to be given where the user is."""

    text: str
    category: type[Warning]


Outcome = Done | Refused | Ended | Failed


class RankFailed(RuntimeError):
    """A fault of the program in one of the processes; the message ends in its traceback."""


@dataclass
class Member:
    """A process that was started, its end of the pipe, and what it said last."""

    rank: int
    process: BaseProcess
    channel: Connection
    outcome: Outcome | None = None
    over: bool = field(default=False, init=False)  # has ended, and all that it said was heard
    ended_here: bool = field(default=False, init=False)  # so its exit says nothing

    @property
    def alive(self) -> bool:
        return self.process.exitcode is None

    @property
    def well(self) -> bool:
        """Whether nothing is known to have gone wrong."""
        return isinstance(self.outcome, Done) or (self.outcome is None and not self.over)

    def hear(self) -> None:
        """Takes what has come through the pipe."""
        self.over = not self.alive  # asked first: a process says what became of it and then ends
        while (said := self._next()) is not None:
            if isinstance(said, Remark):
                warnings.warn(said.text, said.category, stacklevel=2)
            else:
                self.outcome = said

    def _next(self) -> Outcome | Remark | None:
        """What has come and was not heard yet; None where there is nothing, or the pipe was closed
        or cut by the end of the process: `_verdict` judges one that has said nothing."""
        try:
            if not self.channel.poll():
                return None
            message = self.channel.recv_bytes()
        except (EOFError, OSError):
            return None
        # from a process that this one has started, on a pipe that nobody else can write to
        said: Outcome | Remark = pickle.loads(message)
        return said

    def kill(self) -> None:
        if self.alive:
            self.ended_here = True
            self.process.kill()

    def send(self, number: int) -> None:
        if self.alive and self.process.pid is not None:
            os.kill(self.process.pid, number)


def refuse_unguarded() -> None:
    """Ends a process that was started to work and is about to train what its parent trains: the
    user's script, which every new process reads, does so outside of `if __name__ == "__main__"`.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(UNGUARDED)


def spread(work: Callable[..., T], args: tuple[Any, ...], size: int) -> T:
    """Calls work(rank, *args) in `size` new processes; returns what the first one returns.

    Raises the PthetaError that one of them raised; Interrupted where a signal ended one of them,
    or this process was asked to end: then they were asked, too, and have ended; RankFailed for
    other exceptions.
    """
    refuse_unguarded()
    requests = Requests()
    news: list[tuple[Request, int]] = []
    members: list[Member] = []
    with handled(lambda number: news.append((requests.note(number), number))):
        try:
            _start(members, work, args, size)
            hasty = _wait(members, news)
        finally:
            for member in members:
                member.kill()
                member.process.join()
                member.hear()
    return _verdict(members, requests, hasty)


def _start(into: list[Member], work: Callable[..., Any], args: tuple[Any, ...], size: int) -> None:
    """Starts the processes with ending signals held back, until they can be taken."""
    resource_tracker.ensure_running()  # it would let the signals through
    context = get_context("spawn")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        for rank in range(size):
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=_member, args=(rank, there, work, args), daemon=True)
            process.start()
            there.close()
            into.append(Member(rank, process, here))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(members: Sequence[Member], news: list[tuple[Request, int]]) -> bool:
    """Until all have ended, or one has failed and the others had time to end, or the user asks a
    second time: then True."""
    latest: float | None = None
    while any(member.alive for member in members):
        for member in members:
            member.hear()
        done = all(isinstance(member.outcome, Done) for member in members)
        if latest is None and (done or not all(member.well for member in members)):
            latest = time.monotonic() + (CLOSING if done else GRACE)
        if latest is not None and time.monotonic() > latest:
            break
        while news:
            request, number = news.pop(0)
            if request is Request.AGAIN:
                return True
            for member in members:
                member.send(number)
        ready = [m.process.sentinel for m in members if m.alive]
        wait([*ready, *(m.channel for m in members if m.alive)], timeout=TICK)
    return False


def _verdict(members: Sequence[Member], requests: Requests, hasty: bool) -> Any:
    """What the processes did, together: the cause before what followed from it."""
    if hasty and requests.number is not None:
        raise Interrupted(f"stopped at once by {name_of(requests.number)}", requests.number)
    by_itself = [m for m in members if not m.ended_here]
    for member in by_itself:
        code = member.process.exitcode or 0
        if code < 0 and not isinstance(member.outcome, Done):
            raise Interrupted(_lost(member, -code), -code)
    for member in members:
        if isinstance(member.outcome, Refused):
            raise member.outcome.error
    ended = [m.outcome.number for m in members if isinstance(m.outcome, Ended)]
    number = requests.number or next(iter(ended), None)
    if number is not None:
        raise Interrupted(f"stopped by {name_of(number)}", number)
    for member in members:
        if isinstance(member.outcome, Failed):
            raise RankFailed(
                f"the process of rank {member.rank} failed:\n{member.outcome.traceback}"
            )
    for member in by_itself:
        if member.outcome is None:
            raise PthetaError(_silent(member))
    first = members[0].outcome
    assert isinstance(first, Done)
    return first.value


def _lost(member: Member, number: int) -> str:
    why = ", as happens where memory runs out" if number == signal.SIGKILL else ""
    return f"the process of rank {member.rank} was ended by {name_of(number)}{why}"


def _silent(member: Member) -> str:
    """Of a process that has said nothing."""
    code = member.process.exitcode
    if code == UNGUARDED:
        return (
            "several processes cannot be started from here, as each would run this script again: "
            'put what it does below a line if __name__ == "__main__":'
        )
    return f"the process of rank {member.rank} ended with status {code} before its work was done"


# -- in the new process


def _member(
    rank: int, channel: Connection, work: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def warn(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        with suppress(OSError):  # nobody listens any more
            channel.send_bytes(pickle.dumps(Remark(str(message), category)))

    warnings.showwarning = warn
    with lasting():
        outcome = _outcome(rank, work, args)
    with suppress(OSError):
        # plain bytes: a tensor in shared memory would go with this process
        channel.send_bytes(pickle.dumps(outcome))
    if not isinstance(outcome, Done):
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(1)  # without closing what may wait for the others


def _outcome(rank: int, work: Callable[..., Any], args: tuple[Any, ...]) -> Outcome:
    """Does the work; signals are let through for that time only."""
    try:
        with ending(again=lambda _: None):  # impatience is for the process that started this one
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            try:
                return Done(work(rank, *args))
            finally:
                signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    except Stopped as stopped:
        return Ended(stopped.number)
    except PthetaError as error:
        return Refused(_portable(error))
    except BaseException:
        return Failed(traceback.format_exc())


def _portable(error: PthetaError) -> PthetaError:
    """The error, or its text where its kind cannot be sent."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # a class with other arguments than its message
        return PthetaError(str(error))
    return error


def _end_with_parent() -> NoReturn:
    """Ends this process as soon as the one that started it has ended, however that was."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError
