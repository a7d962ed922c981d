"""Work in parts of fixed size, which several processes can share with the same result.

A part has its own random stream, a function of the seed and the number of the part (`seed_of`).
What it holds does not depend on the number of processes either, so that the result of a part is the
same whichever process computes it. The processes of a `Team` run a function at the same time: the
first one where it needs the result, in a context (`called`), and the others when they are told its
name (`follow`). In it, each process computes its share of the parts of `each`, and all get all
results.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Protocol

import numpy as np
from torch import Tensor

from ptheta.compute import threads
from ptheta.compute.streams import seeded
from ptheta.errors import PthetaError
from ptheta.files.tensors import from_bytes, to_bytes
from ptheta.terminal.progress import watched

Found = Mapping[str, Tensor]  # the result of a part, on the CPU
Compute = Callable[[int], Found]  # number of a part -> its result


class Team(Protocol):
    """The processes that share work, from the view of one of them.

    rank: of this process, of `size`; threads: of each process
    """

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def threads(self) -> int: ...

    def exchange(self, mine: bytes) -> Sequence[bytes]:
        """The bytes of every process, in order of rank. All processes call this together; raises
        an error if one of them has ended."""


_at_hand: ContextVar[Team | None] = ContextVar("at_hand", default=None)  # of the first process
_together: ContextVar[Team | None] = ContextVar("together", default=None)  # all run one function


def seed_of(seed: int, number: int) -> int:
    """The seed of a part. That of the first part is `seed`, so that work of one part has the noise
    that torch draws with this seed."""
    if number == 0:
        return seed
    mixed = np.random.SeedSequence((seed % 2**64, number))
    return int(mixed.generate_state(1, np.uint64)[0] >> np.uint64(1))


def each(compute: Compute, numbers: range, what: str, seed: int | None = None) -> Iterator[Found]:
    """The results of the parts with these numbers, in order, each computed with its own random
    stream if there is a seed.

    what: name of the work, for the progress bar
    """
    team = _together.get()

    def of(number: int) -> Found:
        with _alone(), nullcontext() if seed is None else seeded(seed_of(seed, number)):
            return compute(number)

    if team is None:
        return map(of, watched(numbers, what))
    return _shared(team, of, numbers, what)


def _shared(team: Team, compute: Compute, numbers: range, what: str) -> Iterator[Found]:
    for start in watched(range(0, len(numbers), team.size), what):
        some = numbers[start : start + team.size]
        mine = compute(some[team.rank]) if team.rank < len(some) else {}
        yield from map(from_bytes, team.exchange(to_bytes(mine))[: len(some)])


@contextmanager
def _alone() -> Iterator[None]:
    """Context in which nothing is shared."""
    tokens = [(of, of.set(None)) for of in (_at_hand, _together)]
    try:
        yield
    finally:
        for of, token in tokens:
            of.reset(token)


# -- the first process


@contextmanager
def shared_with(team: Team) -> Iterator[None]:
    """Context in which the others of a team take part in the work of this process."""
    token = _at_hand.set(team)
    try:
        yield
    finally:
        _at_hand.reset(token)


def dismiss(team: Team) -> None:
    """Tell the others that there is no more work."""
    team.exchange(b"")


@contextmanager
def called(name: str, *values: int) -> Iterator[None]:
    """Context in which this process and the others run the function of this name, with these
    values. Without others, or in a function that they run, the context has no effect."""
    team = _at_hand.get()
    if team is None or _together.get() is not None:
        yield
        return
    team.exchange(json.dumps([name, *values]).encode())
    with _all(team):
        yield


# -- the others


def follow(team: Team, work: Mapping[str, Callable[..., object]]) -> None:
    """Run the functions that the first process calls, until it has no more work."""
    while order := team.exchange(b"")[0]:
        name, *values = json.loads(order)
        with _all(team):
            work[name](*values)


@contextmanager
def _all(team: Team) -> Iterator[None]:
    token = _together.set(team)
    try:
        with threads.using(team.threads):
            yield
    finally:
        _together.reset(token)


def agree(team: Team, about: Mapping[str, object]) -> None:
    """Check that the work is the same in all processes, by its description. Raises PthetaError, in
    every process, if it is not."""
    plain = {name: str(value) for name, value in about.items()}
    first, *others = map(json.loads, team.exchange(json.dumps(plain).encode()))
    for rank, other in enumerate(others, 1):
        for name in sorted(first.keys() | other.keys()):
            here, there = (of.get(name, "not known") for of in (first, other))
            if here != there:
                raise PthetaError(
                    f"{name.replace('_', ' ')} is {there} in process {rank}, and {here} in process "
                    "0: all processes need the same"
                )
