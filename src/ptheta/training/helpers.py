"""Processes that share the work of this one: see `ptheta.compute.parts`.

`helped` starts them on this machine; those that a launcher has started, on one or several machines,
are a `Gathering`. The first process does all that is not shared.
"""

from __future__ import annotations

import pickle
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from typing import TypeVarTuple

import torch
from torch import distributed

from ptheta.compute import threads
from ptheta.compute.layout import keep_large_blocks
from ptheta.compute.parts import Team, shared_with
from ptheta.errors import PthetaError
from ptheta.training.group import Group
from ptheta.training.ranks import GRACE, TICK, Member, blame, end, refuse_unguarded, start

Ts = TypeVarTuple("Ts")


def share_of_threads(processes: int) -> int:
    """Threads of each of several processes of a machine: its share of the cores, unless the user
    has set the number."""
    if threads.given():
        return torch.get_num_threads()
    return max(1, threads.available() // processes)


@dataclass(frozen=True)
class _Own:
    """How a helper computes, as the first process does."""

    size: int
    threads: int
    given: bool  # whether the user has set the threads
    deterministic: bool
    warn_only: bool

    @classmethod
    def here(cls, size: int) -> _Own:
        return cls(
            size,
            share_of_threads(size),
            threads.given(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )


@dataclass(frozen=True)
class _First:
    """The first process of a team. members, pipes: of the others"""

    size: int
    threads: int
    members: list[Member[None]] = field(default_factory=list)
    pipes: list[Connection] = field(default_factory=list)
    rank: int = 0
    checking: threading.Lock = field(default_factory=threading.Lock)

    def exchange(self, mine: bytes) -> Sequence[bytes]:
        try:
            found = [mine, *map(self._received, self.pipes)]
            for pipe in self.pipes:
                pipe.send(found)
        except (EOFError, OSError):
            self._lost()
        return found

    def _received(self, pipe: Connection) -> bytes:
        while not pipe.poll(TICK):
            self.check()
        return pipe.recv_bytes()

    def check(self) -> None:
        """Raises the cause if a helper has ended before its work was done."""
        if not self.checking.acquire(blocking=False):
            return  # a signal has come while it was checked
        try:
            for member in self.members:
                member.hear()
        finally:
            self.checking.release()
        blame([member for member in self.members if not member.well])

    def _lost(self) -> None:
        for member in self.members:
            if member.alive and not member.done:
                member.process.join(GRACE / len(self.members))
        self.check()
        raise PthetaError("the connection to a process that shares the work was lost")


@dataclass(frozen=True)
class _Helper:
    """One of the others."""

    rank: int
    size: int
    threads: int
    pipe: Connection

    def exchange(self, mine: bytes) -> Sequence[bytes]:
        self.pipe.send_bytes(mine)
        # trusted: from the parent process, on a private pipe
        found: list[bytes] = self.pipe.recv()
        return found


@contextmanager
def helped(
    size: int, work: Callable[[Team, *Ts], object], args: tuple[*Ts]
) -> Iterator[Team | None]:
    """Context in which `size` - 1 new processes help this one: each calls work(team, *args), which
    has to `ptheta.compute.parts.follow`. Yields the team of this process, None for a size of 1.

    Raises PthetaError if a helper did, or if `args` cannot be pickled; Interrupted if a signal
    ended one; RankFailed for its other exceptions: within seconds, wherever this process is in the
    context.
    """
    if size < 1:
        raise PthetaError(f"processes = {size}: give at least one")
    if size == 1:
        yield None
        return
    refuse_unguarded()
    own = _Own.here(size)
    team = _First(size, own.threads)
    try:
        _start(team, own, work, args)
        with _noticing(team), shared_with(team):
            yield team
    finally:
        end(team.members)  # they have nothing to lose
        for pipe in team.pipes:
            pipe.close()


def _start(team: _First, own: _Own, work: Callable[[Team, *Ts], object], args: tuple[*Ts]) -> None:
    theirs = []
    for _ in range(1, team.size):
        here, there = Pipe()
        team.pipes.append(here)
        theirs.append(there)
    every = {rank: (pipe, own, work, args) for rank, pipe in enumerate(theirs, 1)}
    try:
        start(team.members, _help, every)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise PthetaError(
            f"what several processes need cannot be pickled for them ({error}): use classes and "
            "functions of a module, or one process"
        ) from None
    finally:
        for pipe in theirs:
            pipe.close()


def _help(
    rank: int,
    pipe: Connection,
    own: _Own,
    work: Callable[[Team, *Ts], object],
    args: tuple[*Ts],
) -> None:
    """One of the others: does its share."""
    keep_large_blocks()
    torch.use_deterministic_algorithms(own.deterministic, warn_only=own.warn_only)
    with (
        threads.fixed(own.threads) if own.given else nullcontext(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", UserWarning)  # the first process gives them
        work(_Helper(rank, own.size, own.threads, pipe), *args)


@contextmanager
def _noticing(team: _First) -> Iterator[None]:
    """Context in which the end of a helper is noticed at once, in the main thread; in others when
    something is exchanged."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGCHLD, lambda *_: team.check())
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before)


# -- processes that a launcher has started


class Gathering:
    """One process of those that a launcher has started, on one or several machines."""

    def __init__(self, group: Group) -> None:
        self.rank, self.size = group.rank, group.size
        self.threads = share_of_threads(group.local)

    def exchange(self, mine: bytes) -> Sequence[bytes]:
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        distributed.all_gather(lengths, torch.tensor([len(mine)]))
        return [self._from(rank, int(length), mine) for rank, length in enumerate(lengths)]

    def _from(self, rank: int, length: int, mine: bytes) -> bytes:
        if not length:
            return b""
        here = bytearray(mine) if rank == self.rank else bytearray(length)
        distributed.broadcast(torch.frombuffer(here, dtype=torch.uint8), src=rank)
        return bytes(here)
