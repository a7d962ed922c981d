"""Starts, monitors and ends worker processes on this machine.

Each process reports its outcome by one object on a pipe. Ending signals are forwarded; no process
outlives its parent.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar, TypeVarTuple

from torch.multiprocessing import get_context

from ptheta.errors import Interrupted, PthetaError
from ptheta.terminal.signals import (
    ENDING,
    Request,
    Requests,
    handled,
    name_of,
)
from ptheta.training.rank import UNGUARDED, Done, Message, Outcome, serve

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
GRACE = 3.0  # seconds for the others to end after one has failed
CLOSING = 30.0  # seconds for all to end after their work is done
TICK = 0.1  # seconds between checks for signals


class RankFailed(RuntimeError):
    """An unexpected exception in a worker process; the message ends with its traceback."""


@dataclass
class Member(Generic[T]):
    """A worker process, its pipe, and its last message."""

    rank: int
    process: BaseProcess
    channel: Connection
    outcome: Outcome[T] | None = None
    begun: bool = field(default=False, init=False)  # has sent a message
    over: bool = field(default=False, init=False)  # has ended, and all its messages were read
    ended_here: bool = field(default=False, init=False)  # so its exit status is irrelevant

    @property
    def alive(self) -> bool:
        return self.process.exitcode is None

    @property
    def well(self) -> bool:
        """Whether no failure is known."""
        return self.done or (self.outcome is None and not self.over)

    @property
    def done(self) -> bool:
        return self.outcome is not None and self.outcome.done

    def hear(self) -> None:
        """Reads the messages in the pipe."""
        self.over = not self.alive  # checked first, since a process reports before it ends
        while (message := self._next()) is not None:
            self.begun = True
            self.outcome = message.taken(self.outcome)

    def _next(self) -> Message[T] | None:
        """The next unread message; None if there is none, or the pipe was closed or cut (`_verdict`
        handles processes without a report)."""
        try:
            if not self.channel.poll():
                return None
            # trusted: from a child process, on a private pipe
            message: Message[T] = self.channel.recv()
        except (EOFError, OSError):
            return None
        return message

    def kill(self) -> None:
        if self.alive:
            self.ended_here = True
            self.process.kill()

    def ask_to_end(self, number: int) -> None:
        """Sends the signal; kills a process that is still starting, which blocks signals and has
        nothing to lose."""
        if not self.begun:
            self.kill()
        elif self.alive and self.process.pid is not None:
            os.kill(self.process.pid, number)


def refuse_unguarded() -> None:
    """Ends a process that was started to work and is about to train what its parent trains: the
    user's script, which every new process reads, does so outside of `if __name__ == "__main__"`.
    """
    # set while a new process reads the script of the one that started it
    if "_inheriting" in vars(multiprocessing.current_process()):
        os._exit(UNGUARDED)


def spread(work: Callable[[int, *Ts], T], args: tuple[*Ts], size: int) -> T:
    """Calls work(rank, *args) in `size` new processes; returns the result of the first one.

    Raises the PthetaError that one of them raised; Interrupted where a signal ended one of them,
    or this process was asked to end: then they were asked, too, and have ended; RankFailed for
    other exceptions.
    """
    refuse_unguarded()
    requests = Requests()
    news: list[tuple[Request, int]] = []
    members: list[Member[T]] = []
    with handled(lambda number: news.append((requests.note(number), number))):
        try:
            start(members, work, dict.fromkeys(range(size), args))
            hasty = _wait(members, news)
        finally:
            end(members)
    return _verdict(members, requests, hasty)


def start(
    into: list[Member[T]], work: Callable[[int, *Ts], T], args: Mapping[int, tuple[*Ts]]
) -> None:
    """Starts processes with ending signals blocked until they can be handled. args: by rank"""
    resource_tracker.ensure_running()  # it would unblock the signals
    context = get_context("spawn")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        for rank, own in args.items():
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=serve, args=(rank, there, work, own), daemon=True)
            process.start()
            there.close()
            into.append(Member(rank, process, here))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end(members: Sequence[Member[T]]) -> None:
    """Ends the processes at once, and reads what they have reported."""
    for member in members:
        member.kill()
        member.process.join()
        member.hear()


def _wait(members: Sequence[Member[T]], news: list[tuple[Request, int]]) -> bool:
    """Waits until all have ended, or one has failed and the others had time to end. Returns True if
    the user sends a second signal."""
    latest: float | None = None
    while any(member.alive for member in members):
        for member in members:
            member.hear()
        done = all(member.done for member in members)
        if latest is None and (done or not all(member.well for member in members)):
            latest = time.monotonic() + (CLOSING if done else GRACE)
        if latest is not None and time.monotonic() > latest:
            break
        while news:
            request, number = news.pop(0)
            if request is Request.AGAIN:
                return True
            for member in members:
                member.ask_to_end(number)
        ready = [m.process.sentinel for m in members if m.alive]
        wait([*ready, *(m.channel for m in members if m.alive)], timeout=TICK)
    return False


def _verdict(members: Sequence[Member[T]], requests: Requests, hasty: bool) -> T:
    """The joint result of the processes, which have ended."""
    if hasty and requests.number is not None:
        raise Interrupted(f"stopped at once by {name_of(requests.number)}", requests.number)
    blame(members, requests.number)
    first = members[0].outcome
    assert isinstance(first, Done)
    value: T = first.value
    return value


def blame(members: Sequence[Member[T]], number: int | None = None) -> None:
    """Raises the cause of the failure of processes that have ended, not its consequences, as
    `spread` does. number: of the signal that asked this process to end"""
    by_itself = [m for m in members if not m.ended_here]
    for member in by_itself:
        code = member.process.exitcode or 0
        if code < 0 and not member.done:
            raise Interrupted(_lost(member, -code), -code)
    outcomes = [(m.rank, m.outcome) for m in members if m.outcome is not None]
    for _, outcome in outcomes:
        if outcome.refusal is not None:
            raise outcome.refusal
    number = number or next((o.signal for _, o in outcomes if o.signal), None)
    if number is not None:
        raise Interrupted(f"stopped by {name_of(number)}", number)
    for rank, outcome in outcomes:
        if outcome.fault is not None:
            raise RankFailed(f"the process of rank {rank} failed:\n{outcome.fault}")
    for member in by_itself:
        if member.outcome is None:
            raise PthetaError(_silent(member))


def _lost(member: Member[T], number: int) -> str:
    why = ", as happens if memory runs out" if number == signal.SIGKILL else ""
    return f"the process of rank {member.rank} was ended by {name_of(number)}{why}"


def _silent(member: Member[T]) -> str:
    """The error for a process that ended without a report."""
    code = member.process.exitcode
    if code == UNGUARDED:
        return (
            "several processes cannot be started from here, since each would run this script "
            'again: guard the script by if __name__ == "__main__":'
        )
    return f"the process of rank {member.rank} ended with status {code} before its work was done"
