"""How the processes that a launcher started find each other, and check that they can be one run.

They meet in the launcher's `TCPStore`, or in one that rank 0 opens. Every process signs in with a
card; rank 0 waits for all, compares the cards and publishes the verdict, so that every process ends
with the same error, or none does.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import lru_cache

from torch import distributed
from torch.distributed import PrefixStore, TCPStore

from ptheta.errors import PthetaError
from ptheta.training.launchers import TIMEOUT, Place

POLL = 0.1  # seconds between two looks at the store
SPARE = 5.0  # seconds more that the others wait for rank 0, which names who is missing
ROOT = "ptheta"
NOT_GIVEN = "not given"
CURRENT = "current"  # the key of the meeting that rank 0 has called


@dataclass(frozen=True)
class Card:
    """What a process says of itself. run: what must be the same in all of them, by name

    token: identifies the process, so that remains of an earlier attempt are not taken for it
    """

    host: str
    pid: int
    attempt: int
    run: Mapping[str, str]
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    @classmethod
    def of(cls, place: Place, run: Mapping[str, str]) -> Card:
        alike = {"the number of processes": str(place.size), **run}
        return cls(socket.gethostname(), os.getpid(), place.attempt, alike)

    @classmethod
    def read(cls, text: str | bytes) -> Card:
        return cls(**json.loads(text))

    def to_text(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Met:
    """The result of a meeting: its store, of this run and attempt only, and the cards by rank.

    name: of the store below `ROOT`
    """

    name: str
    store: PrefixStore
    cards: tuple[Card, ...]

    @property
    def attempt(self) -> int:
        return max(card.attempt for card in self.cards)

    def called(self, rank: int) -> str:
        """A process for the user."""
        return f"rank {rank} (process {self.cards[rank].pid} on {self.cards[rank].host})"


def meet(place: Place, run: Mapping[str, str], seconds: float) -> Met:
    """Waits until all processes are there, at most `seconds`.

    Raises PthetaError, in every process, if some are missing or differ in `run`.
    """
    deadline = time.monotonic() + seconds
    root = PrefixStore(ROOT, connect(place, seconds))
    mine = Card.of(place, run)
    try:
        if place.first:
            return _call(place, root, mine, deadline, seconds)
        return _sign_in(place, root, mine, deadline + SPARE, seconds)
    except (distributed.DistError, RuntimeError) as error:
        raise PthetaError(f"{_lost(place, seconds)} ({brief_error(error)})") from None


def _call(place: Place, root: PrefixStore, mine: Card, deadline: float, seconds: float) -> Met:
    """Rank 0: calls a meeting, and publishes its verdict once all have signed in."""
    name = secrets.token_hex(8)
    store = PrefixStore(name, root)
    root.set(CURRENT, name)
    keys = {rank: f"card/{rank}" for rank in range(1, place.size)}
    while missing := [rank for rank, key in keys.items() if not store.check([key])]:
        if time.monotonic() > deadline:
            fault = (
                f"{listed(missing)} of {place.size} did not come to {place.address}:{place.port} "
                f"within {seconds:g} s: check that {place.launcher} has started "
                "all of them, and that every machine reaches this address"
            )
            _publish(store, [mine], fault)
            _until_heard(store, [rank for rank in keys if rank not in missing])
            raise PthetaError(fault)
        time.sleep(POLL)
    cards = [mine, *(Card.read(store.get(key)) for key in keys.values())]
    fault = difference(cards)
    _publish(store, cards, fault)
    if fault:
        _until_heard(store, list(keys))
        raise PthetaError(fault)
    return Met(name, store, tuple(cards))


def _publish(store: PrefixStore, cards: list[Card], fault: str) -> None:
    verdict = {"cards": [asdict(card) for card in cards], "fault": fault}
    store.set("verdict", json.dumps(verdict))


def _until_heard(store: PrefixStore, ranks: list[int]) -> None:
    """Waits a while until the others have the verdict: the store may end with this process."""
    deadline = time.monotonic() + SPARE
    keys = [f"heard/{rank}" for rank in ranks]
    while time.monotonic() < deadline and not all(store.check([key]) for key in keys):
        time.sleep(POLL)


def _sign_in(place: Place, root: PrefixStore, mine: Card, deadline: float, seconds: float) -> Met:
    """Another rank: signs in to the meeting that rank 0 calls, and waits for the verdict on it.

    A restarted process may find an earlier meeting first; its verdict does not have this card.
    """
    known, store = "", root
    while time.monotonic() < deadline:
        if root.check([CURRENT]) and (name := root.get(CURRENT).decode()) != known:
            known, store = name, PrefixStore(name, root)
            store.set(f"card/{place.rank}", mine.to_text())
        if known and store.check(["verdict"]):
            verdict = store.get("verdict")
            store.set(f"heard/{place.rank}", "")
            cards = _agreed(verdict, mine)
            if mine in cards:
                return Met(known, store, cards)
        time.sleep(POLL)
    raise PthetaError(_lost(place, seconds))


def _agreed(verdict: bytes, mine: Card) -> tuple[Card, ...]:
    """The cards of a meeting; raises PthetaError if this process has met and it has failed."""
    told = json.loads(verdict)
    cards = tuple(Card(**card) for card in told["cards"])
    alone = len(cards) == 1  # the meeting has failed before this process came
    if told["fault"] and (alone or mine in cards):
        raise PthetaError(told["fault"])
    return cards


def difference(cards: list[Card]) -> str:
    """The first difference between the cards, with the ranks that have it; empty if none."""
    first = cards[0]
    for name in dict.fromkeys(name for card in cards for name in card.run):
        value = first.run.get(name, NOT_GIVEN)
        other = [r for r, card in enumerate(cards) if card.run.get(name, NOT_GIVEN) != value]
        if other:
            there = cards[other[0]]
            return (
                f"{listed(other)} on {there.host}: {name} is {there.run.get(name, NOT_GIVEN)}, and "
                f"{value} in rank 0 on {first.host}: start the same command in the same "
                "environment on every machine"
            )
    return ""


def listed(ranks: list[int]) -> str:
    """The ranks for the user: "rank 3", "ranks 1 and 3", "ranks 1, 2, 3 and 9 more"."""
    if len(ranks) == 1:
        return f"rank {ranks[0]}"
    shown, more = ranks[:8], len(ranks) - 8
    if more > 0:
        return f"ranks {', '.join(map(str, shown))} and {more} more"
    return f"ranks {', '.join(map(str, shown[:-1]))} and {shown[-1]}"


def _lost(place: Place, seconds: float) -> str:
    return (
        f"rank {place.rank} of {place.size} on {socket.gethostname()} did not meet rank 0 at "
        f"{place.address}:{place.port} within {seconds:g} s: check that it was started and that "
        f"this machine reaches that address, or set {TIMEOUT} to more seconds"
    )


def brief_error(error: Exception) -> str:
    """The first line of an error of torch, shortened."""
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__


# -- the store


def connect(place: Place, seconds: float) -> TCPStore:
    """The store where the processes meet. Raises PthetaError if it cannot be reached in time."""
    if place.first and not place.hosted:
        return _opened(place.port, seconds, place.address)
    _until_it_listens(place, seconds)
    try:
        return _reached(place, seconds)
    except (distributed.DistError, RuntimeError) as error:
        raise PthetaError(f"{_lost(place, seconds)} ({brief_error(error)})") from None


def _reached(place: Place, seconds: float) -> TCPStore:
    """A connection, made in a thread, since torch waits forever for the answer of another program
    that listens there and says nothing."""
    found = Future[TCPStore]()

    def ask() -> None:
        try:
            address = (place.address, place.port, None, False, timedelta(seconds=seconds))
            found.set_result(TCPStore(*address, wait_for_workers=False))
        except Exception as error:  # raised in the thread that waits
            found.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return found.result(seconds + SPARE)
    except TimeoutError:
        raise PthetaError(
            f"{_lost(place, seconds)} (another program listens there, and does not answer)"
        ) from None


@lru_cache(maxsize=1)  # open until the process ends, since the others may still use it
def _opened(port: int, seconds: float, address: str) -> TCPStore:
    try:
        return TCPStore(
            *("0.0.0.0", port, None, True, timedelta(seconds=seconds)), wait_for_workers=False
        )
    except (distributed.DistError, RuntimeError) as error:
        raise PthetaError(
            f"rank 0 cannot listen on port {port} of {address} ({brief_error(error)}): set "
            "MASTER_ADDR and MASTER_PORT to another port"
        ) from None


def _until_it_listens(place: Place, seconds: float) -> None:
    """Waits for rank 0's address; torch would print a line for every attempt."""
    deadline, reason = time.monotonic() + seconds, "no answer"
    while (left := deadline - time.monotonic()) > 0:
        try:
            socket.create_connection((place.address, place.port), timeout=left).close()
            return
        except OSError as error:
            reason = error.strerror or str(error) or "no answer"
        time.sleep(min(0.3, max(0.0, deadline - time.monotonic())))
    raise PthetaError(f"{_lost(place, seconds)} ({reason})")


# -- the interface of the collectives

LOOPBACK = ("lo", "lo0")
SIOCGIFADDR = 0x8915  # Linux: the address of an interface


def interface(address: str, port: int) -> str | None:
    """The network interface that reaches an address, or None if it is not known. gloo would take
    that of the machine's name, which may be the loopback."""
    try:
        found = socket.getaddrinfo(address, port, socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(found[0][4])
            own = probe.getsockname()[0]
    except OSError:
        return None
    names = [name for _, name in socket.if_nameindex()]
    if own.startswith("127."):
        return next((name for name in names if name in LOOPBACK), None)
    return next((name for name in names if _address_of(name) == own), None)


def _address_of(name: str) -> str | None:
    with suppress(ImportError, OSError):
        import fcntl

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            request = name.encode()[:15].ljust(256, b"\0")
            return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), SIOCGIFADDR, request)[20:24])
    return None
